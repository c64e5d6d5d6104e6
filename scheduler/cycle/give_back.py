"""Runs on nodes that are about to be taken back: told to go in time, so that none is left at the deadline (law 5).

A run is told when its grace is all that is left; one that is over by then by itself is left alone. On a node that is not lent
at all any more it is told at once. Nobody is preferred: what a lender takes back is on the very nodes that it names. An elastic
run goes on at once on those that it may keep, where its least workers have room there. Where nodes come to be reserved for a
group, its own runs stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import Earmark, Stop, StopCause
from scheduler.cycle.restart import Restarts, same_place
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool, Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import NodeId


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What the step decides: ``sizes`` are for the jobs of elastic runs that go on on those of their nodes that stay."""

    stops: tuple[Stop, ...]
    sizes: tuple[Earmark, ...] = ()


def give_back(round_: Round) -> GivenBack:
    """Stops by run, for no job's sake."""
    snapshot = round_.snapshot
    until = _Until(snapshot)
    if until.is_never:
        return GivenBack(())
    stops, sizes = [], []
    restarts = Restarts(round_, frozenset(), minimum_run_ms=0)
    numbers = {(pool.site, pool.gpu_class): number for number, pool in enumerate(round_.site_pools)}
    going = (run for run in snapshot.runs.values() if not run.leaving and until.has_to_go(run))
    for run in sorted(going, key=lambda each: each.id):
        pool = numbers.get((run.site, run.gpu_class))
        size = None if pool is None or not run.spare_workers else _what_stays(round_, run, pool, until, restarts)
        cause = StopCause.RECALLED if size is None else StopCause.SHRUNK
        stops.append(Stop(run.id, run.job, cause, None, run.grace_ms))
        sizes += [] if size is None else [size]
    return GivenBack(tuple(stops), tuple(sizes))


def _what_stays(round_: Round, run: LiveRun, pool: int, until: _Until, restarts: Restarts) -> Earmark | None:
    """An elastic run's workers on nodes that are not due and are lent for long enough; None where they are too few."""
    site_pool, again = round_.site_pools[pool], run.returns_as
    if again is None or run.workers_min is None or not restarts.may(run, site_pool):
        return None
    usable = round_.usable(pool, again.key, again.priority)
    left = [
        (node, workers)
        for node, workers in run.gang
        if node in site_pool.index
        and until.of(run, node) - run.grace_ms > round_.snapshot.now_ms
        and (usable is None or usable[site_pool.index[node]])
    ]
    if not run.workers_min <= sum(workers for _, workers in left) < run.workers:
        return None
    return same_place(run, site_pool, left)


def taken_back(snapshot: Snapshot) -> Mapping[NodeId, int]:
    """When each node is taken back, of those that are not left to borrowers for ever; those not lent: 0."""
    return {node: until_ms for pool in snapshot.pools.values() for node, until_ms in _of_pool(snapshot, pool)}


class _Until:
    """When nodes are taken from the runs on them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot, self._now_ms = snapshot, snapshot.now_ms
        self._taken = taken_back(snapshot)
        self._is_kept = any(each.holder is not None or each.heir is not None for each in snapshot.terms)

    @property
    def is_never(self) -> bool:
        """Whether nobody takes anything."""
        return not self._taken and not self._is_kept

    def of(self, run: LiveRun, node: NodeId) -> int:
        """When a node is taken from a run."""
        pool = self._snapshot.pools.get((run.site, run.gpu_class)) if self._is_kept else None
        if pool is None or node not in pool.index or not self._snapshot.nodes[node].healthy:
            return self._taken.get(node, NEVER_MS)
        return self._snapshot.left_until_ms(pool, pool.index[node], run.group)

    def has_to_go(self, run: LiveRun) -> bool:
        """Whether a run would else be on a node when it is taken back."""
        first_ms = min((self.of(run, node) for node, _ in run.gang), default=NEVER_MS)
        over_in_time = run.expected_end_ms is not None and run.expected_end_ms <= first_ms
        return first_ms - run.grace_ms <= self._now_ms and not over_in_time


def _of_pool(snapshot: Snapshot, pool: SitePool) -> Iterator[tuple[NodeId, int]]:
    column = pool.pool.until_ms
    if column is None:
        return
    for at in np.flatnonzero(column < NEVER_MS).tolist():
        # Work on a sick node is for its agent to end.
        if snapshot.nodes[pool.node_ids[at]].healthy:
            yield pool.node_ids[at], int(column[at])
