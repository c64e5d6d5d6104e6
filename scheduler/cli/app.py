"""The tree of client commands. Modules of commands import what is heavy inside their functions, so that help is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli import (
    certificate,
    gpu_classes,
    groups,
    jobs,
    nodes,
    offers,
    pull,
    recalls,
    reservations,
    resources,
    session,
    site_blocks,
    sites,
    usage,
)
from scheduler.cli.bilingual import BilingualGroup
from scheduler.cli.options import CommandAfterDashes

app = typer.Typer(
    name="dure",
    cls=BilingualGroup,
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


app.command("login")(session.login)
app.command("logout")(session.logout)
app.command("whoami")(session.whoami)
app.command("submit", cls=CommandAfterDashes)(jobs.submit)
app.command("queue")(jobs.queue)
app.command("show")(jobs.show)
app.command("why")(jobs.why)
app.command("logs")(jobs.logs)
app.command("cancel")(jobs.cancel)
app.command("hold")(jobs.hold)
app.command("release")(jobs.release)
app.command("requeue")(jobs.requeue)
app.command("pull")(pull.pull)
app.command("gpus")(resources.gpus)
app.command("usage")(usage.usage)
app.command("certificate")(certificate.certificate)
app.command("events")(resources.events)
app.add_typer(resources.quota_app, name="quota")
app.add_typer(gpu_classes.gpu_class_app, name="gpu-class")
app.add_typer(groups.group_app, name="group")
app.add_typer(groups.member_app, name="member")
app.add_typer(groups.token_app, name="token")
sites.site_app.command("recall")(recalls.recall_create)
sites.site_app.command("owed")(usage.site_owed)
sites.site_app.command("events")(nodes.site_events)
sites.site_app.add_typer(nodes.node_app, name="node")
sites.site_app.add_typer(site_blocks.block_app, name="block")
app.add_typer(sites.site_app, name="site")
app.add_typer(offers.offer_app, name="offer")
app.add_typer(recalls.recall_app, name="recall")
app.add_typer(reservations.reserve_app, name="reserve")
