"""Calendars: what is read, what is refused, and when they are open, against a clock that is watched minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scheduler.model.calendar import (
    Calendar,
    Weekday,
    intervals,
    is_open,
    longest_spell_ms,
    next_change_ms,
    parse_weekdays,
    spells,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NIGHTS = {"days": "mon-fri", "from": "19:00", "to": "08:00"}
#: Where clocks change, or do not: by an hour, by half of one, by a lost day, back over midnight, forward at midnight.
SCENES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Pacific/Apia", "2011-12-30"),
    ("America/Asuncion", "2024-03-24"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Seoul", "2026-05-05"),
]
STEP_MINUTES = 10


def calendar(**fields: Any) -> Calendar:
    return Calendar.model_validate({"time_zone": "Asia/Seoul"} | fields)


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(found: list[tuple[int, int]], time_zone: str) -> list[str]:
    """Intervals as the zone's clock shows them."""
    zone = ZoneInfo(time_zone)
    return [" > ".join(f"{datetime.fromtimestamp(each / 1000, zone):%a %H:%M}" for each in pair) for pair in found]


def open_by_the_clock(given: Calendar, latest: datetime) -> bool:
    """Whether it is open when ``latest`` is the latest time that the zone's clock has shown."""
    if given.valid_from and latest < given.valid_from:
        return False
    if given.valid_until and latest >= given.valid_until:
        return False
    if any(each.first <= latest.date() <= each.last for each in given.blackouts):
        return False
    if not given.windows:
        return True
    days = list(Weekday)
    minute = latest.hour * 60 + latest.minute
    today, yesterday = days[latest.weekday()], days[latest.weekday() - 1]
    for window in given.windows:
        over_midnight = window.closes < window.opens
        if today in window.days and window.opens <= minute and (over_midnight or minute < window.closes):
            return True
        if yesterday in window.days and over_midnight and minute < window.closes:
            return True
    return False


def watched(given: Calendar, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """The oracle: watch the clock from well before, keep the latest time it has shown, and note what that says."""
    zone = ZoneInfo(given.time_zone)
    found: list[list[int]] = []
    latest = datetime.min
    for at_ms in range(from_ms - 2 * DAY_MS, to_ms, STEP_MINUTES * MINUTE_MS):
        latest = max(latest, datetime.fromtimestamp(at_ms // 1000, zone).replace(tzinfo=None, fold=0))
        if at_ms < from_ms or not open_by_the_clock(given, latest):
            continue
        end_ms = min(at_ms + STEP_MINUTES * MINUTE_MS, to_ms)
        if found and found[-1][1] == at_ms:
            found[-1][1] = end_ms
        else:
            found.append([at_ms, end_ms])
    return [(start_ms, end_ms) for start_ms, end_ms in found]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Calendar, int, int]:
    """A calendar on a grid of ten minutes, and an interval around a day on which something may happen to the clock."""
    time_zone, text = draw(st.sampled_from(SCENES))
    middle = date.fromisoformat(text)
    near = st.integers(-4, 4).map(lambda days: middle + timedelta(days=days))
    wall = st.builds(
        lambda day, step: datetime.combine(day, datetime.min.time()) + timedelta(minutes=STEP_MINUTES * step),
        near,
        st.integers(0, 143),
    )
    hours = st.tuples(st.integers(0, 143), st.integers(0, 144)).filter(lambda pair: pair[0] != pair[1])
    night = st.tuples(st.integers(0, 24), st.integers(0, 24)).filter(lambda pair: pair[0] != pair[1])
    windows = st.builds(
        lambda days, pair: {"days": days, "from": pair[0] * STEP_MINUTES, "to": pair[1] * STEP_MINUTES},
        st.lists(
            st.sampled_from([str(day) for day in Weekday] + ["mon-fri", "sat-sun", "mon-sun"]), min_size=1, max_size=2
        ),
        hours | night | st.just((0, 144)),
    )
    black = st.lists(st.tuples(near, near).map(sorted).map(lambda pair: {"from": pair[0], "to": pair[1]}), max_size=2)
    valid = draw(st.lists(wall, min_size=2, max_size=2, unique=True).map(sorted))
    given = calendar(
        time_zone=time_zone,
        windows=draw(st.lists(windows, max_size=3)),
        blackouts=draw(black),
        valid_from=valid[0] if draw(st.booleans()) else None,
        valid_until=valid[1] if draw(st.booleans()) else None,
    )
    start_ms = utc_ms(text) + draw(st.integers(-6 * 144, 144)) * STEP_MINUTES * MINUTE_MS
    return given, start_ms, start_ms + draw(st.integers(0, 9 * 144)) * STEP_MINUTES * MINUTE_MS


@given(scenes())
def test_a_calendar_is_open_when_somebody_who_watches_the_clock_says_so(scene: tuple[Calendar, int, int]) -> None:
    assert intervals(*scene) == watched(*scene)


@given(scenes())
def test_a_moment_is_open_when_it_lies_in_an_interval_and_changes_where_one_begins_or_ends(
    scene: tuple[Calendar, int, int],
) -> None:
    given_calendar, now_ms, end_ms = scene
    found = intervals(given_calendar, now_ms, end_ms + 1)
    opens_now = bool(found) and found[0][0] == now_ms
    assert is_open(given_calendar, now_ms) == opens_now
    edges = [edge for pair in found for edge in pair if now_ms < edge <= end_ms]
    change_ms = next_change_ms(given_calendar, now_ms)
    if edges:
        assert change_ms == edges[0]
    else:
        assert change_ms is None or change_ms > end_ms


@given(scenes().filter(lambda scene: scene[1] >= utc_ms("2025-12-01")))  # zones keep the rules that they have now
def test_no_calendar_is_open_for_longer_than_its_longest_spell(scene: tuple[Calendar, int, int]) -> None:
    longest_ms = longest_spell_ms(scene[0])
    assert longest_ms is None or all(end_ms - start_ms <= longest_ms for start_ms, end_ms in intervals(*scene))


@pytest.mark.parametrize(
    ("given_calendar", "hours"),
    [
        (calendar(windows=[NIGHTS]), 13),
        (calendar(windows=[NIGHTS, {"days": "sat-sun"}]), 53),
        (calendar(time_zone="Europe/Berlin", windows=[{"days": "sun", "from": "01:00", "to": "04:00"}]), 4),
        (calendar(valid_from="2026-03-01", valid_until="2026-03-02"), 48),
        (calendar(windows=[NIGHTS], valid_from="2026-03-02T19:00", valid_until="2026-03-02T20:00"), 1),
        (calendar(valid_until="2026-03-01"), None),
    ],
    ids=["nights", "weekends", "clocks turned back", "two days", "one hour", "no end known"],
)
def test_the_longest_spell_is_that_of_the_longest_night(given_calendar: Calendar, hours: int | None) -> None:
    assert longest_spell_ms(given_calendar) == (None if hours is None else hours * HOUR_MS)


def test_nights_of_working_days_end_on_the_next_morning() -> None:
    found = intervals(calendar(windows=[NIGHTS]), utc_ms("2026-11-02"), utc_ms("2026-11-09"))
    assert shown(found, "Asia/Seoul") == [
        "Mon 19:00 > Tue 08:00",
        "Tue 19:00 > Wed 08:00",
        "Wed 19:00 > Thu 08:00",
        "Thu 19:00 > Fri 08:00",
        "Fri 19:00 > Sat 08:00",
    ]


def test_a_night_and_the_weekend_after_it_are_one_interval() -> None:
    found = intervals(calendar(windows=[NIGHTS, {"days": "sat-sun"}]), utc_ms("2026-11-06"), utc_ms("2026-11-09T12:00"))
    assert shown(found, "Asia/Seoul")[:1] == ["Fri 19:00 > Mon 00:00"]


@pytest.mark.parametrize(
    ("time_zone", "day", "hours"),
    [("Europe/Berlin", "2026-03-28", 12), ("Europe/Berlin", "2026-10-24", 14), ("Asia/Seoul", "2026-03-28", 13)],
)
def test_a_night_is_as_long_as_the_clock_makes_it(time_zone: str, day: str, hours: int) -> None:
    nights = calendar(time_zone=time_zone, windows=[NIGHTS | {"days": "sat"}])
    ((start_ms, end_ms),) = intervals(nights, utc_ms(day), utc_ms(day) + 2 * DAY_MS)
    assert end_ms - start_ms == hours * HOUR_MS


def test_a_time_that_occurs_twice_means_its_first_and_one_that_never_does_the_jump() -> None:
    early = calendar(time_zone="Europe/Berlin", windows=[{"days": "sun", "from": "02:30", "to": "04:00"}])
    assert intervals(early, utc_ms("2026-10-25"), utc_ms("2026-10-26")) == [
        (utc_ms("2026-10-25T00:30"), utc_ms("2026-10-25T03:00"))
    ]
    assert intervals(early, utc_ms("2026-03-29"), utc_ms("2026-03-30")) == [
        (utc_ms("2026-03-29T01:00"), utc_ms("2026-03-29T02:00"))
    ]


def test_a_window_that_falls_into_the_lost_hour_is_left_out_that_day_only() -> None:
    lost = calendar(time_zone="Europe/Berlin", windows=[{"days": "sun", "from": "02:10", "to": "02:50"}])
    assert intervals(lost, utc_ms("2026-03-29"), utc_ms("2026-03-30")) == []
    assert next_change_ms(lost, utc_ms("2026-03-29")) == utc_ms("2026-04-05T00:10")


def test_a_blackout_cuts_a_night_at_midnight_and_the_next_one_begins_as_usual() -> None:
    dark = calendar(windows=[NIGHTS], blackouts=["2026-11-04"])
    found = intervals(dark, utc_ms("2026-11-03T03:00"), utc_ms("2026-11-05T03:00"))
    assert shown(found, "Asia/Seoul") == ["Tue 19:00 > Wed 00:00", "Thu 00:00 > Thu 08:00"]


def test_a_calendar_without_windows_or_with_all_of_the_week_never_closes() -> None:
    now_ms = utc_ms("2026-11-02")
    halves = [{"days": "mon-sun", "from": "20:00", "to": "09:00"}, {"from": "08:00", "to": "20:30"}]
    for endless in (calendar(), calendar(windows=halves), calendar(windows=[{}])):
        assert is_open(endless, now_ms)
        assert next_change_ms(endless, now_ms) is None
        assert list(spells(endless, now_ms)) == [(now_ms, None)]


def test_a_calendar_that_is_over_never_opens_again() -> None:
    over = calendar(windows=[NIGHTS], valid_until="2026-11-01")
    assert not is_open(over, utc_ms("2026-11-02"))
    assert next_change_ms(over, utc_ms("2026-11-02")) is None


def test_the_last_day_of_a_calendar_counts_and_a_time_is_exact() -> None:
    whole = calendar(valid_from="2026-11-02", valid_until="2026-11-03")
    exact = calendar(valid_from="2026-11-02T20:00", valid_until="2026-11-03T06:30")
    wide = (utc_ms("2026-10-01"), utc_ms("2026-12-01"))
    assert shown(intervals(whole, *wide), "Asia/Seoul") == ["Mon 00:00 > Wed 00:00"]
    assert shown(intervals(exact, *wide), "Asia/Seoul") == ["Mon 20:00 > Tue 06:30"]


def test_a_dark_century_does_not_have_to_be_walked_through() -> None:
    dark = calendar(windows=[{"from": "19:00"}], blackouts=[{"from": "2026-11-01", "to": "2199-12-30"}])
    assert next_change_ms(dark, utc_ms("2026-11-02")) == utc_ms("2199-12-30T15:00") + 19 * HOUR_MS


@given(scenes())
def test_a_calendar_comes_back_from_its_own_json(scene: tuple[Calendar, int, int]) -> None:
    assert Calendar.model_validate_json(scene[0].model_dump_json(by_alias=True)) == scene[0]


@pytest.mark.parametrize(
    ("text", "days"),
    [("sat", "sat"), ("mon-wed", "mon tue wed"), ("Sat-Mon", "mon sat sun"), (["fri", "wed-thu"], "wed thu fri")],
)
def test_days_read_as_people_write_them(text: object, days: str) -> None:
    assert parse_weekdays(text) == tuple(days.split())


@pytest.mark.parametrize(
    ("change", "place", "mend"),
    [
        ({"time_zone": "Seoul"}, ("time_zone",), "Asia/Seoul"),
        ({"time_zone": "Asia/Nowhere"}, ("time_zone",), "Asia/Seoul"),
        ({"time_zone": "America/Argentina"}, ("time_zone",), "Asia/Seoul"),
        ({"time_zone": "localtime"}, ("time_zone",), "Asia/Seoul"),
        ({"windows": [{"days": "weekdays"}]}, ("windows", 0, "days"), "mon-fri"),
        ({"windows": [{"days": []}]}, ("windows", 0, "days"), "every day"),
        ({"windows": [{"from": "25:00"}]}, ("windows", 0, "from"), "08:00"),
        ({"windows": [{"from": "24:00"}]}, ("windows", 0, "from"), "less than 1440"),
        ({"windows": [{"to": "24:01"}]}, ("windows", 0, "to"), "08:00"),
        ({"windows": [{"until": "08:00"}]}, ("windows", 0, "until"), "Extra inputs"),
        ({"windows": [{"from": "08:00", "to": "08:00"}]}, ("windows", 0), "leave both out"),
        ({"blackouts": ["2026-02-30"]}, ("blackouts", 0, "from"), "2026-12-24"),
        ({"blackouts": [{"from": "2026-12-24", "to": "2026-12-23"}]}, ("blackouts", 0), "swap"),
        ({"blackouts": [1766534400]}, ("blackouts", 0), "valid dictionary"),
        ({"valid_from": "2026-12-24T18:00+09:00"}, ("valid_from",), "without an offset"),
        ({"valid_from": "0001-01-01"}, ("valid_from",), "1970"),
        ({"valid_until": "9999-12-31"}, ("valid_until",), "2199"),
        ({"valid_until": 7}, ("valid_until",), "local time"),
        ({"valid_from": "2026-12-24", "valid_until": "2026-12-23"}, (), "swap"),
        ({"holidays": []}, ("holidays",), "Extra inputs"),
    ],
)
def test_a_refusal_names_the_field_and_the_mend(change: dict[str, Any], place: tuple[object, ...], mend: str) -> None:
    with pytest.raises(ValidationError) as refused:
        calendar(**change)
    told = {error["loc"]: error["msg"] for error in refused.value.errors()}
    assert mend in told[place]


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["from", "to", "days"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Calendar.model_fields)), _anything))
def test_any_document_is_read_or_refused_by_name_and_what_is_read_can_be_asked(document: dict[str, Any]) -> None:
    try:
        read = calendar(**document)
    except ValidationError as refused:
        assert all(error["loc"] or "swap" in error["msg"] for error in refused.errors())
    else:
        intervals(read, utc_ms("2026-11-02"), utc_ms("2026-11-12"))
        next_change_ms(read, utc_ms("2026-11-02"))


def test_the_published_schema_names_every_field() -> None:
    schema = Calendar.model_json_schema(by_alias=True)
    assert set(schema["properties"]) == set(Calendar.model_fields)
    assert set(schema["$defs"]["Window"]["properties"]) == {"days", "from", "to"}
