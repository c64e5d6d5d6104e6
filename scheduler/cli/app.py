"""The tree of client commands. What a command does is imported when it is used, so that help and each command are quick."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.late_command import Late, LateGroup
from scheduler.cli.options import CommandAfterDashes

#: Where each command is, and its line in the list of commands.
_COMMANDS = {
    "login": Late("scheduler.cli.session:login", "Sign in with a token and keep it for the commands that follow."),
    "logout": Late(
        "scheduler.cli.session:logout", "Forget the stored token. It stays valid until it expires or is revoked."
    ),
    "whoami": Late("scheduler.cli.session:whoami", "Who I am here, and what I may."),
    "submit": Late(
        "scheduler.cli.jobs:submit",
        "Submit a job: `dure submit job.yaml`, or `dure submit --group G --gpus 8 -- python train.py`.",
        CommandAfterDashes,
    ),
    "queue": Late("scheduler.cli.jobs:queue", "Jobs that wait and run: mine by default."),
    "show": Late("scheduler.cli.jobs:show", "One job in full, with its runs."),
    "why": Late(
        "scheduler.cli.jobs:why", "Why a job waits, with numbers, for every site considered, and what would start it."
    ),
    "logs": Late("scheduler.cli.jobs:logs", "A job's log: worker 0 by default."),
    "cancel": Late("scheduler.cli.jobs:cancel", "End jobs for good."),
    "hold": Late("scheduler.cli.jobs:hold", "Keep queued jobs out of the rounds."),
    "release": Late("scheduler.cli.jobs:release", "Let held jobs go."),
    "requeue": Late(
        "scheduler.cli.jobs:requeue", "Send running jobs back to the queue, by their checkpoint where they have one."
    ),
    "pull": Late("scheduler.cli.pull:pull", "Fetch a job's collected outputs."),
    "gpus": Late("scheduler.cli.resources:gpus", "GPUs that are free, and free for me, by class and site."),
    "usage": Late(
        "scheduler.cli.usage:usage",
        "What a group and all below it were charged, by GPU class; "
        "work that was destroyed for others is charged to nobody.",
    ),
    "certificate": Late(
        "scheduler.cli.certificate:certificate",
        "How near to the best possible the mean completion of jobs was, "
        "and what one more GPU would be worth, by class and site.",
    ),
    "events": Late("scheduler.cli.resources:events", "The record: who changed what, and why; the oldest first."),
    "quota": Late("scheduler.cli.resources:quota_app", "Quota and use of groups. Without a command: of my groups."),
    "gpu-class": Late(
        "scheduler.cli.gpu_classes:gpu_class_app",
        "GPU classes, what a GPU-hour of each is worth, and how fast each is.",
    ),
    "group": Late("scheduler.cli.groups:group_app", "The group tree."),
    "member": Late("scheduler.cli.groups:member_app", "Roles of people on groups."),
    "token": Late("scheduler.cli.groups:token_app", "Tokens: each acts for one person."),
    "site": Late("scheduler.cli.site_tree:site_app", "Sites: clusters behind an agent."),
    "offer": Late("scheduler.cli.offers:offer_app", "Offers: what a site lends, when, to whom and on which terms."),
    "recall": Late("scheduler.cli.recalls:recall_app", "Recalls: a lender asks for lent nodes back."),
    "reserve": Late(
        "scheduler.cli.reservations:reserve_app", "Nodes of a site set aside for maintenance, or for a group."
    ),
}


class ClientCommands(LateGroup):
    """The root: commands of the client, and those that a program adds."""

    late = _COMMANDS


app = typer.Typer(
    name="dure",
    cls=ClientCommands,
    help="Dure (두레): one federation for a nation's AI compute.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def language(
    lang: Annotated[str | None, typer.Option("--lang", help="ko or en; else from the locale.")] = None,
) -> None:
    """Dure (두레): one federation for a nation's AI compute."""
    if lang is not None and lang not in ("ko", "en"):
        raise typer.BadParameter("choose ko or en / ko 또는 en을 쓰십시오", param_hint="--lang")
