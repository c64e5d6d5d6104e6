"""What is wrong with a field, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from scheduler.api import schemas, validation_text
from scheduler.api.validation_text import english_problem, korean_problem
from scheduler.model.calendar import Calendar
from scheduler.model.job_spec import JobSpec

SMALLEST: dict[str, Any] = {"name": "digits", "group": "research.kaist.vision", "command": ["true"]}


def wrong(change: Mapping[str, Any]) -> Mapping[str, Any]:
    with pytest.raises(ValidationError) as refused:
        JobSpec.model_validate(SMALLEST | change)
    return refused.value.errors()[0]


@pytest.mark.parametrize(
    "change",
    [
        {"walltime": "soon"},
        {"memory_per_worker": "much"},
        {"priority_class": "urgent"},
        {"checkpoint": {"signal": "SIGKILL"}},
        {"gpu_classes": ["h100", "h100"]},
        {"gpu_classes": ["h100"], "speeds": {"a100": 0.5}},
        {"speeds": {"h100": 0}},
        {"speeds": {"H100": 1}},
        {"speeds": {"h100": "fast"}},
        {"after": [3, 3]},
        {"after_ok": [0]},
        {"array": "all"},
        {"array": "0-5000"},
        {"array": "1,1"},
        {"array": "0-9%0"},
        {"array": "0-9:0"},
        {"array": "9-0"},
        {"environment": {"A-B": "1"}},
        {"environment": {"DURE_X": "1"}},
        {"environment": {"A": "\x00"}},
        {"command": ["a", "\x00"]},
        {"command": [" "]},
        {"outputs": ["../x"]},
        {"outputs": ["a**"]},
        {"workers": 100_000, "gpus_per_worker": 1024},
        {"workers": "many"},
        {"workers": {"min": 3, "max": 2}},
        {"workers": {"max": 2}},
        {"name": "a/b"},
        {"group": "Research"},
        {"gpu_classes": ["H100"]},
        {"checkpoint": {"directory": "/tmp"}},
        {"working_directory": "code"},
        {"environment": {"LR": 0.1}},
        {"command": ["sleep", 5]},
    ],
)
def test_whatever_is_wrong_with_a_job_file_is_told_in_korean_and_in_english(change: dict[str, Any]) -> None:
    korean, english = korean_problem(wrong(change)), english_problem(wrong(change))
    assert re.search("[가-힣]", korean) and "값이 올바르지 않습니다" not in korean and "{" not in korean
    assert not re.search("[가-힣]", english)
    assert "^[" not in korean + english


@pytest.mark.parametrize("change", [{"environment": {"LR": 0.1}}, {"command": ["sleep", 5]}])
def test_a_number_where_text_belongs_is_to_be_put_in_quotes(change: dict[str, Any]) -> None:
    assert "quotes" in english_problem(wrong(change))
    assert "따옴표" in korean_problem(wrong(change))


def patterns_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        for each in value.values():
            yield from patterns_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from patterns_in(each)


def test_every_pattern_that_people_s_input_is_held_to_has_its_words() -> None:
    inputs = [
        each
        for each in vars(schemas).values()
        if isinstance(each, type) and issubclass(each, BaseModel) and each.__name__.endswith("In")
    ]
    found = {pattern for each in inputs for pattern in patterns_in(each.model_json_schema())}
    assert found - set(validation_text._FORMS) == set()


CALENDAR: dict[str, Any] = {"time_zone": "Asia/Seoul"}


@pytest.mark.parametrize(
    "change",
    [
        {"time_zone": "Mars/Base"},
        {"valid_from": "soon"},
        {"valid_from": "2026-12-24", "valid_until": "2026-12-23"},
        {"windows": [{"days": "someday"}]},
        {"windows": [{"days": []}]},
        {"windows": [{"from": "25:00", "to": "26:00"}]},
        {"windows": [{"from": "08:00", "to": "08:00"}]},
        {"blackouts": [{"from": "2026-12-24", "to": "2026-12-23"}]},
        {"blackouts": [{"from": "yesterday", "to": "2026-12-23"}]},
    ],
)
def test_whatever_is_wrong_with_a_calendar_is_told_in_korean_and_in_english(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        Calendar.model_validate(CALENDAR | change)
    error = refused.value.errors()[0]
    korean, english = korean_problem(error), english_problem(error)
    assert re.search("[가-힣]", korean) and "값이 올바르지 않습니다" not in korean and "{" not in korean
    assert not re.search("[가-힣]", english)
