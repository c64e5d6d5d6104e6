"""Times as text: RFC 3339, UTC, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(at_ms: int) -> str:
    """Write milliseconds since the epoch as ``2026-11-24T03:00:00.000Z``."""
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def time_ms(text: str) -> int | None:
    """Read an RFC 3339 time with an offset as milliseconds since the epoch; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
