"""Which jobs wait for which others, in memory: so that a round asks the record only about those whose turn may have come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scheduler.model.job_state import TERMINAL_STATES, WAITING_STATES, JobState
from scheduler.store.jobs import waiter_of

_NOT_STARTED = frozenset(state.value for state in WAITING_STATES) | {JobState.LEASED.value, JobState.STARTING.value}
_ENDED = frozenset(state.value for state in TERMINAL_STATES)


class Waiters:
    """A waiter is a job, or an array with all its tasks, and so is what it waits for. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting_on: dict[int, set[int]] = {}
        self._on: dict[int, frozenset[int]] = {}
        self._due: set[int] = set()

    def __contains__(self, waiter: int) -> bool:
        return waiter in self._on

    def put(self, waiter: int, on: Iterable[int]) -> None:
        """Have a waiter wait. It is due at once: what it waits for may have come before it was known."""
        self.drop(waiter)
        self._on[waiter] = frozenset(on)
        for each in self._on[waiter]:
            self._waiting_on.setdefault(each, set()).add(waiter)
        self._due.add(waiter)

    def drop(self, waiter: int) -> None:
        """It waits no more."""
        self._due.discard(waiter)
        for each in self._on.pop(waiter, ()):
            waiting = self._waiting_on[each]
            waiting.discard(waiter)
            if not waiting:
                del self._waiting_on[each]

    def note(self, row: Any) -> None:
        """A job has changed. ``row`` has ``id``, ``array_id``, ``state``, ``started_ms`` and ``awaits``."""
        own = waiter_of(row)
        if own in self._on and (not row.awaits or (row.array_id is None and row.state in _ENDED)):
            self.drop(own)
        if self._waiting_on and (row.started_ms is not None or row.state not in _NOT_STARTED):
            for on in (row.id, row.array_id):
                self._due |= self._waiting_on.get(on, set())

    def is_news(self, row: Any) -> bool:
        """Whether a job waits for others, and for which ones is not known here yet; what its owner cancelled before it was
        ever seen is asked for too, so that nothing of it is left behind."""
        return bool(row.awaits) and waiter_of(row) not in self._on

    def due(self, waiters_max: int) -> list[int]:
        """At most so many waiters that have to be looked at; they are due no more."""
        due = sorted(self._due)[:waiters_max]
        self._due.difference_update(due)
        return due
