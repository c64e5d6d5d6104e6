"""A site's clock that is moved by hand."""

from __future__ import annotations


class ManualSiteClock:
    """Implements ``connectors.clock.Clock``; both times move together, by ``advance`` only."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._ns = 1_000_000_000_000
        self._offset_ns = now_ms * 1_000_000 - self._ns

    def now_ms(self) -> int:
        return (self._ns + self._offset_ns) // 1_000_000

    def boottime_ns(self) -> int:
        return self._ns

    def advance(self, seconds: float) -> None:
        self._ns += int(seconds * 1e9)

    def boot_id(self) -> str:
        return "by-hand"
