"""What the command line says of a job that waits."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.cli.job_view import ETA_COLUMNS, write_job, write_why
from scheduler.cli.language import choose_language
from scheduler.cli.output import OutputFormat, write_rows

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


KNOWN: dict[str, Any] = {
    "start_at": "2026-11-25T19:12:00.000Z",
    "reason": {"text": "An estimate by walltimes.", "text_ko": "추정: walltime에 따름."},
    "made_at": "2026-11-25T18:00:00.000Z",
}
UNKNOWN: dict[str, Any] = KNOWN | {"start_at": None, "reason": {"text": "Unknown: no.", "text_ko": "알 수 없음: 없음."}}


@pytest.mark.parametrize(
    ("language", "eta", "line"),
    [
        ("en", KNOWN, "Start: ~11-26 04:12 KST. An estimate by walltimes."),
        ("ko", KNOWN, "시작 예상: ~11-26 04:12 KST. 추정: walltime에 따름."),
        ("en", UNKNOWN, "Start: Unknown: no."),
        ("ko", UNKNOWN, "시작 예상: 알 수 없음: 없음."),
    ],
)
def test_why_tells_when_a_job_would_start_or_that_nobody_knows(
    language: str, eta: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(language, ANSWER | {"eta": eta}, capsys)[-1] == line


def test_a_job_in_full_has_a_line_of_when_it_would_start(capsys: pytest.CaptureFixture[str]) -> None:
    choose_language("en")
    job = {
        "id": 7, "name": "a", "group": "g", "person": "p", "state": "queued", "gpus": 1, "workers": 1,
        "gpus_per_worker": 1, "data_class": "O", "submitted_at": "2026-11-25T18:00:00.000Z",
    }  # fmt: skip
    write_job(job | {"eta": KNOWN}, OutputFormat.TABLE)
    assert "~11-26 04:12 KST. An estimate by walltimes." in capsys.readouterr().out
    write_job(job, OutputFormat.TABLE)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Start"))
    assert line.split() == ["Start", "-"]


@pytest.mark.parametrize(
    ("language", "seconds", "line"),
    [
        ("en", 5400, "~1h30m (by its last two)"),
        ("ko", 5400, "~1h30m (마지막 두 개로)"),
        ("en", None, "unknown (by its last two)"),
    ],
)
def test_a_job_in_full_says_how_long_it_is_thought_to_run_and_why(
    language: str, seconds: float | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    choose_language(language)
    run_time = {"seconds": seconds, "basis": "person", "text": "by its last two", "text_ko": "마지막 두 개로"}
    job = {
        "id": 7, "name": "a", "group": "g", "person": "p", "state": "queued", "gpus": 1, "workers": 1,
        "gpus_per_worker": 1, "data_class": "O", "submitted_at": "2026-11-25T18:00:00.000Z", "run_time": run_time,
    }  # fmt: skip
    write_job(job, OutputFormat.TABLE)
    assert line in capsys.readouterr().out


@pytest.mark.parametrize(("language", "label"), [("en", "Run time on a100"), ("ko", "a100에서의 실행 시간 예상")])
def test_a_job_in_full_and_why_it_waits_say_how_long_it_would_run_on_each_class(
    language: str, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    choose_language(language)
    told = {"seconds": 5400, "text": "by speeds", "text_ko": "by speeds"}
    job = {
        "id": 7, "name": "a", "group": "g", "person": "p", "state": "queued", "gpus": 1, "workers": 1,
        "gpus_per_worker": 1, "data_class": "O", "submitted_at": "2026-11-25T18:00:00.000Z", "run_time": told,
        "run_times": [told | {"gpu_class": "h100"}, told | {"gpu_class": "a100", "seconds": 9000}],
    }  # fmt: skip
    write_job(job, OutputFormat.TABLE)
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith(label)).removeprefix(label).strip() == "~2h30m (by speeds)"
    write_why(ANSWER | {"run_time": told, "run_times": job["run_times"]}, OutputFormat.TABLE)
    assert f"  {label}: ~2h30m (by speeds)" in capsys.readouterr().out.splitlines()


def test_a_queue_with_estimates_has_a_column_of_them_and_their_basis(capsys: pytest.CaptureFixture[str]) -> None:
    choose_language("en")
    job = {"id": 7, "gpus": 1, "reason": {"text": "It needs 2.", "text_ko": "2장 필요."}}
    write_rows(
        [job | {"eta": KNOWN}, job | {"eta": UNKNOWN}, job | {"eta": None}], ETA_COLUMNS, OutputFormat.TABLE, "id"
    )
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[-2:] == ["ETA", "REASON"]
    assert [line[heading.index("ETA") :].rstrip() for line in lines] == [
        "~11-26 04:12 KST  An estimate by walltimes.",
        "unknown           Unknown: no.",
        "-                 It needs 2.",
    ]


def test_a_job_in_full_says_its_array_and_what_it_comes_after(capsys: pytest.CaptureFixture[str]) -> None:
    choose_language("en")
    job = {
        "id": 7, "name": "a", "group": "g", "person": "p", "state": "queued", "gpus": 1, "workers": 1,
        "gpus_per_worker": 1, "data_class": "O", "submitted_at": "2026-11-25T18:00:00.000Z",
    }  # fmt: skip
    array = {"id": 17, "task": 4, "tasks": 3, "running_max": 1}
    write_job(job | {"array": array, "spec": {"after": [3, 4], "after_ok": []}}, OutputFormat.TABLE)
    told = capsys.readouterr().out
    assert "17_4, of 3 jobs, 1 at once" in told
    assert "After start of" in told and "3, 4" in told and "After success of" not in told


def test_a_job_in_full_says_its_deadline_what_is_left_of_its_retries_and_how_its_runs_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    choose_language("en")
    run = {
        "id": 9,
        "epoch": 1,
        "site": "s",
        "phase": "ended",
        "cause": "exited",
        "category": "memory",
        "exit_code": 137,
    }
    job = {
        "id": 7, "name": "a", "group": "g", "person": "p", "state": "queued", "gpus": 1, "workers": 1,
        "gpus_per_worker": 1, "data_class": "O", "submitted_at": "2026-11-25T18:00:00.000Z",
        "deadline": "2026-11-25T19:12:00.000Z", "start_by": "2026-11-25T18:12:00.000Z", "runs": [run],
        "retries": [{"category": "program", "failed": 1, "retries": 3}, {"category": "memory", "failed": 0, "retries": 2}],
    }  # fmt: skip
    write_job(job, OutputFormat.TABLE)
    told = capsys.readouterr().out
    assert "11-26 04:12 KST; it has to start by 11-26 03:12 KST" in told
    assert "program 1/3, memory 0/2" in told
    assert "CATEGORY" in told and told.split()[-2:] == ["memory", "-"]


LATE: dict[str, Any] = KNOWN | {"late": {"text": "Too late.", "text_ko": "늦습니다."}}


def test_a_start_that_is_too_late_for_the_deadline_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert told("en", ANSWER | {"counterfactual": None, "eta": LATE}, capsys) == [
        "Start: ~11-26 04:12 KST. An estimate by walltimes. Too late."
    ]
    cells = {
        column.heading: column.value({"eta": LATE}) for column in ETA_COLUMNS if column.heading in ("ETA", "REASON")
    }
    assert cells == {"ETA": "~11-26 04:12 KST!", "REASON": "Too late."}


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("en", ["It would start if b had 1 more.", "Or: It would start now on h200.", "Or: At six."]),
        ("ko", ["시작 조건: b에 1개 추가.", "또는: h200이면 지금 시작합니다.", "또는: 여섯 시."]),
    ],
)
def test_with_what_else_a_job_would_start_is_said_after_what_would_start_it(
    language: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    others = [
        {"text": "It would start now on h200.", "text_ko": "h200이면 지금 시작합니다."},
        {"text": "At six.", "text_ko": "여섯 시."},
    ]
    assert told(language, ANSWER | {"alternatives": others}, capsys) == lines
