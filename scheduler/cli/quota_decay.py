"""How past use counts less and less: shown to everybody, set by administrators."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.options import Output, Why, command
from scheduler.cli.output import Column, OutputFormat, field

_COLUMNS = (
    Column(heading="HALF-LIFE-SECONDS", value=field("half_life_seconds")),
    Column(heading="ENTRY-SECONDS", value=field("entry_seconds")),
    Column(heading="ETAG", value=field("etag"), wide=True),
)


@command
def quota_decay(
    half_life: Annotated[
        str | None, typer.Option(metavar="DURATION", help="After so long use counts half, e.g. 7d (administrators).")
    ] = None,
    entry: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="A start counts at once for so long, e.g. 10m (administrators)."),
    ] = None,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """How past use decays, which orders groups that are equal otherwise. It ends no running job."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    client = Client.from_profile()
    rule = client.get("quotas/decay")
    if half_life is not None or entry is not None:
        body = {
            "half_life_seconds": rule["half_life_seconds"] if half_life is None else half_life,
            "entry_seconds": rule["entry_seconds"] if entry is None else entry,
            "why": why,
        }
        rule = client.put("quotas/decay", body, {"If-Match": f'"{rule["etag"]}"'})
    write_rows([rule], _COLUMNS, output, "half_life_seconds")
