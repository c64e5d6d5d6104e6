"""The runs of one pool in columns, kept in step as runs come and go, so that a round need not look at each.

Rows are only ever added, and each says by number of change when its run came and when it went. So what was shown stays as it
was whatever comes later, and showing costs nothing. When most rows are of runs that are gone, the others are written anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import GroupId, RunId, ShapeId
from scheduler.placement.pool import IntArray
from scheduler.placement.pool_runs import (
    BEGIN,
    CAME,
    COST,
    CPUS,
    END,
    GPUS,
    GRACE,
    GROUP,
    HELD,
    KIND,
    LEAVING,
    MEMORY,
    OVER,
    PREEMPTIBLE,
    PRIORITY,
    ROWS,
    RUN,
    SAVES,
    STARTED,
    WENT,
)
from scheduler.placement.victims import lost_work

#: Fewer rows than this are not worth being written anew.
_FEW = 64


class RunsNow(NamedTuple):
    """Those of a moment: of the first ``rows`` whose run came by change ``at`` and did not go.

    ``columns`` (19, row) and ``parts`` (node's id and workers; part) are laid out in ``placement.pool_runs``; ``kinds`` lists the
    group and the shape of jobs that may go on at the site, by number, and is only ever added to.
    """

    columns: IntArray
    parts: IntArray
    rows: int
    at: int
    kinds: Sequence[tuple[GroupId, ShapeId]]


class PoolRuns:
    """Not thread-safe. Putting a run again needs that it was dropped."""

    def __init__(self) -> None:
        self._columns = np.zeros((ROWS, 16), np.int64)
        self._parts = np.zeros((2, 16), np.int64)
        self._row_of: dict[RunId, int] = {}
        self._kinds: list[tuple[GroupId, ShapeId]] = []
        self._number_of: dict[tuple[GroupId, ShapeId], int] = {}
        self._rows = self._ends = self._changes = 0

    def copy(self) -> PoolRuns:
        """The same runs, which from now on come and go by themselves."""
        twin = PoolRuns()
        twin._columns, twin._parts = self._columns.copy(), self._parts.copy()
        twin._row_of, twin._kinds, twin._number_of = self._row_of.copy(), self._kinds.copy(), self._number_of.copy()
        twin._rows, twin._ends, twin._changes = self._rows, self._ends, self._changes
        return twin

    def put(self, run: LiveRun) -> None:
        """A run has come."""
        self._make_room(len(run.gang))
        self._changes += 1
        row, begin, end = self._rows, self._ends, self._ends + len(run.gang)
        self._parts[:, begin:end] = np.array(run.gang, np.int64).reshape(-1, 2).T
        self._columns[:, row] = self._column(run, begin, end)
        self._row_of[run.id] = row
        self._rows, self._ends = row + 1, end

    def drop(self, run_id: RunId) -> None:
        """A run is gone."""
        self._changes += 1
        self._columns[WENT, self._row_of.pop(run_id)] = self._changes

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self._row_of

    def show(self) -> RunsNow:
        """This moment."""
        return RunsNow(self._columns, self._parts, self._rows, self._changes, self._kinds)

    def _column(self, run: LiveRun, begin: int, end: int) -> list[int]:
        column = [0] * ROWS
        column[CAME], column[WENT] = self._changes, NEVER_MS
        column[RUN], column[STARTED], column[GRACE] = run.id, run.started_ms, run.grace_ms
        column[OVER] = NEVER_MS if run.expected_end_ms is None else run.expected_end_ms
        column[KIND] = self._kind_of(run)
        column[GPUS], column[CPUS], column[MEMORY] = (
            run.gpus_per_worker,
            run.cpus_per_worker,
            run.memory_mib_per_worker,
        )
        column[COST] = lost_work(0, None, run.checkpoints, run.gpus, run.grace_ms)
        column[BEGIN], column[END] = begin, end
        column[GROUP], column[PRIORITY], column[HELD] = run.group, run.priority, run.gpus
        column[LEAVING], column[PREEMPTIBLE], column[SAVES] = run.leaving, run.preemptible, run.checkpoints
        return column

    def _kind_of(self, run: LiveRun) -> int:
        """The number of its job's kind; -1 where its job could not go on at its site, whenever it is stopped."""
        again = run.returns_as
        if again is None or not run.checkpoints or not run.preemptible or run.leaving:
            return -1
        if again.bound_site not in (None, run.site) or run.site in again.refused_by:
            return -1
        kind = again.group, again.shape
        if kind not in self._number_of:
            self._number_of[kind] = len(self._kinds)
            self._kinds.append(kind)
        return self._number_of[kind]

    def _make_room(self, parts: int) -> None:
        rows = self._columns.shape[1]
        if self._rows == rows and rows > _FEW and 2 * len(self._row_of) < rows:
            self._write_anew()
        while self._rows >= self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        while self._ends + parts > self._parts.shape[1]:
            self._parts = np.concatenate([self._parts, np.zeros_like(self._parts)], axis=1)

    def _write_anew(self) -> None:
        """Leave out rows of runs that are gone. What was shown keeps the old arrays."""
        kept = np.array(sorted(self._row_of.values()), np.int64)
        before, sizes = self._columns, self._columns[END, kept] - self._columns[BEGIN, kept]
        ends = np.cumsum(sizes)
        within = np.arange(int(sizes.sum())) - np.repeat(ends - sizes, sizes)
        old = self._parts[:, np.repeat(before[BEGIN, kept], sizes) + within]
        self._columns, self._parts = np.zeros_like(before), np.zeros_like(self._parts)
        self._columns[:, : len(kept)], self._parts[:, : old.shape[1]] = before[:, kept], old
        self._columns[BEGIN, : len(kept)], self._columns[END, : len(kept)] = ends - sizes, ends
        self._row_of = {RunId(run): row for row, run in enumerate(before[RUN, kept].tolist())}
        self._rows, self._ends = len(kept), old.shape[1]
