"""Who leaves the nodes of one GPU class at a known time: runs when they are expected to, a round's starts at their walltimes."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import NamedTuple

import numpy as np

from scheduler.cycle.pool_runs import RunsNow
from scheduler.cycle.round import Round
from scheduler.cycle.stay import NEVER_MS
from scheduler.placement.pool import IntArray
from scheduler.placement.pool_runs import CAME, GPUS, GRACE, GROUP, HELD, LEAVING, MEMORY, OVER, WENT, lie


class Parts(NamedTuple):
    """Parts of gangs that leave one pool: node (its index there), GPUs, CPUs and memory (3, part), and when (ms, ascending)."""

    node: IntArray
    amounts: IntArray
    end: IntArray


class Leaving:
    """Kept in step with what a round starts. Runs are looked at when somebody asks."""

    def __init__(self, round_: Round, gpu_class: str) -> None:
        self._round, self._gpu_class = round_, gpu_class
        self._seen_starts = self._seen_parts = 0
        self._by_pool: defaultdict[int, list[IntArray]] = defaultdict(list)  # rows of end, node, GPUs, CPUs, memory
        self._of_groups: list[IntArray] = []  # rows of group's position, end, GPUs
        self._sorted: dict[int, Parts] = {}
        self._has_runs = False

    @cached_property
    def is_any(self) -> bool:
        """Whether anything that runs, or that might start, leaves at a known time."""
        table, classes = self._round.snapshot.table, self._round.classes
        if bool((classes.end[table.rows] < NEVER_MS).any()):
            return True
        return self._round.snapshot.use(self._gpu_class).ending > 0

    def of(self, pool: int) -> Parts:
        """The parts that leave a pool."""
        self._catch_up()
        if pool not in self._sorted:
            columns = np.hstack([np.zeros((5, 0), np.int64), *self._by_pool[pool]])
            columns = columns[:, np.argsort(columns[0], kind="stable")]
            self._by_pool[pool] = [columns]
            self._sorted[pool] = Parts(columns[1], columns[2:], columns[0])
        return self._sorted[pool]

    def gone_by(self, position: int, moment_ms: int) -> int:
        """GPUs that a group's own runs and starts have left by a moment."""
        self._catch_up()
        return sum(int(gpus[(owner == position) & (end <= moment_ms)].sum()) for owner, end, gpus in self._of_groups)

    def _catch_up(self) -> None:
        if not self._has_runs:
            self._has_runs = True
            self._add_runs()
        starts = self._round.starts
        if self._seen_starts < int(starts.size[0]):
            self._add_starts()

    def _add_runs(self) -> None:
        snapshot = self._round.snapshot
        for number, pool in enumerate(self._round.site_pools):
            if pool.gpu_class == self._gpu_class:
                rows, end = self._ending(pool.runs)
                columns = pool.runs.columns
                node, workers, at = lie(columns, pool.runs.parts, rows, *pool.places)
                amounts = columns[GPUS : MEMORY + 1, rows[at]] * workers
                self._by_pool[number].append(np.vstack((end[at], node, amounts)))
        for runs in snapshot.strays.get(self._gpu_class, ()):
            self._ending(runs)

    def _ending(self, runs: RunsNow) -> tuple[IntArray, IntArray]:
        """Rows of runs that leave at a known time, as ``LiveRun.leaves_ms`` says, and when."""
        columns, now_ms = runs.columns[:, : runs.rows], self._round.snapshot.now_ms
        over, leaving = columns[OVER], columns[LEAVING] != 0
        end = np.where(over < NEVER_MS, np.maximum(over, now_ms), np.where(leaving, now_ms + columns[GRACE], NEVER_MS))
        rows = np.flatnonzero((columns[CAME] <= runs.at) & (columns[WENT] > runs.at) & (end < NEVER_MS))
        position = self._round.snapshot.tree.positions_of(columns[GROUP, rows])
        self._of_groups.append(np.stack((position, end[rows], columns[HELD, rows])))
        return rows, end[rows]

    def _add_starts(self) -> None:
        starts, classes = self._round.starts, self._round.classes
        first, last, parts = self._seen_starts, int(starts.size[0]), slice(self._seen_parts, int(starts.size[1]))
        self._seen_starts, self._seen_parts = last, parts.stop
        pool, row = starts.pool[first:last], starts.row[first:last]
        in_class = np.array([each.gpu_class == self._gpu_class for each in self._round.site_pools], np.bool_)
        known = (classes.end[row] < NEVER_MS) & in_class[pool]
        if not known.any():
            return
        self._of_groups.append(np.stack((classes.position, classes.end, classes.workers * classes.gpus))[:, row[known]])
        many = np.diff(np.append(starts.first_part[first:last], parts.stop))
        kept = np.repeat(known, many)
        row, pool = np.repeat(row, many)[kept], np.repeat(pool, many)[kept]
        node, workers = starts.node[parts][kept], starts.workers[parts][kept]
        each = np.stack((classes.gpus[row], classes.cpus[row], classes.memory[row]))
        parts_of = np.vstack((classes.end[row], node - self._round.board.nodes.first[pool], workers * each))
        for number in np.unique(pool).tolist():
            self._by_pool[number].append(parts_of[:, pool == number])
            self._sorted.pop(number, None)
