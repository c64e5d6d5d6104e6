"""What groups were charged, and what lenders are owed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.options import Output, command
from scheduler.cli.output import Column, OutputFormat, field


def _hours(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: f"{row[name] / 3600:.2f}"


_CLASS = Column(heading="CLASS", value=field("gpu_class"))
_HOURS = Column(heading="GPU-HOURS", value=_hours("gpu_seconds"))
_CREDITS = Column(heading="CREDITS", value=field("credits"))
_RUNS = Column(heading="RUNS", value=field("runs"))
_LOST = Column(heading="LOST-GPU-HOURS", value=_hours("gpu_seconds_lost"))


@command
def usage(
    group: Annotated[str, typer.Argument(help="Path of the group.")], output: Output = OutputFormat.TABLE
) -> None:
    """What a group and all below it were charged, by GPU class; work that was destroyed for others is charged to nobody."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    told = Client.from_profile().get(path_of("groups", group, "usage"))
    write_rows(told["items"], (_CLASS, _HOURS, _LOST, _CREDITS, _RUNS), output, "gpu_class", told)


@command
def site_owed(
    name: Annotated[str, typer.Argument(help="Name of the site.")], output: Output = OutputFormat.TABLE
) -> None:
    """What a site's owner is owed for what was used there, by GPU class."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    told = Client.from_profile().get(path_of("sites", name, "owed"))
    write_rows(told["items"], (_CLASS, _HOURS, _CREDITS, _RUNS), output, "gpu_class", told)
