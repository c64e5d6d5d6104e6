"""Moments on the command line: a while from now, Korean time, or any time with its offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cli.failure import EXIT_USAGE, CommandFailure
from scheduler.cli.moment import SLACK, moment_text

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", "2026-11-25T05:01:00+00:00"),
        ("1h30m", "2026-11-25T04:31:00+00:00"),
        (" 2d ", "2026-11-27T03:01:00+00:00"),
        ("2026-12-24T18:00", "2026-12-24T18:00:00+09:00"),
        ("2026-12-24 18:00", "2026-12-24T18:00:00+09:00"),
        ("2026-12-24T18:00:30Z", "2026-12-24T18:00:30+00:00"),
        ("2026-12-24T18:00+01:00", "2026-12-24T18:00:00+01:00"),
    ],
)
def test_a_moment_is_read_as_it_is_meant(text: str, moment: str) -> None:
    assert moment_text(text, "--by", NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "2", "2026-12-24", "18:00", "2026-13-24T18:00", "999999999w", "2026-12-24T18:00 KST"]
)
def test_what_is_no_moment_is_refused_with_its_option(text: str) -> None:
    with pytest.raises(CommandFailure) as refused:
        moment_text(text, "--by", NOW)
    assert refused.value.exit_code == EXIT_USAGE and "--by" in refused.value.lines[0]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)), st.integers(0, 10_000))
def test_a_while_from_now_is_a_whole_minute_that_is_no_sooner_when_it_is_sent(now: datetime, seconds: int) -> None:
    now = now.replace(tzinfo=UTC)
    moment = datetime.fromisoformat(moment_text(f"{seconds}s", "--by", now))
    assert SLACK <= moment - now - timedelta(seconds=seconds) < SLACK + timedelta(minutes=1)
    assert (moment.second, moment.microsecond) == (0, 0)


@given(st.text(max_size=24) | st.from_regex(r"[0-9T :+Z-]{1,24}", fullmatch=True))
def test_any_text_is_a_time_with_an_offset_or_refused(text: str) -> None:
    try:
        moment = moment_text(text, "--by", NOW)
    except CommandFailure:
        return
    assert datetime.fromisoformat(moment).tzinfo is not None
