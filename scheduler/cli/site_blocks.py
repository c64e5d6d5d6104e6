"""Blocks of a site's leaves: how many nodes of each take work at a time, so that the others stay spares."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.options import Output, command
from scheduler.cli.output import Column, OutputFormat, field
from scheduler.cli.sites import NeededWhy, SiteName

GpuClass = Annotated[str, typer.Option("--gpu-class", help="GPU class, e.g. h100.")]

_COLUMNS = (Column(heading="CLASS", value=field("gpu_class")), Column(heading="NODES", value=field("nodes")))

block_app = typer.Typer(
    help="Blocks: how many nodes of a leaf take work at a time; the others stay spares.", no_args_is_help=True
)


def _write_blocks(site: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    blocks = site["block_nodes"].items()
    rows = [{"site": site["name"], "gpu_class": each, "nodes": nodes} for each, nodes in sorted(blocks)]
    write_rows(rows, _COLUMNS, output, "gpu_class")


@block_app.command("set")
@command
def block_set(
    name: SiteName,
    gpu_class: GpuClass,
    nodes: Annotated[int, typer.Option(min=1, max=4096, help="Nodes of a leaf that take work: 16 of an NVL72 rack.")],
    why: NeededWhy,
    output: Output = OutputFormat.TABLE,
) -> None:
    """So many nodes of each leaf take work, and a spare as soon as one of them is not well. What runs goes on."""
    from scheduler.cli.client import Client

    body = {"nodes": nodes, "why": why}
    _write_blocks(Client.from_profile().put(path_of("sites", name, "blocks", gpu_class), body, {}), output)


@block_app.command("clear")
@command
def block_clear(name: SiteName, gpu_class: GpuClass, why: NeededWhy, output: Output = OutputFormat.TABLE) -> None:
    """All nodes of a GPU class take work again."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_done

    Client.from_profile().delete(path_of("sites", name, "blocks", gpu_class), why=why)
    write_done({"site": name, "gpu_class": gpu_class, "nodes": None}, output, "gpu_class")


@block_app.command("list")
@command
def block_list(name: SiteName, output: Output = OutputFormat.TABLE) -> None:
    """A site's blocks, by GPU class, for its operators."""
    from scheduler.cli.client import Client

    site = Client.from_profile().get(path_of("sites", name))
    _write_blocks({"block_nodes": {}, **site}, output)
