"""Who has to go for a recall or a reservation, as a table below it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from scheduler.cli.language import say
from scheduler.cli.output import Column, OutputFormat, field, time_field

_COLUMNS = (
    Column(heading="RUN", value=field("run")),
    Column(heading="JOB", value=field("job")),
    Column(heading="GPUS", value=field("gpus")),
    Column(heading="TOLD", value=time_field("told_at")),
    Column(heading="CHECKPOINTS", value=field("checkpoints")),
    Column(heading="PREEMPTIBLE", value=field("preemptible"), wide=True),
    Column(heading="NODES", value=field("nodes")),
)


def run_count(row: Mapping[str, Any]) -> str:
    """A column's value: how many runs still have to go."""
    return str(len(row["runs"]))


def write_departures(answer: Mapping[str, Any], output: OutputFormat) -> None:
    """The plan of one recall or reservation, for people."""
    from scheduler.cli.output import write_note, write_rows

    if output not in (OutputFormat.TABLE, OutputFormat.WIDE):
        return
    if not answer["runs"]:
        write_note(say("No run has to go.", "비켜야 할 실행이 없습니다."))
        return
    sys.stdout.write("\n")
    write_rows(answer["runs"], _COLUMNS, output, "run")
