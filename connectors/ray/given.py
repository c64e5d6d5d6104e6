"""Until when a run's workers may go on by the leases that they were given, over restarts of the agent."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from connectors.agent.durable import replace_quickly
from connectors.clock import Clock
from connectors.protocol import Lease

#: Longer than any lease, where an earlier agent did not note how long its own were.
SECONDS_UNKNOWN = 3600.0


class GivenLeases:
    """The latest deadline that any worker was told, on CLOCK_BOOTTIME; 0 where none was. It is on the disk before a
    worker hears of it.

    After a restart of the machine that clock counts anew: then the longest lease of the run is how long from now on any
    worker may still go on; as it is where the note cannot be read.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.until_ns = 0

    def give(self, lease: Lease) -> None:
        """Note that a worker is about to hear of this lease. Raises OSError."""
        if lease.deadline_boottime_ns > self.until_ns:
            note = {"boot_id": self._clock.boot_id(), **asdict(lease)}
            replace_quickly(self._path, json.dumps(note).encode())
            self.until_ns = lease.deadline_boottime_ns

    def take_up(self, boot_id: str | None, accepted: Lease | None) -> Lease | None:
        """Know again what an earlier agent gave; the lease that stands, None where the machine was restarted since.

        ``boot_id`` names the machine's start at which the run was ``accepted`` with that lease.
        """
        standing = accepted if boot_id == self._clock.boot_id() else None
        seconds = SECONDS_UNKNOWN if accepted is None else accepted.lease_seconds
        until_ns = self._clock.boottime_ns() + int(seconds * 1e9)
        try:
            note = json.loads(self._path.read_bytes())
            if note.pop("boot_id") == self._clock.boot_id():
                standing = Lease(**note)
                until_ns = standing.deadline_boottime_ns
        except FileNotFoundError:
            if standing is not None:
                until_ns = 0
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass
        self.until_ns = until_ns
        return standing
