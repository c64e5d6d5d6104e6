"""Nodes of one class at one site, and what runs hold on them: kept in columns, so that a run costs what it touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scheduler.cycle.snapshot import SitePool
from scheduler.model.ids import NodeId, SiteId
from scheduler.model.site import Node
from scheduler.placement.pool import Pool, PoolLayout

#: GPUs, CPUs, memory (MiB)
Amounts = Sequence[int]


class NodePool:
    """One pool. Not thread-safe. What ``show`` has given is never changed."""

    def __init__(self, site: SiteId, gpu_class: str) -> None:
        self._site = site
        self._gpu_class = gpu_class
        self._nodes: dict[NodeId, Node] = {}
        self._index: dict[NodeId, int] | None = None  # None while nodes have changed
        self._ids: tuple[NodeId, ...] = ()
        self._layout = PoolLayout.of((), ())
        self._totals = np.zeros((3, 0), np.int64)
        self._used = np.zeros((3, 0), np.int64)
        self._leaving = np.zeros((3, 0), np.int64)
        self._shown: SitePool | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has no nodes."""
        return not self._nodes

    def put(self, node: Node) -> None:
        """Know a node, or what has changed of it."""
        self._nodes[node.id] = node
        self._index = self._shown = None

    def remove(self, node_id: NodeId) -> None:
        """Forget a node."""
        del self._nodes[node_id]
        self._index = self._shown = None

    def hold(self, held: Iterable[tuple[NodeId, Amounts]], *, leaving: bool = False) -> None:
        """Runs hold so much more on nodes, or less. Nodes that are not known are somebody else's to count."""
        self._shown = None
        if self._index is None:
            return  # counted anew from the whole use when it is shown
        for node_id, amounts in held:
            at = self._index.get(node_id)
            if at is not None:
                self._used[:, at] += amounts
                if leaving:
                    self._leaving[:, at] += amounts

    def copy(self) -> NodePool:
        """The same nodes, which from now on are held by themselves."""
        twin = NodePool(self._site, self._gpu_class)
        twin._nodes, twin._index, twin._ids, twin._layout = self._nodes.copy(), self._index, self._ids, self._layout
        twin._totals, twin._used, twin._leaving = self._totals, self._used.copy(), self._leaving.copy()
        twin._shown = self._shown
        return twin

    def show(self, use: Mapping[NodeId, Amounts], leaving: Mapping[NodeId, Amounts]) -> SitePool:
        """This moment, where runs hold ``use`` in all, and of that the runs that are leaving ``leaving``."""
        if self._index is None:
            self._arrange(use, leaving)
        if self._shown is None:
            free, soon = np.maximum(self._totals - np.stack((self._used, self._used - self._leaving)), 0)
            pool, gpus = Pool(self._layout, free[0], free[1], free[2]), int(self._totals[0].sum())
            self._shown = SitePool(self._site, self._gpu_class, self._ids, pool, gpus, soon)
        return self._shown

    def _arrange(self, use: Mapping[NodeId, Amounts], leaving: Mapping[NodeId, Amounts]) -> None:
        nodes = sorted(self._nodes.values(), key=lambda node: (node.name, node.id))
        self._ids = tuple(node.id for node in nodes)
        self._index = {node.id: index for index, node in enumerate(nodes)}
        self._layout = PoolLayout.of([node.name for node in nodes], [node.domain for node in nodes])
        # Nothing is free on a sick node; those that are well count as capacity.
        totals = [(node.gpus, node.cpus, node.memory_mib) if node.healthy else (0, 0, 0) for node in nodes]
        self._totals = np.array(totals, np.int64).reshape(len(nodes), 3).T
        nothing = (0, 0, 0)
        used, left = ([each.get(node.id, nothing) for node in nodes] for each in (use, leaving))
        self._used = np.array(used, np.int64).reshape(len(nodes), 3).T.copy()
        self._leaving = np.array(left, np.int64).reshape(len(nodes), 3).T.copy()
