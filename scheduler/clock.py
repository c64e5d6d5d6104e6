"""The only module that reads time. Everything else is given a clock, so that tests and simulations can turn
it."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for durations."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC. May jump: never subtract two of them to measure a
        duration."""
        ...

    def monotonic_seconds(self) -> float:
        """Return seconds since an arbitrary moment; never runs backwards."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_seconds(self) -> float:
        """Return seconds since the machine started."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to. Both times move together; ``jump`` moves the wall alone."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._lock = threading.Lock()
        self._now_ms = now_ms
        self._monotonic_seconds = 0.0

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        with self._lock:
            return self._now_ms

    def monotonic_seconds(self) -> float:
        """Return seconds since this clock was made."""
        with self._lock:
            return self._monotonic_seconds

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` go by."""
        with self._lock:
            self._now_ms += round(seconds * 1000)
            self._monotonic_seconds += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as a correction from outside does; durations are not
        touched."""
        with self._lock:
            self._now_ms += round(seconds * 1000)
