"""Moments as people write them on the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from scheduler.cli.failure import usage_failure
from scheduler.cli.output import KOREA

#: A while from now is at the least so much longer: it has to be as long when the server reads it.
SLACK = timedelta(seconds=10)
_MINUTE = timedelta(minutes=1)


def moment_text(text: str, option: str, now: datetime) -> str:
    """Read ``2h30m`` (from ``now`` on), ``2026-12-24T18:00`` (Korean time) or a time with an offset; answer RFC 3339.

    A while from now is rounded up to a whole minute.
    """
    from scheduler.model.duration import parse_duration_seconds

    written = text.strip()
    try:
        if re.fullmatch(r"(\d{1,9}\s*[smhdw]\s*)+", written):
            moment = now + timedelta(seconds=parse_duration_seconds(written)) + SLACK
            return (moment + -(moment - datetime.min.replace(tzinfo=moment.tzinfo)) % _MINUTE).isoformat()
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*", written, re.ASCII):
            moment = datetime.fromisoformat(written)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=KOREA)).isoformat()
    except (ValueError, OverflowError):
        pass  # what only looks like a time is told as anything else that is none
    raise usage_failure(
        f"{option} {text!r}: write how long from now, like 2h, or a time, like 2026-12-24T18:00 (Korean time).",
        f"{option} {text!r}: 2h처럼 지금부터의 길이나, 2026-12-24T18:00처럼 시각(한국 시간)을 쓰십시오.",
    )
