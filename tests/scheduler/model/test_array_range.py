"""Which tasks an array has: read like a person would, and refused with the mend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from scheduler.model.array_range import ARRAY_TASKS_MAX, ArrayRange
from scheduler.model.job_spec import JobSpec


@pytest.mark.parametrize(
    ("text", "tasks", "running_max"),
    [
        ("0-4", (0, 1, 2, 3, 4), None),
        ("7", (7,), None),
        ("4-9:2,1%3", (1, 4, 6, 8), 3),
        ("0-30:10%1", (0, 10, 20, 30), 1),
        ("999999", (999_999,), None),
    ],
)
def test_a_range_names_its_tasks_in_order(text: str, tasks: tuple[int, ...], running_max: int | None) -> None:
    assert ArrayRange.read(text) == ArrayRange(tasks, running_max)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "array"), ("all", "array"), ("1-", "array"), ("-1", "array"), ("0-9%", "array"), ("0-9%a", "array"),
        ("0:2", "array"), ("1000000", "array"), ("9-0", "array_swapped"), ("0-9:0", "array_step"),
        ("0-9%0", "array_idle"), ("1,1", "array_repeated"), ("0-5,3", "array_repeated"),
        ("0-5000", "array_size"), ("0-999999", "array_size"), (",".join(["0-999999"] * 100), "array_size"),
        ("١-٣", "array"),
    ],
)  # fmt: skip
def test_what_makes_no_array_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        ArrayRange.read(text)
    assert refused.value.type == wrong


def test_the_largest_array_has_as_many_tasks_as_one_transaction_writes_well() -> None:
    assert len(ArrayRange.read(f"0-{ARRAY_TASKS_MAX - 1}").tasks) == ARRAY_TASKS_MAX


@given(st.sets(st.integers(0, 300), min_size=1, max_size=60), st.none() | st.integers(1, 99))
def test_whatever_is_written_out_is_read_back(tasks: set[int], running_max: int | None) -> None:
    written = ",".join(map(str, tasks)) + ("" if running_max is None else f"%{running_max}")
    assert ArrayRange.read(written) == ArrayRange(tuple(sorted(tasks)), running_max)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 9))
def test_a_step_counts_from_the_first(first: int, more: int, step: int) -> None:
    expected = tuple(each for each in range(first, first + more + 1) if (each - first) % step == 0)
    assert ArrayRange.read(f"{first}-{first + more}:{step}").tasks == expected


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        JobSpec.model_validate({"name": "a", "group": "g", "command": ["true"], "array": text})
    except ValidationError as refused:
        assert [error["loc"] for error in refused.errors()] == [("array",)]
