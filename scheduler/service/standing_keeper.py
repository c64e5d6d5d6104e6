"""Keeps the record of groups' standing: the leading scheduler looks again and again at what lends and what surges.

What counts stays the same between two looks. So a row is written only where its rates have changed, and what a change of the
moment before is worth is counted from the look after it.
"""

from __future__ import annotations

from collections.abc import Callable

from quota.standing import Standing
from scheduler.cycle.earning import changed_rates, rates_now
from scheduler.cycle.snapshot import Snapshot
from scheduler.service.runtime import Runtime
from scheduler.store import past_uses, standings
from scheduler.store.fence import Fence
from scheduler.store.transaction import WriteTransaction

#: The next look comes only after so many times what the last one took, so that looking stays a small part of the loop.
PAUSED_FOR_ITS_COST = 100


class StandingKeeper:
    """Looks when it is time. For one thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._due_seconds = float("-inf")

    def look_when_due(self, snapshot: Callable[[], Snapshot], fence: Fence) -> None:
        """Look, if it is time. Raises LeadershipLost, StoreUnavailable."""
        clock = self._runtime.clock
        began_seconds = clock.monotonic_seconds()
        if began_seconds < self._due_seconds:
            return
        keep_standing(self._runtime, snapshot(), fence)
        cost_seconds = clock.monotonic_seconds() - began_seconds
        pause_seconds = max(self._runtime.settings.standing_seconds, PAUSED_FOR_ITS_COST * cost_seconds)
        self._due_seconds = began_seconds + pause_seconds


def keep_standing(runtime: Runtime, snapshot: Snapshot, fence: Fence) -> int:
    """Write what has changed of who lends and who surges; answer of how many groups and classes."""
    changed = changed_rates(snapshot.standing, rates_now(snapshot))
    if not changed:
        return 0

    def write(transaction: WriteTransaction) -> None:
        _ = transaction.change
        decay, now_ms = past_uses.rule(transaction.connection).decay, transaction.now_ms
        known = standings.of(transaction.connection, changed)
        found: dict[standings.StandingKey, Standing] = {}
        for key, (lends, surges) in changed.items():
            standing = known.get(key, Standing.none(now_ms))
            found[key] = standing.at(decay, max(standing.at_ms, now_ms)).counting(lends, surges)
        standings.put(transaction, found)

    runtime.database.run(write, fence)
    return len(changed)
