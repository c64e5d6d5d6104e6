"""Runs on nodes that are about to be taken back: told to go in time, so that none is left at the deadline (law 5).

A run is told when its grace is all that is left; one that is over by then by itself is left alone. On a node that is not lent
at all any more it is told at once. Nobody is preferred: what a lender takes back is on the very nodes that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import Stop, StopCause
from scheduler.cycle.snapshot import SitePool, Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import NodeId


def give_back(snapshot: Snapshot) -> tuple[Stop, ...]:
    """Stops by run, for no job's sake."""
    until = taken_back(snapshot)
    if not until:
        return ()
    going = (run for run in snapshot.runs.values() if not run.leaving and has_to_go(run, until, snapshot.lent_at_ms))
    return tuple(
        Stop(run.id, run.job, StopCause.RECALLED, None, run.grace_ms) for run in sorted(going, key=lambda each: each.id)
    )


def taken_back(snapshot: Snapshot) -> Mapping[NodeId, int]:
    """When each node is taken back, of those that are not left to borrowers for ever; those not lent: 0."""
    return {node: until_ms for pool in snapshot.pools.values() for node, until_ms in _of_pool(snapshot, pool)}


def has_to_go(run: LiveRun, until: Mapping[NodeId, int], now_ms: int) -> bool:
    """Whether a run would else be on a node when it is taken back."""
    first_ms = min((until.get(node, NEVER_MS) for node, _ in run.gang), default=NEVER_MS)
    over_in_time = run.expected_end_ms is not None and run.expected_end_ms <= first_ms
    return first_ms - run.grace_ms <= now_ms and not over_in_time


def _of_pool(snapshot: Snapshot, pool: SitePool) -> Iterator[tuple[NodeId, int]]:
    column = pool.pool.until_ms
    if column is None:
        return
    for at in np.flatnonzero(column < NEVER_MS).tolist():
        # Work on a sick node is for its agent to end.
        if snapshot.nodes[pool.node_ids[at]].healthy:
            yield pool.node_ids[at], int(column[at])
