"""When an offer lends: a weekly calendar in a time zone, with blackout dates and a beginning and an end.

A calendar without windows is open all the time. A window whose ``to`` is not after its ``from`` ends on the next day:
``{days: mon-fri, from: "19:00", to: "08:00"}`` is open five nights, the last one into Saturday. On a blackout date
nothing is lent from midnight to midnight, whichever day a window began on. What wall-clock times mean when clocks change
is told in ``wall_time``. The time-zone database counts as a constant: schedulers that decide together need the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from scheduler.model.job_spec import Part
from scheduler.model.spell import Spell, by_start, merged
from scheduler.model.wall_time import (
    MINUTES_A_DAY,
    Day,
    MinuteOfDay,
    TimeZoneName,
    moment_ms,
    parse_day,
    parse_wall,
    wall_at,
)


class Weekday(StrEnum):
    """Days of the week as calendars name them, in the order of ``date.weekday``."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


_WEEK = tuple(Weekday)
_NUMBER = {day: number for number, day in enumerate(_WEEK)}
_DAY = timedelta(days=1)
#: Some year with whole weeks at both ends.
_A_YEAR = (date(2026, 1, 1), date(2027, 1, 15))


def parse_weekdays(value: Any) -> tuple[Weekday, ...]:
    """Read ``"sat"``, ``"mon-fri"``, ``"fri-mon"`` or a list of such as days, each once, from Monday on."""
    found: set[Weekday] = set()
    for part in value if isinstance(value, list | tuple) else (value,):
        first, dash, last = part.strip().lower().partition("-") if isinstance(part, str) else ("", "", "")
        if first not in _NUMBER or (last if dash else first) not in _NUMBER:
            raise PydanticCustomError("days", "write days like sat, mon-fri or [mon, wed, fri]")
        begin, end = _NUMBER[Weekday(first)], _NUMBER[Weekday(last if dash else first)]
        found.update(_WEEK[(begin + each) % 7] for each in range((end - begin) % 7 + 1))
    if not found:
        raise PydanticCustomError("no_day", "name at least one day, or leave days out for every day")
    return tuple(sorted(found, key=_WEEK.index))


def parse_valid_from(value: Any) -> datetime:
    """Read a local time; a date alone means its first minute."""
    return parse_wall(_midnight(value, 0) or value)


def parse_valid_until(value: Any) -> datetime:
    """Read a local time; a date alone is the last day on which the calendar is open."""
    return parse_wall(_midnight(value, 1) or value)


def _midnight(value: Any, days: int) -> datetime | None:
    try:
        return datetime.combine(parse_day(value) + days * _DAY, time.min)
    except ValueError:
        return None


class Window(Part):
    """Hours that are open on some days of the week; without hours the whole day. ``opens`` and ``closes`` count minutes."""

    days: Annotated[tuple[Weekday, ...], BeforeValidator(parse_weekdays, json_schema_input_type=str | list[str])] = (
        _WEEK
    )
    opens: MinuteOfDay = Field(default=0, ge=0, lt=MINUTES_A_DAY, alias="from")
    closes: MinuteOfDay = Field(default=MINUTES_A_DAY, ge=0, le=MINUTES_A_DAY, alias="to")

    @model_validator(mode="after")
    def _some_time(self) -> Window:
        if self.opens == self.closes:
            raise PydanticCustomError("same_time", "from and to are the same time: leave both out for the whole day")
        return self

    @property
    def ends_at(self) -> int:
        """Minutes from the midnight before it opens to its end, which may lie on the next day."""
        return self.closes if self.closes > self.opens else self.closes + MINUTES_A_DAY


class Blackout(Part):
    """Days on which nothing is lent, both ends included. A date alone is one day."""

    first: Day = Field(alias="from")
    last: Day = Field(alias="to")

    @model_validator(mode="before")
    @classmethod
    def _one_day(cls, value: Any) -> Any:
        return {"from": value, "to": value} if isinstance(value, str | date) else value

    @model_validator(mode="after")
    def _in_order(self) -> Blackout:
        if self.last < self.first:
            raise PydanticCustomError(
                "dates_swapped",
                "to ({last}) lies before from ({first}): swap them",
                {"first": str(self.first), "last": str(self.last)},
            )
        return self


class Calendar(Part):
    """Weekly windows of a time zone, less its blackout dates, from ``valid_from`` until before ``valid_until``."""

    time_zone: TimeZoneName
    windows: tuple[Window, ...] = Field(default=(), max_length=64)
    blackouts: tuple[Blackout, ...] = Field(default=(), max_length=400)
    valid_from: Annotated[datetime, BeforeValidator(parse_valid_from, json_schema_input_type=str)] | None = None
    valid_until: Annotated[datetime, BeforeValidator(parse_valid_until, json_schema_input_type=str)] | None = None

    @model_validator(mode="after")
    def _some_validity(self) -> Calendar:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise PydanticCustomError(
                "validity_swapped",
                "valid_until ({last}) is not after valid_from ({first}): swap them",
                {"first": str(self.valid_from), "last": str(self.valid_until)},
            )
        return self


def intervals(calendar: Calendar, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """When the calendar is open inside [from_ms, to_ms): (start_ms, end_ms) in order, none touching the next."""
    found: list[tuple[int, int]] = []
    for start_ms, end_ms in spells(calendar, from_ms):
        if start_ms >= to_ms:
            break
        found.append((start_ms, to_ms if end_ms is None else min(end_ms, to_ms)))
    return found


def is_open(calendar: Calendar, now_ms: int) -> bool:
    """Whether the calendar is open at a moment."""
    first = next(spells(calendar, now_ms), None)
    return first is not None and first[0] == now_ms


def next_change_ms(calendar: Calendar, now_ms: int) -> int | None:
    """The first moment after ``now_ms`` at which the calendar opens or closes; None when it never does again."""
    first = next(spells(calendar, now_ms), None)
    if first is None:
        return None
    return first[1] if first[0] == now_ms else first[0]


def spells(calendar: Calendar, from_ms: int) -> Iterator[Spell]:
    """When the calendar is open from a moment on, in order and apart, found one by one; the last may have no end."""
    return merged(_pieces(calendar, from_ms))


@lru_cache(maxsize=4096)
def longest_spell_ms(calendar: Calendar) -> int | None:
    """For how long the calendar may ever be open at a stretch, blackouts left out; None: no end is known.

    Windows are weekly, so a year of the zone's present rules shows the longest, with the night on which clocks are turned back.
    A calendar that is valid between two dates is not open for longer than from one to the other.
    """
    zone, since, until = calendar.time_zone, calendar.valid_from, calendar.valid_until
    whole_ms = _wall_ms(zone, until) - _wall_ms(zone, since) if since and until else None
    if _is_every_hour(calendar.windows):
        return whole_ms
    weekly = Calendar(time_zone=zone, windows=calendar.windows)
    begin_ms, end_ms = (moment_ms(zone, day, 0) for day in _A_YEAR)
    longest_ms = max(to_ms - from_ms for from_ms, to_ms in intervals(weekly, begin_ms, end_ms))
    return longest_ms if whole_ms is None else min(longest_ms, whole_ms)


def _pieces(calendar: Calendar, from_ms: int) -> Iterator[Spell]:
    always = _is_every_hour(calendar.windows)
    for begin_ms, end_ms in _allowed(calendar, from_ms):
        if always:
            yield begin_ms, end_ms
            continue
        for opens_ms, closes_ms in _windows(calendar, begin_ms):
            if end_ms is not None and opens_ms >= end_ms:
                break
            yield max(opens_ms, begin_ms), closes_ms if end_ms is None else min(closes_ms, end_ms)


def _allowed(calendar: Calendar, from_ms: int) -> Iterator[Spell]:
    """The calendar's validity from a moment on, without its blackouts."""
    zone = calendar.time_zone
    start_ms, until_ms = from_ms, None
    if calendar.valid_from:
        start_ms = max(start_ms, _wall_ms(zone, calendar.valid_from))
    if calendar.valid_until:
        until_ms = _wall_ms(zone, calendar.valid_until)
    black = [(moment_ms(zone, each.first, 0), moment_ms(zone, each.last, MINUTES_A_DAY)) for each in calendar.blackouts]
    for begin_ms, end_ms in sorted(black):
        if end_ms <= max(begin_ms, start_ms):
            continue
        if until_ms is not None and begin_ms >= until_ms:
            break
        if begin_ms > start_ms:
            yield start_ms, begin_ms
        start_ms = end_ms
    if until_ms is None or start_ms < until_ms:
        yield start_ms, until_ms


def _windows(calendar: Calendar, from_ms: int) -> Iterator[tuple[int, int]]:
    """Every window that ends after a moment, by its start, without end."""
    zone = calendar.time_zone
    windows = sorted(calendar.windows, key=lambda window: window.opens)
    week = [[(each.opens, each.ends_at) for each in windows if day in each.days] for day in _WEEK]
    day = wall_at(ZoneInfo(zone), from_ms).date() - _DAY  # yesterday's may reach into today
    while True:
        for opens, ends_at in week[day.weekday()]:
            closes_ms = moment_ms(zone, day, ends_at)
            if closes_ms > from_ms:
                yield moment_ms(zone, day, opens), closes_ms
        day += _DAY


def _wall_ms(time_zone: str, wall: datetime) -> int:
    return moment_ms(time_zone, wall.date(), wall.hour * 60 + wall.minute)


@lru_cache(maxsize=4096)
def _is_every_hour(windows: tuple[Window, ...]) -> bool:
    """Whether the windows leave no minute of the week out; then their merging would never come to an end."""
    week = 7 * MINUTES_A_DAY
    covered: list[Spell] = []
    for window in windows:
        for day in window.days:
            midnight = _WEEK.index(day) * MINUTES_A_DAY
            begin, end = midnight + window.opens, midnight + window.ends_at
            covered.append((begin, min(end, week)))
            covered.append((0, end - week))
    return not windows or list(merged(sorted(covered, key=by_start))) == [(0, week)]
