"""A job's deadline: by when it has to be over to be of any use. It never changes the order of jobs.

Written as a moment, or as a time after the job's submission. A run may take its walltime, so that the last moment at
which it may start is the deadline less the walltime; what has not started by then is cancelled, and never started.
A run that goes on is ended by its walltime and by nothing else: what nearly came in time may still be of use.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from scheduler.model.duration import parse_duration_seconds
from scheduler.model.wall_time import read_moment_ms

DEADLINE_SECONDS_MAX = 10 * 366 * 86_400


def parse_deadline(value: Any) -> int | str:
    """Read ``"12h"`` as seconds after the submission; a moment stays as it is written. Raises what pydantic tells."""
    if isinstance(value, str) and read_moment_ms(value) is not None:
        return value.strip()
    wrong = PydanticCustomError(
        "deadline",
        "write a time like 2026-12-24T18:00 (Korean time, or with an offset), or how long after now like 12h",
    )
    try:
        seconds = parse_duration_seconds(value)
    except PydanticCustomError:
        raise wrong from None
    if type(seconds) is not int or not 1 <= seconds <= DEADLINE_SECONDS_MAX:
        raise wrong
    return seconds


Deadline = Annotated[
    int | str,
    BeforeValidator(parse_deadline),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": DEADLINE_SECONDS_MAX},
                {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["2026-12-24T18:00", "12h"]},
            ]
        }
    ),
]


def start_by_ms(deadline: int | str, submitted_ms: int, walltime_seconds: int | None) -> int:
    """The last moment at which a run may start and be over by the deadline, in ms UTC."""
    if isinstance(deadline, int):
        over_ms = submitted_ms + deadline * 1000
    else:
        read = read_moment_ms(deadline)
        assert read is not None, "it was read before"
        over_ms = read
    return over_ms - (walltime_seconds or 0) * 1000
