"""Deadlines as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scheduler.model.deadline import start_by_ms
from scheduler.model.job_spec import JobSpec
from scheduler.model.wall_time import read_moment_ms

SPEC = {"name": "job", "group": "research", "command": ["true"]}


def spec_of(deadline: object) -> JobSpec:
    return JobSpec.model_validate({**SPEC, "deadline": deadline})


@pytest.mark.parametrize(("written", "seconds"), [("12h", 43_200), (90, 90), ("1h30m", 5400), ("02:30:00", 9000)])
def test_a_length_counts_from_the_submission_less_the_walltime(written: object, seconds: int) -> None:
    deadline = spec_of(written).deadline
    assert deadline == seconds
    assert start_by_ms(deadline, 1000, None) == 1000 + seconds * 1000
    assert start_by_ms(deadline, 1000, 60) == 1000 + (seconds - 60) * 1000


def test_a_time_without_an_offset_is_korean() -> None:
    korean = spec_of("2026-12-24T18:00").deadline
    assert korean == "2026-12-24T18:00"
    for same in ("2026-12-24T18:00:00+09:00", "2026-12-24 09:00Z", "2026-12-24T04:00-05:00"):
        assert read_moment_ms(same) == read_moment_ms(korean) == start_by_ms(korean, 5, None)


@given(
    moment=st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2198, 1, 1)),
    offset=st.integers(-14 * 60, 14 * 60),
)
def test_any_moment_with_an_offset_is_what_the_standard_library_says(moment: datetime, offset: int) -> None:
    whole = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    assert read_moment_ms(whole.isoformat()) == whole.timestamp() * 1000


@pytest.mark.parametrize(
    "wrong", ["soon", "", 0, -5, True, 1.5, [], "2026-13-01T00:00", "2026-12-24T24:00", "2026-12-24", "999999999d"]
)
def test_anything_else_is_told_how_to_write_it(wrong: object) -> None:
    with pytest.raises(ValidationError, match="write a time like") as told:
        spec_of(wrong)
    assert [error["loc"] for error in told.value.errors()] == [("deadline",)]
