"""Starts laid out for adding up, from a round's own columns or from any starts at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.cycle.plan import Start
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.starts import StartTable
from scheduler.cycle.waiting import WaitingTable
from scheduler.model.ids import JobId, NodeId, SiteId
from scheduler.placement.pool import IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Columns by start, and by part of a gang. Pools count in ``snapshot.pools``, nodes run over all pools.

    ``row`` is that of the job's class in the waiting table, -1 where the job does not wait, starts twice, or is of another
    class. ``pool`` is -1 where the site has none of the GPU class; ``node`` where the pool has no such node under that name,
    or where ranks have a gap.
    """

    job: IntArray
    row: IntArray
    pool: IntArray
    start_of: IntArray
    node: IntArray
    workers: IntArray

    def __len__(self) -> int:
        return len(self.job)

    @property
    def gang_sizes(self) -> IntArray:
        """Workers by start."""
        return np.bincount(self.start_of, weights=self.workers, minlength=len(self)).astype(np.int64)

    @staticmethod
    def of(snapshot: Snapshot, starts: Sequence[Start]) -> Started:
        """Lay out starts."""
        if not len(starts):
            return _NONE
        return _of_table(snapshot, starts) if isinstance(starts, StartTable) else _of_objects(snapshot, starts)


_NOTHING = np.zeros(0, np.int64)
_NONE = Started(job=_NOTHING, row=_NOTHING, pool=_NOTHING, start_of=_NOTHING, node=_NOTHING, workers=_NOTHING)


def _of_table(snapshot: Snapshot, starts: StartTable) -> Started:
    """A class's jobs must start in their order: the k-th start of a class is its k-th job."""
    columns, table = starts.columns, snapshot.table
    order = np.argsort(columns.row, kind="stable")
    rows = columns.row[order]
    turn = np.arange(len(rows)) - np.searchsorted(rows, rows)
    expected = table.start[rows] + turn
    right = expected < table.stop[rows]
    right[right] = table.turns[2, expected[right]] == columns.job[order][right]
    row = np.empty(len(rows), np.int64)
    row[order] = np.where(right, rows, -1)
    parts = np.diff(np.append(columns.first_part, len(columns.node)))
    return Started(
        job=columns.job,
        row=row,
        pool=columns.pool,
        start_of=np.repeat(np.arange(len(parts)), parts),
        node=columns.node,
        workers=columns.workers,
    )


def _of_objects(snapshot: Snapshot, starts: Sequence[Start]) -> Started:
    table = snapshot.table
    row_of = _rows_of(table, [start.job for start in starts])
    pools: dict[tuple[SiteId, str], int] = {key: number for number, key in enumerate(snapshot.pools)}
    nodes: dict[tuple[NodeId, str], int] = {}
    if starts:
        for site_pool in snapshot.pools.values():
            for each in zip(site_pool.node_ids, site_pool.pool.layout.names, strict=True):
                nodes[each] = len(nodes)
    times: dict[JobId, int] = {}
    for start in starts:
        times[start.job] = times.get(start.job, 0) + 1
    by_start, by_part = [], []
    for number, start in enumerate(starts):
        found = row_of.get(start.job, -1)
        same = found >= 0 and table.key(found)[:2] == (start.group, start.shape) and times[start.job] == 1
        by_start.append((start.job, found if same else -1, pools.get((start.site, start.gpu_class), -1)))
        rank = 0
        for node_id, name, first_rank, workers in start.gang:
            by_part.append((number, nodes.get((node_id, name), -1) if first_rank == rank else -1, workers))
            rank += workers
    starts_array = np.array(by_start, np.int64).reshape(len(by_start), 3).T
    parts_array = np.array(by_part, np.int64).reshape(len(by_part), 3).T
    return Started(
        job=starts_array[0],
        row=starts_array[1],
        pool=starts_array[2],
        start_of=parts_array[0],
        node=parts_array[1],
        workers=parts_array[2],
    )


def _rows_of(table: WaitingTable, jobs: Sequence[JobId]) -> dict[JobId, int]:
    """The class's row of each of ``jobs`` that waits."""
    wanted = np.array(sorted(set(jobs)), np.int64)
    rows = table.rows[np.argsort(table.start[table.rows], kind="stable")]
    found: dict[JobId, int] = {}
    if not len(wanted) or not len(rows):
        return found
    at = np.flatnonzero(np.isin(table.turns[2], wanted))
    row = rows[np.maximum(np.searchsorted(table.start[rows], at, side="right") - 1, 0)]
    inside = (table.start[row] <= at) & (at < table.stop[row])
    for job, each in zip(table.turns[2, at[inside]].tolist(), row[inside].tolist(), strict=True):
        found[JobId(job)] = each
    return found
