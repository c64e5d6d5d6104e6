"""Rate limits by token buckets."""

from __future__ import annotations

from typing import Protocol


class Limiter(Protocol):
    """Counts what each key does. A bucket holds ``burst`` tokens and gains ``rate_per_second``; one act takes
    one."""

    #: whether asking waits for another process, so that an event loop had better ask from a thread
    blocking: bool

    def retry_after_seconds(self, key: str, *, rate_per_second: float, burst: int, now_ms: int) -> float:
        """Return 0.0 and count the act if ``key`` may act now, else the seconds until it may. Never
        raises."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
