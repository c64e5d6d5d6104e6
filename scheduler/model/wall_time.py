"""Wall-clock times of a time zone: how people write them, and the moments they mean.

A wall-clock time means **the first moment at which the zone's clock shows it or a later time**. So a time that occurs
twice, when clocks go back, means its first occurrence; one that never occurs, when clocks go forward, means the jump.
Later wall-clock times never mean earlier moments, and windows that touch on paper touch in time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

MINUTES_A_DAY = 24 * 60
YEARS = range(1970, 2200)
#: Of times that are written without a zone or an offset.
DEFAULT_TIME_ZONE = "Asia/Seoul"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DATE = "([0-9]{4})-([0-9]{2})-([0-9]{2})"


def parse_minute(value: Any) -> Any:
    """Read ``"19:30"`` as minutes since midnight; ``"24:00"`` is the day's end. Whole numbers are such minutes.

    Anything else that is not text is handed on unchanged for the schema to judge.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([0-9]{1,2}):([0-5][0-9])", value.strip())
    minute = int(match[1]) * 60 + int(match[2]) if match else MINUTES_A_DAY + 1
    if minute > MINUTES_A_DAY:
        raise PydanticCustomError("time_of_day", "write a time of day like 08:00 or 19:30; the day ends at 24:00")
    return minute


def parse_day(value: Any) -> date:
    """Read ``"2026-12-24"``."""
    if isinstance(value, date) and not isinstance(value, datetime):
        day: date | None = value
    else:
        match = re.fullmatch(_DATE, value.strip()) if isinstance(value, str) else None
        day = _date_of(match) if match else None
    if day is None or day.year not in YEARS:
        raise PydanticCustomError(
            "day",
            "write a date like 2026-12-24, of the years {first} to {last}",
            {"first": YEARS[0], "last": YEARS[-1]},
        )
    return day


def parse_wall(value: Any) -> datetime:
    """Read ``"2026-12-24T18:00"`` as a wall-clock time in whole minutes, without a zone of its own."""
    wall = value if isinstance(value, datetime) else None
    match = (
        re.fullmatch(_DATE + r"[T ]([0-9]{2}):([0-9]{2})(?::00)?", value.strip()) if isinstance(value, str) else None
    )
    day = _date_of(match) if match else None
    if match and day and int(match[4]) < 24 and int(match[5]) < 60:
        wall = datetime.combine(day, time(int(match[4]), int(match[5])))
    if wall is None or wall.tzinfo is not None or wall.second or wall.microsecond or wall.year not in YEARS:
        raise PydanticCustomError(
            "local_time",
            "write a local time of the calendar's time_zone like 2026-12-24T18:00, without an offset, or a date; "
            "the years are {first} to {last}",
            {"first": YEARS[0], "last": YEARS[-1]},
        )
    return wall


def read_moment_ms(text: str) -> int | None:
    """Read ``2026-12-24T18:00``, Korean time, or the same with an offset (``Z``, ``+09:00``) as ms UTC; None for all else."""
    match = re.fullmatch(_DATE + r"[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(Z|[+-][0-9]{2}:[0-9]{2})?", text.strip())
    day = _date_of(match) if match else None
    if match is None or day is None or day.year not in YEARS:
        return None
    hours, minutes, seconds = int(match[4]), int(match[5]), int(match[6] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    if match[7] is None:
        return moment_ms(DEFAULT_TIME_ZONE, day, hours * 60 + minutes) + seconds * 1000
    offset = 0 if match[7] == "Z" else int(match[7][1:3]) * 60 + int(match[7][4:])
    ahead = -offset if match[7][0] == "-" else offset
    wall = datetime.combine(day, time(hours, minutes, seconds), tzinfo=UTC)
    return (_seconds(wall) - ahead * 60) * 1000


def moment_text(at_ms: int) -> str:
    """Write ms UTC as numbers have a moment: RFC 3339, UTC, to the millisecond (``2026-11-24T03:00:00.000Z``)."""
    return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def in_korea(text: str) -> str:
    """A moment as numbers have it (``2026-11-24T03:00:00.000Z``) as people in Korea read it: ``2026-11-24 12:00:00 KST``. Any
    other text stays as it is."""
    if not re.fullmatch(_DATE + r"T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", text):
        return text
    at_ms = read_moment_ms(text[:-5] + "Z")
    return text if at_ms is None else f"{wall_at(ZoneInfo(DEFAULT_TIME_ZONE), at_ms):%Y-%m-%d %H:%M:%S} KST"


def _date_of(match: re.Match[str]) -> date | None:
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def known_time_zone(value: str) -> str:
    """Take the name of a zone that the time-zone database has. Raises ValueError for another."""
    unknown = PydanticCustomError("time_zone", "write a time zone like Asia/Seoul, Europe/Berlin or UTC")
    # Names outside of areas are left out: some, such as localtime, mean another zone on each machine.
    if not re.fullmatch(r"UTC|[A-Z][A-Za-z_]{1,30}(/[A-Za-z0-9_+-]{1,30}){1,2}", value):
        raise unknown
    try:
        ZoneInfo(value)
    except (LookupError, OSError, ValueError):
        raise unknown from None
    return value


MinuteOfDay = Annotated[int, BeforeValidator(parse_minute, json_schema_input_type=int | str)]
Day = Annotated[date, BeforeValidator(parse_day, json_schema_input_type=str)]
TimeZoneName = Annotated[str, AfterValidator(known_time_zone)]


@lru_cache(maxsize=1 << 16)
def moment_ms(time_zone: str, day: date, minute: int) -> int:
    """The first moment at which the zone's clock shows ``minute`` of ``day`` or later, in ms UTC.

    Offsets before and after a change are told apart by ``fold`` (PEP 495): the time falls into a gap exactly when the
    offset before it gives the later moment. The jump then lies between the two and is found by halving.
    """
    zone = ZoneInfo(time_zone)
    wall = datetime.combine(day, time.min) + timedelta(minutes=minute)
    before, after = (_seconds(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if before <= after:
        return before * 1000
    early, late = after, before
    while late - early > 1:
        middle = (early + late) // 2
        if wall_at(zone, middle * 1000) < wall:
            early = middle
        else:
            late = middle
    return late * 1000


def wall_at(zone: ZoneInfo, at_ms: int) -> datetime:
    """What the zone's clock shows at a moment, without a zone of its own."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).replace(tzinfo=None, fold=0)


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _SECOND
