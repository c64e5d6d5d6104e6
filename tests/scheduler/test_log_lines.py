"""Log lines are written together, all of them, in order, and stop nobody."""

from __future__ import annotations

import io
import subprocess
import sys
import threading

from scheduler.log_lines import WAITING_LINES_MAX, LogLines

NEVER_SECONDS = 3600.0


class Watched(io.StringIO):
    """A file that says when it was written to, and counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()
        self.times = 0

    def write(self, text: str) -> int:
        self.times += 1
        done = super().write(text)
        self.written.set()
        return done


def test_lines_of_a_moment_are_one_write() -> None:
    file = Watched()
    lines = LogLines(file, NEVER_SECONDS)
    for number in range(100):
        lines.write(f"{number}\n")
    lines.write_all()
    assert file.getvalue() == "".join(f"{number}\n" for number in range(100))
    assert file.times == 1


def test_lines_are_written_though_nobody_asks_for_it() -> None:
    file = Watched()
    LogLines(file, 0.0).write("alone\n")
    assert file.written.wait(10)
    assert file.getvalue() == "alone\n"


def test_who_logs_faster_than_is_written_waits_instead_of_keeping_it_all() -> None:
    file = Watched()
    lines = LogLines(file, NEVER_SECONDS)
    for _ in range(WAITING_LINES_MAX + 1):
        lines.write("x\n")
    assert file.getvalue().count("x") == WAITING_LINES_MAX + 1


def test_a_file_that_cannot_be_written_to_any_more_stops_nobody() -> None:
    file = Watched()
    lines = LogLines(file, NEVER_SECONDS)
    file.close()
    lines.write("lost\n")
    lines.write_all()


def test_the_last_lines_of_a_process_are_written_at_its_end() -> None:
    program = (
        "import sys; from scheduler.log_lines import LogLines; LogLines(sys.stderr, 3600.0).write('last words\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == "last words\n"
