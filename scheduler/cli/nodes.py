"""Nodes of a site: list them, set one aside, give one back; and what was done to the site."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.options import Output, command
from scheduler.cli.output import Column, OutputFormat, field
from scheduler.cli.resources import EVENT_COLUMNS
from scheduler.cli.sites import NeededWhy, SiteName

NodeName = Annotated[str, typer.Argument(help="Name of the node, as the site reports it.")]


def _since(row: Any) -> str:
    from scheduler.cli.output import show_time

    aside = row.get("set_aside")
    return show_time(aside["since"]) if aside else "-"


def _reason(row: Any) -> str:
    from scheduler.cli.output import show_reason

    aside = row.get("set_aside")
    return show_reason(aside["reason"]) if aside else "-"


NODE_COLUMNS = (
    Column(heading="NAME", value=field("name")),
    Column(heading="POOL", value=field("pool"), wide=True),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="GPUS", value=field("gpus")),
    Column(heading="HEALTHY", value=field("healthy")),
    Column(heading="SPARE", value=field("spare")),
    Column(heading="FAILURES", value=field("failures")),
    Column(heading="INCIDENTS", value=field("incidents"), wide=True),
    Column(heading="PEOPLE", value=field("people"), wide=True),
    Column(heading="ASIDE-SINCE", value=_since),
    Column(heading="BY", value=lambda row: (row.get("set_aside") or {}).get("by", "-"), wide=True),
    Column(heading="REASON", value=_reason),
)

node_app = typer.Typer(help="Nodes of a site, and those that are set aside.", no_args_is_help=True)


def _write_nodes(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, NODE_COLUMNS, output, "name")


@node_app.command("list")
@command
def node_list(
    name: SiteName,
    aside: Annotated[bool, typer.Option("--aside", help="Only those that are set aside.")] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """A site's nodes, and what failed on them within a day by the node's doing."""
    from scheduler.cli.client import Client

    rows = Client.from_profile().pages(path_of("sites", name, "nodes"), aside="true" if aside else None)
    _write_nodes(rows, output)


def _act(name: str, node: str, action: str, why: str, output: OutputFormat) -> None:
    from scheduler.cli.client import Client

    _write_nodes([Client.from_profile().post(path_of("sites", name, "nodes", node, action), {"why": why})], output)


@node_app.command("set-aside")
@command
def node_set_aside(name: SiteName, node: NodeName, why: NeededWhy, output: Output = OutputFormat.TABLE) -> None:
    """Nothing new on the node until it is given back; what runs there goes on."""
    _act(name, node, "set-aside", why, output)


@node_app.command("return")
@command
def node_return(name: SiteName, node: NodeName, why: NeededWhy, output: Output = OutputFormat.TABLE) -> None:
    """Work again on a node that was set aside; what failed there before counts no more."""
    _act(name, node, "return", why, output)


@command
def site_events(
    name: SiteName,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1000,
    output: Output = OutputFormat.TABLE,
) -> None:
    """What was done to a site and its nodes, and why; the oldest first."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    write_rows(Client.from_profile().pages(path_of("sites", name, "events"), limit), EVENT_COLUMNS, output, "id")
