"""What the demo tells, step by step, and how it fails: with what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class DemoFailure(Exception):
    """The demo cannot go on. ``mend`` says what to do about it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


class Screen:
    """Writes to a terminal or a file, a line a step."""

    def __init__(self) -> None:
        self._began_seconds = time.monotonic()

    def say(self, text: str = "") -> None:
        """Write one line at once."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Tell that ``what`` begins, and how long it took."""
        began_seconds = time.monotonic()
        self.say(f"· {what} …")
        yield
        self.say(f"  done in {time.monotonic() - began_seconds:.1f} s")

    def seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began_seconds
