"""Commands to set nodes aside, for maintenance or for a group, to see what is, and to have them work for all again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.departures import run_count, write_departures
from scheduler.cli.moment import moment_text
from scheduler.cli.options import Output, Why, command, strip_none
from scheduler.cli.output import Column, OutputFormat, field, time_field

SiteName = Annotated[str, typer.Argument(help="Name of the site.")]

_COLUMNS = (
    Column(heading="ID", value=field("id")),
    Column(heading="SITE", value=field("site")),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="FROM", value=time_field("from")),
    Column(heading="TO", value=time_field("to")),
    Column(heading="WITHDRAWN", value=time_field("withdrawn_at"), wide=True),
    Column(heading="BY", value=field("created_by"), wide=True),
    Column(heading="GROUP", value=field("group")),
    Column(heading="RUNS", value=run_count),
    Column(heading="NODES", value=field("nodes")),
    Column(heading="REASON", value=field("reason")),
)

reserve_app = typer.Typer(help="Nodes of a site set aside for maintenance, or for a group.", no_args_is_help=True)


def _write_reservations(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _COLUMNS, output, "id")


@reserve_app.command("create")
@command
def reserve_create(
    name: SiteName,
    reason: Annotated[str, typer.Option(help="What for; kept in the record and shown.")],
    node: Annotated[list[str] | None, typer.Option(help="Name of a node; may be repeated.")] = None,
    gpu_class: Annotated[str | None, typer.Option(help="Nodes of this GPU class; all without --nodes.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="How many of the class: idle ones first.")] = None,
    begins: Annotated[str | None, typer.Option("--from", help="2h from now, or 2026-12-24T18:00; else now.")] = None,
    ends: Annotated[str | None, typer.Option("--to", help="When it ends; else once it is withdrawn.")] = None,
    group: Annotated[str | None, typer.Option("--for", help="Group that alone may run there; else nobody.")] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Have nothing run on nodes for a time, or one group alone; without nodes or class on the whole site. Tells who goes when."""
    from scheduler.cli.client import Client

    now = datetime.now(UTC)
    body = {
        "nodes": node or None,
        "gpu_class": gpu_class,
        "count": nodes,
        "from": None if begins is None else moment_text(begins, "--from", now),
        "to": None if ends is None else moment_text(ends, "--to", now),
        "reason": reason,
        "group": group,
    }
    made = Client.from_profile().post(path_of("sites", name, "reservations"), strip_none(body))
    _write_reservations([made], output)
    write_departures(made, output)


@reserve_app.command("list")
@command
def reserve_list(name: SiteName, output: Output = OutputFormat.TABLE) -> None:
    """A site's reservations that are not over, and how many runs still have to go."""
    from scheduler.cli.client import Client

    _write_reservations(Client.from_profile().pages(path_of("sites", name, "reservations")), output)


@reserve_app.command("withdraw")
@command
def reserve_withdraw(
    reservation: Annotated[int, typer.Argument(min=1, help="Number of the reservation.")],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Have the nodes take work again. Who was told to go goes."""
    from scheduler.cli.client import Client

    answer = Client.from_profile().post(path_of("reservations", reservation, "withdraw"), {"why": why})
    _write_reservations([answer], output)
