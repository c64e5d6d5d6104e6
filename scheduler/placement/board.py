"""All pools of a round at once, and which nodes a gang gets.

The published rule (``oracle.place`` is the same as a loop):

1. The gang goes into one domain of the preferred level, or of the tightest level below it at which one domain holds it; of these
   domains, the one with the fewest free GPUs, ties by name. Where none does, the next looser level is tried, up to the whole
   site. A node is chosen as in 2.
2. Where one node holds the gang, there are as many candidates as there are numbers of free GPUs: the first such node by name
   that holds it. It goes where it costs least: what it adds to the node's crowding, and a quarter of each GPU that it leaves
   free there; ties go to fewer free GPUs.
3. In a leaf it takes as few nodes as it can: nodes with room for most workers first; ties go to fewer free GPUs, then the
   name. What remains for the last node goes to the node with the fewest free GPUs that holds it.
4. In a wider domain it takes whole parts of the next tighter level, those with room for most workers first, as long as none
   holds what is left; ties go to fewer free GPUs, then the name. What is left goes into the part with the fewest free GPUs that
   holds it, where 3 and 4 hold again.

Crowding looks after cores and memory. A node's ``g`` free GPUs stand beside cores, and memory, that would do for ``h`` GPUs with
an equal share of all that the node has; where ``h < g`` they crowd it by ``g * (g / h - 1)`` GPUs, by cores or by memory,
whichever is more. So who asks for many cores goes where GPUs have them to spare, who asks for few goes where they have not,
and where nobody is short it is best fit. docs/decisions/0024-crowding.md has why.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from scheduler.model.shape import Topology
from scheduler.placement import kernel
from scheduler.placement.arrays import DOMAIN_LEVELS, HALL, LEAF, NODE, SITE, SPINE, Need, Nodes, Starts
from scheduler.placement.pool import BoolArray, IntArray, Pool, PoolLayout
from scheduler.placement.request import Placement, Request
from scheduler.placement.tally import tally

LEVEL_NUMBERS = {
    Topology.NODE: NODE,
    Topology.LEAF: LEAF,
    Topology.SPINE: SPINE,
    Topology.HALL: HALL,
    Topology.SITE: SITE,
    Topology.ANY: SITE,
}


class Board:
    """Pools by number. Mutable: a round makes one and takes from it."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self.pools = tuple(pools)
        self.nodes = _nodes_of(self.pools)

    def free_gpus(self, pool: int, usable: BoolArray | None = None) -> int:
        """Free GPUs of a pool, on its ``usable`` nodes (None: all)."""
        if usable is None:
            return int(self.nodes.pool_free[pool])
        return int(self.nodes.gpus[self.nodes.first[pool] : self.nodes.first[pool + 1]][usable].sum())

    def free_nodes(self, pool: int) -> BoolArray:
        """Which nodes of a pool have a free GPU."""
        free: BoolArray = self.nodes.gpus[self.nodes.first[pool] : self.nodes.first[pool + 1]] > 0
        return free

    def free_of(self, pool: int, index: int) -> tuple[int, int, int]:
        """Free GPUs, CPUs and memory (MiB) of one node, by its index in the pool."""
        at = int(self.nodes.first[pool]) + index
        return int(self.nodes.gpus[at]), int(self.nodes.cpus[at]), int(self.nodes.memory[at])

    def workers_max(
        self,
        pool: int,
        request: Request,
        usable: BoolArray | None = None,
        end_ms: int | None = None,
        own: BoolArray | None = None,
    ) -> int:
        """How many workers like the request's would fit now in one domain of a pool that the gang may have, on the pool's
        ``usable`` nodes (None: all). With ``end_ms``: that may be there until then, beside those for whom nodes are reserved;
        on nodes of its ``own``, which are reserved for it alone, beside nobody.
        """
        return int(self.rooms(pool, request, usable, end_ms, own).max(initial=0))

    def rooms(
        self,
        pool: int,
        request: Request,
        usable: BoolArray | None = None,
        end_ms: int | None = None,
        own: BoolArray | None = None,
    ) -> IntArray:
        """The same for every domain of the loosest level that the gang allows, by number."""
        here = slice(self.nodes.first[pool], self.nodes.first[pool + 1])
        room = self.nodes.gpus[here] // request.gpus
        if request.cpus:
            room = np.minimum(room, self.nodes.cpus[here] // request.cpus)
        if request.memory_mib:
            room = np.minimum(room, self.nodes.memory[here] // request.memory_mib)
        if end_ms is not None:
            spare = self.nodes.spare[:, here]
            beside = spare[0] // request.gpus
            for amount, each in ((1, request.cpus), (2, request.memory_mib)):
                beside = np.minimum(beside, spare[amount] // each) if each else beside
            held = self.nodes.held_from[here] < end_ms
            room = np.where(held if own is None else held & ~own, np.minimum(room, beside), room)
        room = np.maximum(room, 0)
        if usable is not None:
            room = room * usable
        domains = self.pools[pool].layout.domains_of(request.loosest)
        return np.bincount(domains, weights=room).astype(np.int64)

    def place(self, pool: int, request: Request, level: Topology) -> Placement | None:
        """Find nodes of a pool for the gang inside one domain of ``level``, or None. Takes nothing."""
        found = new_starts(1, request.workers)
        asked = (request.workers, request.gpus, request.cpus, request.memory_mib)
        parts = kernel.place(self.nodes, pool, LEVEL_NUMBERS[level], *asked, ANYTHING, found)
        if parts == 0:
            return None
        indices = found.node[:parts] - self.nodes.first[pool]
        return tuple(zip(indices.tolist(), found.workers[:parts].tolist(), strict=True))

    def take(self, pool: int, request: Request, placement: Placement) -> None:
        """Hold what a placed gang asks for."""
        for index, workers in placement:
            node = int(self.nodes.first[pool]) + index
            amounts = (workers * request.gpus, workers * request.cpus, workers * request.memory_mib)
            kernel.take(self.nodes, pool, node, *amounts)


#: From when on a node is reserved that is not.
FREE_FOR_EVER_MS = 1 << 62

#: The need of a gang that takes any node.
ANYTHING = Need(
    checks=False,
    firm=False,
    priority=0,
    now=0,
    end=0,
    least=-1,
    lets=np.ones(1, np.bool_),
    floor=np.zeros(1, np.int64),
    hold=np.zeros(1, np.int64),
    firm_terms=np.ones(1, np.bool_),
)


def new_starts(starts_max: int, parts_max: int) -> Starts:
    """Room for so many starts with so many parts in all."""
    row, job, pool, first_part = (np.empty(starts_max, np.int64) for _ in range(4))
    node, workers = (np.empty(parts_max, np.int64) for _ in range(2))
    return Starts(row, job, pool, first_part, node, workers, np.zeros(2, np.int64))


class _Plan(NamedTuple):
    """Where the nodes of some pools lie: the parts of ``Nodes`` that no round changes."""

    first: IntArray
    pool_of: IntArray
    domain: IntArray
    domains_of: IntArray
    member_first: IntArray
    members: IntArray
    share: IntArray


@lru_cache(maxsize=8)
def _plan_of(layouts: tuple[PoolLayout, ...]) -> _Plan:
    """Rounds see the same layouts until nodes come, go or are lent otherwise."""
    first = _firsts([len(layout) for layout in layouts])
    pool_of = np.repeat(np.arange(len(layouts)), np.diff(first))
    counts = np.array([layout.domain_counts for layout in layouts], np.int64).reshape(len(layouts), DOMAIN_LEVELS).T
    starts = _firsts(counts.ravel().tolist())
    domains_of = np.stack(
        [starts[level * len(layouts) : (level + 1) * len(layouts) + 1] for level in range(DOMAIN_LEVELS)]
    )
    domain = _joined([layout.domains for layout in layouts], (DOMAIN_LEVELS, 0)) + domains_of[:, pool_of]
    members = np.concatenate([np.argsort(numbers, kind="stable") for numbers in domain])
    sizes = np.bincount(domain.ravel(), minlength=int(starts[-1]))
    share = _joined([layout.share for layout in layouts], (2, 0))
    plan = _Plan(first, pool_of, domain, domains_of, _firsts(sizes.tolist()), members, share)
    for array in plan:
        array.setflags(write=False)
    return plan


def _nodes_of(pools: Sequence[Pool]) -> Nodes:
    plan = _plan_of(tuple(pool.layout for pool in pools))
    gpus = _joined([pool.gpus for pool in pools])
    pool_free, count, domain_free = tally(gpus, plan.pool_of, plan.domain, len(pools), len(plan.member_first) - 1)
    return Nodes(
        first=plan.first,
        gpus=gpus,
        cpus=_joined([pool.cpus for pool in pools]),
        memory=_joined([pool.memory_mib for pool in pools]),
        pool_free=pool_free,
        count=count,
        hint=np.repeat(plan.first[:-1, None], count.shape[1], axis=1),
        domain=plan.domain,
        domains_of=plan.domains_of,
        member_first=plan.member_first,
        members=plan.members,
        domain_free=domain_free,
        terms=_joined([_given(pool.terms, pool) for pool in pools]),
        until=_joined([_given(pool.until_ms, pool) for pool in pools]),
        plain=np.array([pool.terms is None for pool in pools], np.bool_),
        share=plan.share,
        held=np.zeros(len(pools), np.bool_),
        held_from=np.full(len(gpus), FREE_FOR_EVER_MS, np.int64),
        spare=np.zeros((3, len(gpus)), np.int64),
    )


def _firsts(sizes: Sequence[int]) -> IntArray:
    firsts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=firsts[1:])
    return firsts


def _given(column: IntArray | None, pool: Pool) -> IntArray:
    """A column of a pool; where it has none nobody reads it."""
    return np.zeros(len(pool.layout), np.int64) if column is None else column


def _joined(arrays: Sequence[IntArray], shape: tuple[int, ...] = (0,)) -> IntArray:
    """One after the other along the last axis; always a copy."""
    return np.concatenate([np.empty(shape, np.int64), *arrays], axis=-1)
