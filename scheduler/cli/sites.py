"""Partner operators' commands: register a site, see it, cordon, drain, resume, stop, declare lost."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.options import Output, Why, command, confirm, strip_none
from scheduler.cli.output import Column, OutputFormat, field, time_field

SiteName = Annotated[str, typer.Argument(help="Name of the site.")]
NeededWhy = Annotated[str, typer.Option("--why", help="The reason, kept in the record and shown with the site.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def _classes(row: Any) -> str:
    return " ".join(f"{one['gpu_class']}:{one['free']}/{one['total']}" for one in row["gpu_classes"]) or "-"


def _blocks(row: Any) -> str:
    return " ".join(f"{name}:{nodes}" for name, nodes in sorted(row.get("block_nodes", {}).items())) or "-"


_SITE_COLUMNS = (
    Column(heading="NAME", value=field("name")),
    Column(heading="STATE", value=field("state")),
    Column(heading="REACHABLE", value=field("reachable")),
    Column(heading="FREE/TOTAL", value=_classes),
    Column(heading="NODES", value=field("nodes")),
    Column(heading="OWNER", value=field("owner")),
    Column(heading="CSAP", value=field("csap"), wide=True),
    Column(heading="TRUST-DOMAIN", value=field("trust_domain"), wide=True),
    Column(heading="HEARD", value=time_field("heard_at"), wide=True),
    Column(heading="BLOCKS", value=_blocks, wide=True),
    Column(heading="REASON", value=field("state_reason")),
)

_RUN_COLUMNS = (
    Column(heading="RUN", value=field("run")),
    Column(heading="GROUP", value=field("group")),
    Column(heading="GPUS", value=field("gpus")),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="PHASE", value=field("phase")),
    Column(heading="LEASED", value=time_field("leased_at")),
    Column(heading="STARTED", value=time_field("started_at")),
)

site_app = typer.Typer(help="Sites: clusters behind an agent.", no_args_is_help=True)


def _write_sites(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _SITE_COLUMNS, output, "name")


@site_app.command("register")
@command
def site_register(
    name: SiteName,
    owner: Annotated[str, typer.Option(help="Who owns the machines.")],
    operator: Annotated[str | None, typer.Option(help="Who runs them; the owner by default.")] = None,
    facility: Annotated[str | None, typer.Option(help="Where they stand; the owner's by default.")] = None,
    csap: Annotated[str, typer.Option(help="none, low, mid or high.")] = "none",
    state_facility: Annotated[bool, typer.Option("--state-facility", help="The state's own building.")] = False,
    classified_network: Annotated[
        bool, typer.Option("--classified-network", help="The network is cut off for classified work.")
    ] = False,
    isolates_users: Annotated[
        bool, typer.Option("--isolates-users", help="Users cannot reach each other's work.")
    ] = False,
    trust_domain: Annotated[
        str | None, typer.Option(help="The one trust domain it serves when it does not isolate its users.")
    ] = None,
    supervised: Annotated[
        bool, typer.Option("--supervised/--not-supervised", help="A supervisor beside every process.")
    ] = True,
    lease_seconds: Annotated[int, typer.Option(min=5, max=3600, help="How long a lease lasts without renewal.")] = 30,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Register a site; the one-time enrolment token for its agent is shown this once."""
    from scheduler.cli.client import Client
    from scheduler.cli.language import say
    from scheduler.cli.output import console, write_document

    body = strip_none(
        {
            "name": name,
            "owner": owner,
            "operator": operator or owner,
            "facility": facility or owner,
            "csap": csap,
            "state_facility": state_facility,
            "classified_network": classified_network,
            "isolates_users": isolates_users,
            "trust_domain": trust_domain,
            "supervised": supervised,
            "lease_seconds": lease_seconds,
            "why": why,
        }
    )
    site = Client.from_profile().post("sites", body)
    if write_document(site, output):
        return
    console().print(
        say(f"Site {site['name']} is registered.", f"사이트 {site['name']}을(를) 등록했습니다."), markup=False
    )
    _write_enrolment(site)


def _write_enrolment(answer: Any) -> None:
    from scheduler.cli.language import say
    from scheduler.cli.output import console, show_time

    out, until = console(), show_time(answer["enrolment_expires_at"])
    out.print(say(f"Enrolment token (once, until {until}):", f"등록 토큰(한 번만, {until}까지):"), markup=False)
    out.print(f"  {answer['enrolment_token']}", markup=False)
    out.print(say("On the site, run:", "사이트에서 실행하십시오:"))
    out.print(f"  {answer['agent_command']}", markup=False)


@site_app.command("list")
@command
def site_list(output: Output = OutputFormat.TABLE) -> None:
    """Sites, and what is free on them."""
    from scheduler.cli.client import Client

    _write_sites(Client.from_profile().pages("sites"), output)


@site_app.command("show")
@command
def site_show(name: SiteName, output: Output = OutputFormat.TABLE) -> None:
    """One site; its operators also see what runs there, and the nodes that are set aside."""
    from scheduler.cli.client import Client
    from scheduler.cli.nodes import NODE_COLUMNS
    from scheduler.cli.output import write_document, write_table

    client = Client.from_profile()
    site = client.get(path_of("sites", name))
    inspected = "lease_seconds" in site
    runs = list(client.pages(path_of("sites", name, "runs"))) if inspected else []
    aside = list(client.pages(path_of("sites", name, "nodes"), aside="true")) if inspected else []
    if write_document({**site, "runs": runs, "set_aside": aside}, output):
        return
    _write_sites([site], OutputFormat.WIDE if output is OutputFormat.TABLE else output)
    if output is OutputFormat.NAME:
        return
    shown = tuple(column for column in NODE_COLUMNS if not column.wide)
    for rows, columns in ((runs, _RUN_COLUMNS), (aside, shown)):
        if rows:
            cells = [[column.value(row) for column in columns] for row in rows]
            write_table([column.heading for column in columns], cells)


def _act(name: str, action: str, why: str, output: OutputFormat) -> None:
    from scheduler.cli.client import Client

    _write_sites([Client.from_profile().post(path_of("sites", name, action), {"why": why})], output)


@site_app.command("cordon")
@command
def site_cordon(name: SiteName, why: NeededWhy, output: Output = OutputFormat.TABLE) -> None:
    """Nothing new on the site; what runs goes on."""
    _act(name, "cordon", why, output)


@site_app.command("drain")
@command
def site_drain(name: SiteName, why: NeededWhy, output: Output = OutputFormat.TABLE) -> None:
    """Nothing new on the site, which is meant to become empty."""
    _act(name, "drain", why, output)


@site_app.command("resume")
@command
def site_resume(name: SiteName, why: Why = "", output: Output = OutputFormat.TABLE) -> None:
    """New work again, after a cordon, drain or stop."""
    _act(name, "resume", why, output)


@site_app.command("stop")
@command
def site_stop(name: SiteName, why: NeededWhy, yes: Yes = False, output: Output = OutputFormat.TABLE) -> None:
    """Emergency stop: end everything of Dure's on the site at once."""
    from scheduler.cli.language import say

    confirm(say(f"End every run on {name} now?", f"{name}의 모든 실행을 지금 끝낼까요?"), yes)
    _act(name, "stop", why, output)


@site_app.command("declare-lost")
@command
def site_declare_lost(name: SiteName, why: NeededWhy, yes: Yes = False, output: Output = OutputFormat.TABLE) -> None:
    """Answer for a silent site that is not supervised: none of its runs is alive any more."""
    from scheduler.cli.language import say

    confirm(
        say(
            f"Are you sure that no process of {name} is alive? Its jobs will run elsewhere.",
            f"{name}의 프로세스가 하나도 살아 있지 않습니까? 작업이 다른 곳에서 실행됩니다.",
        ),
        yes,
    )
    _act(name, "declare-lost", why, output)


@site_app.command("enrol")
@command
def site_enrol(name: SiteName, why: NeededWhy, output: Output = OutputFormat.TABLE) -> None:
    """A new one-time token for the site's agent; its old credential is revoked when the token is used."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_document

    answer = Client.from_profile().post(f"sites/{name}/enrolment", {"why": why})
    if not write_document(answer, output):
        _write_enrolment(answer)


operator_app = typer.Typer(help="Who operates a site.", no_args_is_help=True)


@operator_app.command("add")
@command
def operator_add(
    name: SiteName,
    person: Annotated[str, typer.Argument(help="Name of the person.")],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Make a person an operator of the site."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_done

    Client.from_profile().post(path_of("sites", name, "operators"), {"person": person, "why": why})
    write_done({"site": name, "person": person, "operator": True}, output, "person")


@operator_app.command("remove")
@command
def operator_remove(
    name: SiteName,
    person: Annotated[str, typer.Argument(help="Name of the person.")],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Take the role away."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_done

    Client.from_profile().delete(path_of("sites", name, "operators", person), why=why or None)
    write_done({"site": name, "person": person, "operator": False}, output, "person")


site_app.add_typer(operator_app, name="operator")
