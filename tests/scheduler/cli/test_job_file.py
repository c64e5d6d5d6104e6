"""Reading job files: whatever is in them, a message names the file and what to mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cli.failure import EXIT_USAGE, CommandFailure
from scheduler.cli.job_file import default_name, read_job_file


def test_a_job_file_is_read_as_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: a\ncommand: [python, train.py]\n", encoding="utf-8")
    assert read_job_file(path) == {"name": "a", "command": ["python", "train.py"]}


@pytest.mark.parametrize("text", ["- a", "just words", "1: 2", "a: [", "\t: x", "a: &a [*a"])
def test_what_is_no_job_file_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CommandFailure, match=r"job\.yaml") as refused:
        read_job_file(path)
    assert refused.value.exit_code == EXIT_USAGE


def test_a_missing_or_binary_file_is_refused_by_its_name(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.yaml", binary, tmp_path):
        with pytest.raises(CommandFailure, match="cannot be read"):
            read_job_file(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "job.yaml"
    path.write_bytes(data)
    try:
        document = read_job_file(path)
    except CommandFailure as refused:
        assert refused.exit_code == EXIT_USAGE
    else:
        assert all(isinstance(name, str) for name in document)


def test_a_job_is_called_after_its_program_unless_it_says_otherwise() -> None:
    assert default_name(["/usr/bin/python", "train.py"]) == "python"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("environment: {SINCE: 2026-11-25}", r"environment\.SINCE"),
        ("retries: .nan", "retries"),
        ("outputs: !!set {a, b}", "outputs"),
        ("command: [x, !!binary aGVsbG8=]", r"command\.1"),
    ],
)
def test_a_value_that_cannot_be_sent_is_named(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CommandFailure, match=f"{field}.*quotes") as refused:
        read_job_file(path)
    assert refused.value.exit_code == EXIT_USAGE


LAUGHS = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}' if n else 'ha'] * 9)}]" for n in range(9))


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", LAUGHS, "a: 2026-13-45", "a: !!bool x", "a: !!int ''"])
def test_what_repeats_itself_or_only_looks_like_a_value_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CommandFailure, match=r"job\.yaml"):
        read_job_file(path)
