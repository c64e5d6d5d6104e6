"""What a round starts: columns inside, objects for whoever reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from scheduler.cycle.plan import GangPart, Start
from scheduler.cycle.snapshot import SitePool, Snapshot
from scheduler.model.ids import JobId
from scheduler.placement.arrays import Starts
from scheduler.placement.pool import IntArray


class StartTable(Sequence[Start]):
    """The starts of a plan, in the order in which they were decided. Equal to any sequence of the same starts."""

    def __init__(self, snapshot: Snapshot, pools: Sequence[SitePool], first_node: IntArray, starts: Starts) -> None:
        self._snapshot = snapshot
        self._pools = tuple(pools)
        self._first_node = first_node.tolist()
        self._starts = starts

    def __len__(self) -> int:
        return int(self._starts.size[0])

    @overload
    def __getitem__(self, index: int) -> Start: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Start, ...]: ...
    def __getitem__(self, index: int | slice) -> Start | tuple[Start, ...]:
        numbers = range(len(self))[index]
        return self._start(numbers) if isinstance(numbers, int) else tuple(map(self._start, numbers))

    def __iter__(self) -> Iterator[Start]:
        return map(self._start, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StartTable({list(self)})"

    def __add__(self, other: Sequence[Start]) -> tuple[Start, ...]:
        return (*self, *other)

    @property
    def columns(self) -> Starts:
        """As the round wrote them; cut to what there is."""
        starts, (count, parts) = self._starts, self._starts.size.tolist()
        row, job, pool, first_part = (each[:count] for each in (starts.row, starts.job, starts.pool, starts.first_part))
        return Starts(row, job, pool, first_part, starts.node[:parts], starts.workers[:parts], starts.size)

    def of(self, job: JobId) -> Start | None:
        """The start of one job."""
        found = np.flatnonzero(self.columns.job == job)
        return self[int(found[0])] if len(found) else None

    def _start(self, number: int) -> Start:
        starts = self._starts
        group, shape, *_ = self._snapshot.table.key(int(starts.row[number]))
        pool = int(starts.pool[number])
        site_pool = self._pools[pool]
        first, rank = self._first_node[pool], 0
        begin = int(starts.first_part[number])
        end = int(starts.first_part[number + 1] if number + 1 < len(self) else starts.size[1])
        parts: list[GangPart] = []
        for node, workers in zip(starts.node[begin:end].tolist(), starts.workers[begin:end].tolist(), strict=True):
            parts.append((site_pool.node_ids[node - first], site_pool.pool.layout.names[node - first], rank, workers))
            rank += workers
        job = JobId(int(starts.job[number]))
        return Start(job, group, shape, site_pool.site, site_pool.gpu_class, tuple(parts))
