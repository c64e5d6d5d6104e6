"""Lenders' commands: ask for lent nodes back, see what is asked for, think better of it."""

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
    Column(heading="ASKED", value=time_field("asked_at"), wide=True),
    Column(heading="DEADLINE", value=time_field("by")),
    Column(heading="LENT-AGAIN", value=time_field("until")),
    Column(heading="WITHDRAWN", value=time_field("withdrawn_at"), wide=True),
    Column(heading="BY", value=field("created_by"), wide=True),
    Column(heading="RUNS", value=run_count),
    Column(heading="NODES", value=field("nodes")),
)


recall_app = typer.Typer(help="Recalls: a lender asks for lent nodes back.", no_args_is_help=True)


def _write_recalls(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _COLUMNS, output, "id")


@recall_app.command("create")
@command
def recall_create(
    name: SiteName,
    gpu_class: Annotated[str, typer.Option(help="GPU class, e.g. h100.")],
    nodes: Annotated[int, typer.Option(min=1, help="How many nodes.")],
    by: Annotated[str, typer.Option(help="When no run may be left on them: 4h from now, or 2026-12-24T18:00.")],
    until: Annotated[str | None, typer.Option(help="When they are lent again; else once it is withdrawn.")] = None,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Ask for lent nodes back: those whose runs lose the least work. Shows which run is told to go when."""
    from scheduler.cli.client import Client

    now = datetime.now(UTC)
    body = {
        "gpu_class": gpu_class,
        "nodes": nodes,
        "by": moment_text(by, "--by", now),
        "until": None if until is None else moment_text(until, "--until", now),
        "why": why,
    }
    made = Client.from_profile().post(path_of("sites", name, "recalls"), strip_none(body))
    _write_recalls([made], output)
    write_departures(made, output)


@recall_app.command("list")
@command
def recall_list(name: SiteName, output: Output = OutputFormat.TABLE) -> None:
    """A site's recalls that are not over, and how many runs still have to go."""
    from scheduler.cli.client import Client

    _write_recalls(Client.from_profile().pages(path_of("sites", name, "recalls")), output)


@recall_app.command("withdraw")
@command
def recall_withdraw(
    recall: Annotated[int, typer.Argument(min=1, help="Number of the recall.")],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Lend the nodes of a recall as before. Who was told to go goes."""
    from scheduler.cli.client import Client

    _write_recalls([Client.from_profile().post(path_of("recalls", recall, "withdraw"), {"why": why})], output)
