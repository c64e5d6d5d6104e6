"""How commands end: each fault of the user's machine is told in words, and a reader who leaves is no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.cli.failure import EXIT_REFUSED, EXIT_USAGE, CommandFailure
from scheduler.cli.options import EXIT_INTERRUPTED, command, confirm, gpu_class_fields, parse_assignments

WRITES = """
import sys
from scheduler.cli.options import command
from scheduler.cli.output import console, write_table

@command
def tell():
    write_table(["A"], [["x" * 100]] * 5000)
    sys.stdout.write("end")

import typer
application = typer.Typer()
application.command()(tell)
application()
"""


def ends_with(act: Callable[[], None]) -> int:
    try:
        command(act)()
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def raising(fault: Exception) -> Callable[[], None]:
    def act() -> None:
        raise fault

    return act


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0"), max_size=20) | st.from_regex(r"[A-Z_]{1,5}=.*"), max_size=4
    )
)
@example(["A=1=2", "B="])
@example(["=1"])
@example(["\udcff=1"])
def test_any_assignments_are_taken_word_for_word_or_refused_by_their_option(values: list[str]) -> None:
    try:
        found = parse_assignments(values, "--env")
    except CommandFailure as refused:
        wrong = next(value for value in values if "=" not in value or value.startswith("="))
        assert refused.exit_code == EXIT_USAGE
        assert "--env" in refused.lines[0] and "NAME=VALUE" in refused.lines[0] and repr(wrong) in refused.lines[0]
    else:
        assert all("=" in value for value in values)
        assert all(found) and {value.split("=", 1)[0] for value in values} == set(found)
        assert {f"{name}={text}" for name, text in found.items()} <= set(values)


def test_a_failure_ends_with_its_own_code() -> None:
    assert ends_with(raising(CommandFailure(EXIT_REFUSED, "no"))) == EXIT_REFUSED


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (FileExistsError(17, "File exists", "answers.txt"), "answers.txt: File exists"),
        (PermissionError(13, "Permission denied", "/etc/x"), "/etc/x: Permission denied"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "UTF-8"),
    ],
)
def test_what_the_machine_refuses_is_told(fault: Exception, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends_with(raising(fault)) == EXIT_USAGE
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), typer.Abort()], ids=type)
def test_who_stops_a_command_or_its_question_is_told_and_no_job_has_failed(
    stopped: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        raise stopped

    assert ends_with(act) == EXIT_INTERRUPTED
    assert "Interrupted" in capsys.readouterr().err


def test_who_says_no_to_a_question_is_told_that_nothing_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    assert ends_with(lambda: confirm("End every run?", yes=False)) == EXIT_INTERRUPTED
    assert "Nothing was done." in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", WRITES], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_told_once() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", WRITES], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == EXIT_USAGE
    assert b"No space left" in done.stderr and b"Traceback" not in done.stderr and b"ignored" not in done.stderr


def test_gpu_classes_are_named_with_their_speeds_and_say_what_is_no_number() -> None:
    assert gpu_class_fields(None) == {}
    assert gpu_class_fields(["h100=1", "v100", "a100=0.45"]) == {
        "gpu_classes": ["h100", "v100", "a100"],
        "speeds": {"h100": 1.0, "a100": 0.45},
    }
    with pytest.raises(CommandFailure, match="is no number"):
        gpu_class_fields(["a100=fast"])
