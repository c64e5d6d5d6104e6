"""Where a gang that runs or is about to gets more workers: near those that it has.

The published rule: on nodes that it has already, then in the same leaf as one of them, the same spine, the same hall, then
anywhere in the pool, but only in its own domain of the level that is required; of equally near nodes those with room for most
workers first, ties by fewer free GPUs, then name. ``widen_oracle.more_places`` is the same, one worker after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.model.shape import Topology
from scheduler.placement.pool import BoolArray, IntArray, PoolLayout
from scheduler.placement.request import LEVELS, Placement, Request


def more_places(
    layout: PoolLayout,
    free: IntArray,
    request: Request,
    gang: Sequence[int],
    workers_max: int,
    usable: BoolArray | None = None,
) -> Placement:
    """Find places for up to ``workers_max`` more workers of a gang that stands on these nodes (indices), which has one at least.

    ``free`` (amount, node) is free GPUs, CPUs and memory; only ``usable`` nodes are taken (None: any).
    """
    asked = np.array([request.gpus, request.cpus, request.memory_mib])
    counted = asked > 0
    room = np.maximum((free[counted] // asked[counted, None]).min(axis=0), 0)
    if usable is not None:
        room = room * usable
    within = layout.domains_of(request.required)
    room = room * (within == within[gang[0]])
    nodes = np.flatnonzero(room)
    distance = _distances(layout, gang)
    nodes = nodes[np.lexsort((nodes, free[0, nodes], -room[nodes], distance[nodes]))]
    before = np.cumsum(room[nodes]) - room[nodes]
    taken = np.minimum(room[nodes], workers_max - before)
    some = taken > 0
    return tuple(zip(nodes[some].tolist(), taken[some].tolist(), strict=True))


def _distances(layout: PoolLayout, gang: Sequence[int]) -> IntArray:
    """By node: 0 for the gang's own, then one more for each looser level that it shares with one of them."""
    mine = np.array(gang, np.int64)
    distance = np.full(len(layout), len(LEVELS) + 1, np.int64)
    for number, level in enumerate((*LEVELS, Topology.NODE)):
        domains = layout.domains_of(level)
        distance[np.isin(domains, domains[mine])] = len(LEVELS) - number
    return distance
