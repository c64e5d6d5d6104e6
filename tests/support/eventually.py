"""Waiting for something to become true, with a deadline and a message, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(check: Callable[[], Found], seconds: float = 10.0, what: str = "") -> Found:
    """Call ``check`` until its answer is true, and return it; fail after ``seconds`` with its last answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or check!r}; last answer {found!r}")
        time.sleep(0.02)
