"""Arrays that may run only so many of their tasks at once: rounds see no more of them than may start."""

from __future__ import annotations

import heapq
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from scheduler.model.job_state import ACTIVE_STATES

_ACTIVE = frozenset(state.value for state in ACTIVE_STATES)


@dataclass(slots=True)
class _Array:
    running_max: int
    active: set[int] = field(default_factory=set)
    ready: dict[int, Any] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)


class Throttles:
    """The tasks of such arrays, from which as many are shown as the running ones leave room for. Not thread-safe.

    A round may start all that it sees, so that no array ever runs more than it may, whatever rounds decide. A task is
    active from its lease to its run's end, a silent site's included.
    """

    def __init__(self) -> None:
        self._arrays: dict[int, _Array] = {}
        self._touched: set[int] = set()
        self._closed: Set[int] = frozenset()
        self._again: set[int] = set()

    def take(self, row: Any, *, ready: bool) -> None:
        """A task has changed. ``ready``: it waits for a round and for nothing else.

        ``row`` has ``id``, ``array_id``, ``array_running_max``, ``state``, ``bound_site_id``, ``earmark`` and ``refusals``.
        """
        array = self._arrays.setdefault(row.array_id, _Array(row.array_running_max))
        array.active.discard(row.id)
        array.ready.pop(row.id, None)
        if row.state in _ACTIVE:
            array.active.add(row.id)
        elif ready:
            array.ready[row.id] = row
            self._again.add(row.id)
        self._touched.add(row.array_id)

    def choose(self, closed: Set[int]) -> tuple[list[Any], list[int]]:
        """Rows that rounds have to see, new or changed, and numbers of jobs that they must not see any more.

        Those for which nodes are held come first, those that a site refused, and those whose checkpoint lies at a site that
        is ``closed``, last, so that they keep nobody waiting; then the lowest number.
        """
        touched = self._touched
        if closed != self._closed:
            self._closed, touched = frozenset(closed), set(self._arrays)
        shown: list[Any] = []
        hidden: list[int] = []
        for array_id in sorted(touched):
            self._choose(array_id, shown, hidden)
        self._touched, self._again = set(), set()
        return shown, hidden

    def _choose(self, array_id: int, shown: list[Any], hidden: list[int]) -> None:
        array = self._arrays[array_id]
        room = max(0, array.running_max - len(array.active))
        chosen = heapq.nsmallest(room, array.ready.values(), key=self._turn)
        before, array.shown = array.shown, {row.id for row in chosen}
        shown += (row for row in chosen if row.id not in before or row.id in self._again)
        hidden += sorted(before - array.shown)
        if not array.active and not array.ready:
            del self._arrays[array_id]

    def _turn(self, row: Any) -> tuple[bool, bool, int]:
        return row.earmark is None, row.bound_site_id in self._closed or row.refusals is not None, row.id
