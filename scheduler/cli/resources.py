"""What there is for me: free GPUs by class and site, and my groups' quota and use."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.cells import cells_of, cells_text
from scheduler.cli.options import Output, Why, command
from scheduler.cli.output import Column, OutputFormat, field, time_field
from scheduler.cli.quota_decay import quota_decay
from scheduler.cli.quota_preview import quota_preview

_GPU_COLUMNS = (
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="SITE", value=field("site")),
    Column(heading="STATE", value=field("state")),
    Column(heading="TOTAL", value=field("total")),
    Column(heading="FREE", value=field("free")),
    Column(heading="FREE-FOR-ME", value=field("free_for_me")),
)


@command
def gpus(
    group: Annotated[str | None, typer.Option("--group", "-g", help="As seen by this group.")] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """GPUs that are free, and free for me, by class and site."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    answer = Client.from_profile().get("gpus", group=group)
    write_rows(answer["items"], _GPU_COLUMNS, output, "gpu_class", document=answer)


EVENT_COLUMNS = (
    Column(heading="ID", value=field("id"), wide=True),
    Column(heading="AT", value=time_field("at")),
    Column(heading="KIND", value=field("kind")),
    Column(heading="ACTOR", value=field("actor")),
    Column(heading="WHY", value=field("why")),
    Column(heading="DATA", value=lambda row: json.dumps(row["data"], ensure_ascii=False)),
)


@command
def events(
    group: Annotated[str | None, typer.Option("--group", "-g", help="Of this group and below.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1000,
    output: Output = OutputFormat.TABLE,
) -> None:
    """The record: who changed what, and why; the oldest first."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    write_rows(Client.from_profile().pages("events", limit, group=group), EVENT_COLUMNS, output, "id")


def _bounded(name: str) -> Any:
    return lambda row: "-" if row.get(name) is None else str(row[name])


_QUOTA_COLUMNS = (
    Column(heading="GROUP", value=field("group")),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="GUARANTEED", value=field("guaranteed")),
    Column(heading="EFFECTIVE", value=field("guaranteed_effective")),
    Column(heading="LIMIT", value=_bounded("limit")),
    Column(heading="BORROWING", value=_bounded("borrowing_limit"), wide=True),
    Column(heading="LENDING", value=_bounded("lending_limit"), wide=True),
    Column(heading="WEIGHT", value=field("weight"), wide=True),
    Column(heading="CELLS", value=lambda row: cells_text(row.get("cells", []))),
    Column(heading="CELLS-EFFECTIVE", value=lambda row: str(row["cells_effective"]) if row.get("cells") else "-"),
    Column(heading="USED", value=field("used")),
    Column(heading="BORROWED", value=field("used_borrowed")),
    Column(heading="FAIR-SHARE", value=field("fair_share")),
    Column(heading="QUEUED", value=field("queued_gpus")),
    Column(heading="PAST-USE", value=lambda row: f"{row['past_use_gpus']:.1f}"),
    Column(heading="STANDING", value=lambda row: f"{round(row['standing_gpus'], 1) + 0.0:+.1f}"),
    Column(heading="LENDS", value=lambda row: f"{row['lends_gpus']:.1f}", wide=True),
    Column(heading="SURGES", value=lambda row: f"{row['surges_gpus']:.1f}", wide=True),
    Column(heading="ETAG", value=field("etag"), wide=True),
)


def _write_quota(rows: list[dict[str, Any]], output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _QUOTA_COLUMNS, output, "gpu_class")


quota_app = typer.Typer(help="Quota and use of groups. Without a command: of my groups.", invoke_without_command=True)


@quota_app.callback(invoke_without_command=True)
@command
def quota(context: typer.Context, output: Output = OutputFormat.TABLE) -> None:
    """Quota and use of the groups I have a role in."""
    if context.invoked_subcommand is not None:
        return
    from scheduler.cli.client import Client

    client = Client.from_profile()
    paths = dict.fromkeys(one["path"] for one in client.get("whoami")["groups"])
    _write_quota([row for path in paths for row in client.get(path_of("groups", path, "quota"))["items"]], output)


@quota_app.command("show")
@command
def quota_show(
    group: Annotated[str, typer.Argument(help="Path of the group.")], output: Output = OutputFormat.TABLE
) -> None:
    """Quota and use of one group, by GPU class."""
    from scheduler.cli.client import Client

    _write_quota(Client.from_profile().get(path_of("groups", group, "quota"))["items"], output)


_Limit = Annotated[str | None, typer.Option(metavar="N|none", help="The most it uses, N or none.")]
_BorrowingLimit = Annotated[str | None, typer.Option(metavar="N|none", help="The most it borrows, N or none.")]
_Cell = Annotated[
    list[str] | None,
    typer.Option(metavar="LEVEL:NODES=N|none", help="Domains that it gets whole, e.g. leaf:4=2; replaces all."),
]
_LendingLimit = Annotated[str | None, typer.Option(metavar="N|none", help="The most it lends, N or none.")]


@quota_app.command("set")
@command
def quota_set(
    group: Annotated[str, typer.Argument(help="Path of the group.")],
    gpu_class: Annotated[str, typer.Argument(help="GPU class, e.g. h100.")],
    guaranteed: Annotated[int | None, typer.Option(min=0, help="GPUs it gets whenever it asks.")] = None,
    limit: _Limit = None,
    borrowing_limit: _BorrowingLimit = None,
    lending_limit: _LendingLimit = None,
    weight: Annotated[int | None, typer.Option(min=1, help="Its weight in what remains.")] = None,
    cell: _Cell = None,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Set a group's quota for a GPU class; what is not named stays as it is. It ends no running job."""
    from scheduler.cli.client import Client
    from scheduler.cli.failure import usage_failure

    client = Client.from_profile()
    rows = [row for row in client.get(path_of("groups", group, "quota"))["items"] if row["gpu_class"] == gpu_class]
    before: dict[str, Any] = rows[0] if rows else {"guaranteed": 0, "weight": 1, "cells": [], "etag": None}

    def bound(name: str, value: str | None) -> int | None:
        if value is None:
            return before.get(name)
        if value == "none":
            return None
        if not value.isdecimal():
            option = name.replace("_", "-")
            raise usage_failure(
                f"--{option} takes a number or none, not {value!r}.", f"--{option}에는 수나 none을 쓰십시오: {value!r}"
            )
        return int(value)

    body = {
        "guaranteed": before["guaranteed"] if guaranteed is None else guaranteed,
        "limit": bound("limit", limit),
        "borrowing_limit": bound("borrowing_limit", borrowing_limit),
        "lending_limit": bound("lending_limit", lending_limit),
        "weight": before["weight"] if weight is None else weight,
        "why": why,
    }
    if cells := before.get("cells", []) if cell is None else cells_of(cell):
        body["cells"] = cells
    condition = {"If-Match": f'"{before["etag"]}"'} if before.get("etag") else {"If-None-Match": "*"}
    _write_quota([client.put(path_of("groups", group, "quota", gpu_class), body, condition)], output)


quota_app.command("preview")(quota_preview)
quota_app.command("decay")(quota_decay)
