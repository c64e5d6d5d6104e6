"""Where a plain scheduler puts a gang: best fit by free devices, ties by index. Holds and gives back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.model.ids import SiteId
from scheduler.model.shape import Shape, Topology
from scheduler.simulator.cluster import Cluster

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: (node's index in the cluster, workers)
Place = tuple[tuple[int, int], ...]


#: A GPU class, a site, and a domain of it.
_Pool = tuple[str, SiteId, tuple[str, ...]]


class _Level(NamedTuple):
    """The nodes with devices that a gang may lie on together, if it has to lie within one domain of some level."""

    pools: dict[_Pool, IntArray]
    pool_of: list[_Pool]


class FreeNodes:
    """What is free: an array (node, [devices, CPUs, MiB]). A gang lies on nodes of one site and class, and of one domain of the
    level that it requires."""

    def __init__(self, cluster: Cluster) -> None:
        self.free: IntArray = np.array([(n.gpus, n.cpus, n.memory_mib) for n in cluster.nodes], dtype=np.int64)
        self._open = np.ones(len(cluster.nodes), dtype=np.bool_)
        self._nodes, self._classes = cluster.nodes, cluster.gpu_classes
        self._at: dict[Topology, _Level] = {}

    def place(
        self, shape: Shape, bound_site: SiteId | None, free: IntArray | None = None
    ) -> tuple[SiteId, Place] | None:
        """A place for the gang on one site now, or on ``free``; None where there is none. Changes nothing."""
        free = self.free if free is None else free
        for (_, site, _), members in self._pools_for(shape, bound_site):
            found = self._place_in(members, shape, free)
            if found is not None:
                return site, found
        return None

    def fits_after(
        self, shape: Shape, bound_site: SiteId | None, releases: Iterable[tuple[Shape, Place]]
    ) -> int | None:
        """How many of ``releases`` have to come, in their order, until the gang fits; None if all do not suffice.

        The gang fits where a pool's nodes have room for all workers, so only
        the room of released nodes is counted anew.
        """
        pool_of = self._level(shape.required).pool_of
        rooms = {pool: int(self._room(members, shape).sum()) for pool, members in self._pools_for(shape, bound_site)}
        gained: dict[int, list[int]] = {}
        for number, (released, place) in enumerate(releases, 1):
            for index, workers in place:
                pool = pool_of[index]
                if pool not in rooms or not self._open[index]:
                    continue
                left = gained.get(index)
                if left is None:
                    left = gained[index] = self.free[index].tolist()
                before = _workers(left, shape)
                left[0] += workers * released.gpus_per_worker
                left[1] += workers * released.cpus_per_worker
                left[2] += workers * released.memory_mib_per_worker
                rooms[pool] += _workers(left, shape) - before
                if rooms[pool] >= shape.workers:
                    return number
        return None

    def _pools_for(self, shape: Shape, bound_site: SiteId | None) -> Iterator[tuple[_Pool, IntArray]]:
        pools = self._level(shape.required).pools
        for gpu_class in shape.gpu_classes or self._classes:
            for pool, members in pools.items():
                if pool[0] == gpu_class and bound_site in (None, pool[1]):
                    yield pool, members

    def _level(self, required: Topology) -> _Level:
        known = self._at.get(required)
        if known is None:
            pool_of = [(node.gpu_class, node.site_id, node.domain_at(required)) for node in self._nodes]
            members: dict[_Pool, list[int]] = {}
            for index, pool in enumerate(pool_of):
                if self._nodes[index].gpus:
                    members.setdefault(pool, []).append(index)
            pools = {pool: np.array(indices, dtype=np.int64) for pool, indices in members.items()}
            known = self._at[required] = _Level(pools, pool_of)
        return known

    def _room(self, members: IntArray, shape: Shape, free: IntArray | None = None) -> IntArray:
        """Workers that each of some nodes has room for."""
        left = (self.free if free is None else free)[members]
        room = left[:, 0] // shape.gpus_per_worker
        if shape.cpus_per_worker:
            room = np.minimum(room, left[:, 1] // shape.cpus_per_worker)
        if shape.memory_mib_per_worker:
            room = np.minimum(room, left[:, 2] // shape.memory_mib_per_worker)
        return np.where(self._open[members], np.maximum(room, 0), 0)

    def _place_in(self, members: IntArray, shape: Shape, free: IntArray) -> Place | None:
        room = self._room(members, shape, free)
        useful = np.flatnonzero(room)
        if int(room.sum()) < shape.workers:
            return None
        if shape.workers == 1:
            return ((int(members[useful[np.argmin(free[members[useful], 0])]]), 1),)
        missing, found = shape.workers, []
        for each in useful[np.lexsort((useful, free[members[useful], 0], -room[useful]))]:
            workers = min(missing, int(room[each]))
            found.append((int(members[each]), workers))
            missing -= workers
            if not missing:
                break
        return tuple(found)

    def change(self, shape: Shape, place: Place, sign: int, free: IntArray | None = None) -> None:
        """Hold (``sign`` -1) or give back (1) what a placed gang takes."""
        free = self.free if free is None else free
        for index, workers in place:
            free[index, 0] += sign * workers * shape.gpus_per_worker
            free[index, 1] += sign * workers * shape.cpus_per_worker
            free[index, 2] += sign * workers * shape.memory_mib_per_worker

    def open_where(self, is_open: BoolArray) -> None:
        """Have something new start on these nodes alone, by index."""
        self._open = is_open


def _workers(left: Sequence[int], shape: Shape) -> int:
    """Workers that a node with so much left has room for."""
    room = left[0] // shape.gpus_per_worker
    if shape.cpus_per_worker:
        room = min(room, left[1] // shape.cpus_per_worker)
    if shape.memory_mib_per_worker:
        room = min(room, left[2] // shape.memory_mib_per_worker)
    return max(room, 0)
