"""Times as text: RFC 3339, UTC, to the millisecond; and how long something takes."""

from __future__ import annotations

from datetime import datetime

from scheduler.model.wall_time import moment_text


def time_text(at_ms: int) -> str:
    """Write milliseconds since the epoch as ``2026-11-24T03:00:00.000Z``."""
    return moment_text(at_ms)


def time_ms(text: str) -> int | None:
    """Read an RFC 3339 time with an offset as milliseconds since the epoch; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)


def length_text(seconds: float) -> str:
    """Write a length of time as ``2d03h``, ``3h04m``, ``5m06s`` or ``7.5s``."""
    whole = round(seconds)
    for unit, part, name, part_name in ((86_400, 3600, "d", "h"), (3600, 60, "h", "m"), (60, 1, "m", "s")):
        if whole >= unit:
            return f"{whole // unit}{name}{whole % unit // part:02}{part_name}"
    return f"{seconds:.1f}s"
