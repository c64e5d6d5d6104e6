"""The only module of the site's side that reads time. Everything else is handed a ``Clock``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Two times: one for records, one for leases."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC: what reports and the ledger carry. May jump."""

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds: never jumps and counts a suspended machine's sleep. Leases are
        judged by it.
        """

    def boot_id(self) -> str:
        """Names the start of the machine from which ``boottime_ns`` counts: times of another start mean nothing."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Wall clock."""
        return time.time_ns() // 1_000_000

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME, the same for every process of one machine."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """The kernel's random name of its start."""
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
