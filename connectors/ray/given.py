"""Until when a run's workers may go on by the leases that they were given, over restarts of the agent."""

from __future__ import annotations

import json
from pathlib import Path

from connectors.agent.durable import replace_quickly
from connectors.clock import Clock

#: Longer than any lease, where an earlier agent did not note how long its own were.
SECONDS_UNKNOWN = 3600.0


class GivenLeases:
    """The latest deadline that any worker was told, on CLOCK_BOOTTIME; 0 where none was. It is on the disk before a
    worker hears of it.

    After a restart of the machine that clock counts anew: then ``lease_seconds``, the longest lease of the run, is
    how long from now on any worker may still go on; as it is where the note cannot be read.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.until_ns = 0

    def give(self, deadline_boottime_ns: int) -> None:
        """Note that a worker is about to hear of this deadline. Raises OSError."""
        if deadline_boottime_ns > self.until_ns:
            note = {"boot_id": self._clock.boot_id(), "until_ns": deadline_boottime_ns}
            replace_quickly(self._path, json.dumps(note).encode())
            self.until_ns = deadline_boottime_ns

    def take_up(self, boot_id: str | None, lease_seconds: float | None) -> None:
        """Know again what an earlier agent gave; ``boot_id`` names the machine's start at which the run was accepted."""
        until_ns = self._clock.boottime_ns() + int((lease_seconds or SECONDS_UNKNOWN) * 1e9)
        try:
            note = json.loads(self._path.read_bytes())
            if note["boot_id"] == self._clock.boot_id():
                until_ns = int(note["until_ns"])
        except FileNotFoundError:
            if boot_id == self._clock.boot_id():
                until_ns = 0
        except (OSError, ValueError, LookupError, TypeError):
            pass
        self.until_ns = until_ns
