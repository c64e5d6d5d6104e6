"""What the command line says of a job that waits."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.cli.job_view import write_why
from scheduler.cli.language import choose_language
from scheduler.cli.output import OutputFormat

ANSWER: dict[str, Any] = {
    "job": 7,
    "state": "queued",
    "reasons": [],
    "counterfactual": {"text": "It would start if b had 1 more.", "text_ko": "시작 조건: b에 1개 추가."},
}


def told(language: str, answer: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    choose_language(language)
    write_why(answer, OutputFormat.TABLE)
    return [line.strip() for line in capsys.readouterr().out.splitlines()[1:]]


@pytest.mark.parametrize(
    ("language", "lines"), [("en", ["It would start if b had 1 more."]), ("ko", ["시작 조건: b에 1개 추가."])]
)
def test_what_would_start_a_job_is_said_once(
    language: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(language, ANSWER, capsys) == lines


@pytest.mark.parametrize(("ahead", "words"), [(1, "1 job is ahead of it."), (2, "2 jobs are ahead of it.")])
def test_what_would_start_a_job_behind_others_holds_after_them(
    ahead: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    after = "After what is ahead of it: It would start if b had 1 more."
    assert told("en", ANSWER | {"ahead": ahead}, capsys) == [words, after]
