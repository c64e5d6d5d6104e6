"""Free nodes of one GPU class at one site, and the fast way to place a gang on them.

The published rule (``oracle.place`` is the same as a loop):

1. The gang goes into one domain of the preferred level; of the domains that hold it, the one with the fewest free GPUs,
   ties by name. Where none does, the next looser level is tried, up to the whole site.
2. Inside, it takes as few nodes as it can: nodes with room for most workers first; ties go to fewer free GPUs, then the
   name. What remains for the last node goes to the node with the fewest free GPUs that holds it.

Nodes with the same number of free GPUs share a bucket, so that one worker is placed without looking at the others.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scheduler.model.shape import Topology
from scheduler.placement.request import LEVELS, Placement, Request

IntArray = NDArray[np.int64]


class Pool:
    """Nodes in the order of their names. Mutable: a round takes a copy and takes from it."""

    __slots__ = ("_buckets", "_cpus", "_domains", "_failed", "_gpus", "_memory", "free_gpus", "names")

    def __init__(
        self,
        names: Sequence[str],
        domains: Sequence[tuple[str, ...]],
        gpus: IntArray,
        cpus: IntArray,
        memory_mib: IntArray,
    ) -> None:
        self.names = names
        self._domains = {level: _numbered(domains, depth + 1) for depth, level in enumerate(LEVELS)}
        self._gpus, self._cpus, self._memory = gpus, cpus, memory_mib
        self.free_gpus = int(gpus.sum())
        self._failed: set[tuple[int, int, int, int, Topology]] = set()
        self._buckets = _bucketed(gpus)

    def copy(self) -> Pool:
        """A pool that changes on its own."""
        twin = object.__new__(Pool)
        twin.names, twin._domains, twin.free_gpus = self.names, self._domains, self.free_gpus
        twin._gpus, twin._cpus, twin._memory = self._gpus.copy(), self._cpus.copy(), self._memory.copy()
        twin._failed = set()
        twin._buckets = [list(bucket) for bucket in self._buckets]
        return twin

    def free_of(self, index: int) -> tuple[int, int, int]:
        """Free GPUs, CPUs and memory (MiB) of one node."""
        return int(self._gpus[index]), int(self._cpus[index]), int(self._memory[index])

    def workers_max(self, request: Request) -> int:
        """How many workers like the request's would fit now."""
        return int(self._capacities(request).sum())

    def place(self, request: Request, level: Topology) -> Placement | None:
        """Find nodes for the gang inside one domain of ``level``, or None. Changes nothing."""
        if request.gpus_in_all > self.free_gpus:
            return None
        key = (request.workers, request.gpus, request.cpus, request.memory_mib, level)
        if key in self._failed:
            return None
        found = self._place_one(request) if request.workers == 1 else self._place_many(request, level)
        if found is None:
            self._failed.add(key)  # a round only takes, so what failed stays failed
        return found

    def take(self, request: Request, placement: Placement) -> None:
        """Hold the GPUs, CPUs and memory of a placed gang."""
        for index, workers in placement:
            left = int(self._gpus[index]) - workers * request.gpus
            self._gpus[index] = left
            self._cpus[index] -= workers * request.cpus
            self._memory[index] -= workers * request.memory_mib
            heapq.heappush(self._buckets[max(left, 0)], index)
        self.free_gpus -= request.gpus_in_all

    def _place_one(self, request: Request) -> Placement | None:
        for free in range(request.gpus, len(self._buckets)):
            index = self._first_in(free, request)
            if index is not None:
                return ((index, 1),)
        return None

    def _first_in(self, free: int, request: Request) -> int | None:
        """The first node by name with exactly ``free`` GPUs that has the CPUs and memory, too."""
        bucket, gpus, aside = self._buckets[free], self._gpus, []
        found = None
        while bucket:
            index = bucket[0]
            if gpus[index] != free:
                heapq.heappop(bucket)  # taken from since; it stands in another bucket, too
                continue
            if self._cpus[index] >= request.cpus and self._memory[index] >= request.memory_mib:
                found = index
                break
            aside.append(heapq.heappop(bucket))
        for index in aside:
            heapq.heappush(bucket, index)
        return found

    def _capacities(self, request: Request) -> IntArray:
        """Workers that each node has room for."""
        room = self._gpus // request.gpus
        if request.cpus:
            room = np.minimum(room, self._cpus // request.cpus)
        if request.memory_mib:
            room = np.minimum(room, self._memory // request.memory_mib)
        return np.maximum(room, 0)

    def _place_many(self, request: Request, level: Topology) -> Placement | None:
        room = self._capacities(request)
        if level is Topology.NODE:
            fits = np.flatnonzero(room >= request.workers)
            if not len(fits):
                return None
            return ((int(fits[np.argmin(self._gpus[fits])]), request.workers),)
        if level is not Topology.SITE:
            numbers = self._domains[level]
            workers = np.bincount(numbers, weights=room)
            fits = np.flatnonzero(workers >= request.workers)
            if not len(fits):
                return None
            free = np.bincount(numbers, weights=self._gpus)
            chosen = fits[np.argmin(free[fits])]
            room = np.where(numbers == chosen, room, 0)
        elif int(room.sum()) < request.workers:
            return None
        return self._fill(request, room)

    def _fill(self, request: Request, room: IntArray) -> Placement:
        useful = np.flatnonzero(room)
        order = useful[np.lexsort((useful, self._gpus[useful], -room[useful]))]
        left = request.workers
        placement: list[tuple[int, int]] = []
        for index in order:
            if room[index] >= left:
                break
            placement.append((int(index), int(room[index])))
            left -= int(room[index])
        enough = useful[room[useful] >= left]
        if placement:
            enough = enough[~np.isin(enough, [index for index, _ in placement])]
        placement.append((int(enough[np.argmin(self._gpus[enough])]), left))
        return tuple(placement)


def _numbered(domains: Sequence[tuple[str, ...]], depth: int) -> IntArray:
    """Number the nodes' domains of one level in the order of their names; a shorter path stands for itself."""
    paths = [path[:depth] for path in domains]
    numbers = {path: number for number, path in enumerate(sorted(set(paths)))}
    return np.array([numbers[path] for path in paths], dtype=np.int64)


def _bucketed(gpus: IntArray) -> list[list[int]]:
    """For each number of free GPUs, the indices of the nodes that have it; ascending, which is a heap."""
    buckets: list[list[int]] = [[] for _ in range(int(gpus.max(initial=0)) + 1)]
    for index, free in enumerate(gpus.tolist()):
        if free > 0:
            buckets[free].append(index)
    return buckets
