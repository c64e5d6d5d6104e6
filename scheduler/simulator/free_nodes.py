"""Where a plain scheduler puts a gang: best fit by free devices, ties by index. Holds and gives back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scheduler.model.ids import SiteId
from scheduler.model.shape import Shape
from scheduler.simulator.cluster import Cluster

IntArray = NDArray[np.int64]

#: (node's index in the cluster, workers)
Place = tuple[tuple[int, int], ...]


class FreeNodes:
    """What is free: an array (node, [devices, CPUs, MiB]), and the nodes of every site and class that has devices."""

    def __init__(self, cluster: Cluster) -> None:
        self.free: IntArray = np.array([(n.gpus, n.cpus, n.memory_mib) for n in cluster.nodes], dtype=np.int64)
        self._open = np.ones(len(cluster.nodes), dtype=np.bool_)
        self._pools: dict[tuple[str, SiteId], IntArray] = {}
        for index, node in enumerate(cluster.nodes):
            if node.gpus:
                members = self._pools.setdefault((node.gpu_class, node.site_id), np.empty(0, dtype=np.int64))
                self._pools[node.gpu_class, node.site_id] = np.append(members, index)
        self._classes = cluster.gpu_classes

    def place(
        self, shape: Shape, bound_site: SiteId | None, free: IntArray | None = None
    ) -> tuple[SiteId, Place] | None:
        """A place for the gang on one site now, or on ``free``; None where there is none. Changes nothing."""
        free = self.free if free is None else free
        for gpu_class in shape.gpu_classes or self._classes:
            for (each, site), members in self._pools.items():
                if each == gpu_class and bound_site in (None, site):
                    found = self._place_in(members, shape, free)
                    if found is not None:
                        return site, found
        return None

    def _place_in(self, members: IntArray, shape: Shape, free: IntArray) -> Place | None:
        left = free[members]
        room = left[:, 0] // shape.gpus_per_worker
        if shape.cpus_per_worker:
            room = np.minimum(room, left[:, 1] // shape.cpus_per_worker)
        if shape.memory_mib_per_worker:
            room = np.minimum(room, left[:, 2] // shape.memory_mib_per_worker)
        room = np.where(self._open[members], np.maximum(room, 0), 0)
        useful = np.flatnonzero(room)
        if int(room.sum()) < shape.workers:
            return None
        if shape.workers == 1:
            return ((int(members[useful[np.argmin(left[useful, 0])]]), 1),)
        missing, found = shape.workers, []
        for each in useful[np.lexsort((useful, left[useful, 0], -room[useful]))]:
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

    def set_open(self, nodes: Sequence[int], is_open: bool) -> None:
        """Whether something new may start on nodes."""
        self._open[list(nodes)] = is_open
