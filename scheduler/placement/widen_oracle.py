"""``widen.more_places`` as its rule reads: one worker after the other, each to the best node that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scheduler.model.shape import Topology
from scheduler.placement.oracle import FreeNode, domain_of
from scheduler.placement.request import Placement, Request

_LEVELS = (Topology.NODE, Topology.LEAF, Topology.SPINE, Topology.HALL)


def more_places(nodes: Sequence[FreeNode], request: Request, gang: Sequence[int], workers_max: int) -> Placement:
    """``nodes`` are all of a pool, in the order of their names, with nothing free where they are not to be had."""
    mine = [nodes[at] for at in gang]
    found: Counter[int] = Counter()
    domain = domain_of(mine[0], request.required)
    ranked = [node for node in nodes if domain_of(node, request.required) == domain and node.room(request)]
    ranked.sort(key=lambda node: (_distance(node, mine), -node.room(request), node.gpus, node.index))
    for node in ranked:
        for _ in range(node.room(request)):
            if found.total() < workers_max:
                found[node.index] += 1
    return tuple(found.items())


def _distance(node: FreeNode, gang: Sequence[FreeNode]) -> int:
    for distance, level in enumerate(_LEVELS):
        if any(domain_of(node, level) == domain_of(each, level) for each in gang):
            return distance
    return len(_LEVELS)
