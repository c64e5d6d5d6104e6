"""The Standard Workload Format of the Parallel Workloads Archive: 18 numbers a line, ``;`` begins a comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scheduler.simulator.trace import TraceRow

_FIELDS = 18
_STATES = {"0": "failed", "1": "completed", "5": "killed"}


def read_swf(lines: Iterable[str]) -> Iterator[TraceRow]:
    """Read jobs; -1 means "not known". Processors are the larger of those used and those asked for.

    Raises ValueError for a line that has not 18 numbers.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        fields = line.split()
        if len(fields) < _FIELDS:
            raise ValueError(f"line {number} has {len(fields)} of {_FIELDS} fields")
        yield _row(fields)


def _row(fields: list[str]) -> TraceRow:
    processors = max(int(float(fields[4])), int(float(fields[7])), 1)
    memory_kib = float(fields[9]) if float(fields[9]) > 0 else 0.0
    return TraceRow(
        job_id=fields[0],
        user=_named("u", fields[11]),
        group=_named("g", fields[12]),
        submit_ms=round(float(fields[1]) * 1000),
        duration_ms=_known_ms(fields[3]),
        gpus=0,
        cpus=processors,
        memory_mib=round(memory_kib * processors / 1024) or None,
        walltime_ms=_known_ms(fields[8]),
        state=_STATES.get(fields[10], ""),
        qos=_named("q", fields[14]),
        site=_named("site-", fields[15]),
    )


def _known_ms(text: str) -> int | None:
    seconds = float(text)
    return round(seconds * 1000) if seconds >= 0 else None


def _named(prefix: str, text: str) -> str:
    return "" if float(text) < 0 else f"{prefix}{int(float(text))}"
