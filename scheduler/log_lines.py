"""Log lines on their way to a file: collected for a moment, and written many at a time by a thread of their own.

A write of its own for each request makes every request give up the interpreter's lock, and wait for it.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import TextIO

#: How long lines are collected: what a process that is killed may take along.
COLLECT_SECONDS = 0.05
#: So many lines may wait for a slow reader; then whoever logs waits, too.
WAITING_LINES_MAX = 10_000


class LogLines:
    """A text file for loggers, over ``file``. Thread-safe. At the end of the process what waits is written."""

    def __init__(self, file: TextIO, collect_seconds: float = COLLECT_SECONDS) -> None:
        self._file = file
        self._collect_seconds = collect_seconds
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._lines: list[str] = []
        self._thread: threading.Thread | None = None
        atexit.register(self.write_all)

    def write(self, text: str) -> int:
        """Take ``text`` along."""
        with self._changed:
            self._lines.append(text)
            count = len(self._lines)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_for_ever, name="log", daemon=True)
                self._thread.start()
            if count == 1:
                self._changed.notify()
        if count > WAITING_LINES_MAX:
            self.write_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: lines are written soon, several together."""

    def write_all(self) -> None:
        """Write what waits, in order. A log that cannot be written any more stops nobody."""
        with self._writing:
            with self._changed:
                lines, self._lines = self._lines, []
            with contextlib.suppress(OSError, ValueError):
                self._file.write("".join(lines))
                self._file.flush()

    def _write_for_ever(self) -> None:
        collected = threading.Event()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._lines))
            collected.wait(self._collect_seconds)
            self.write_all()
