"""Nodes of one class at one site, and what runs hold on them: kept in columns, so that a run costs what it touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.pool_runs import PoolRuns
from scheduler.cycle.snapshot import SitePool
from scheduler.model.ids import NodeId, SiteId
from scheduler.model.site import Node
from scheduler.placement.pool import BoolArray, IntArray, Pool, PoolLayout

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
        self._layout = PoolLayout.of((), (), ())
        self._totals = np.zeros((3, 0), np.int64)
        self._gpus = 0
        self._used = np.zeros((3, 0), np.int64)
        self._leaving = np.zeros((3, 0), np.int64)
        self._shown: SitePool | None = None
        self._lent: Mapping[NodeId, tuple[int, int]] | None = None
        self._terms: IntArray | None = None
        self._until: IntArray | None = None
        self._well: BoolArray | None = None
        self._places = np.zeros((2, 0), np.int64)
        self._runs = PoolRuns()

    @property
    def is_empty(self) -> bool:
        """Whether it has no nodes."""
        return not self._nodes

    @property
    def runs(self) -> PoolRuns:
        """Those of its site and class, wherever they lie."""
        return self._runs

    def put(self, node: Node) -> None:
        """Know a node, or what has changed of it."""
        self._nodes[node.id] = node
        self._index = self._shown = None

    def remove(self, node_id: NodeId) -> None:
        """Forget a node."""
        del self._nodes[node_id]
        self._index = self._shown = None

    def lend(self, lent: Mapping[NodeId, tuple[int, int]] | None) -> None:
        """Lend these nodes alone, on terms by number and until a moment (ms); None: all, to everybody and for ever."""
        if lent != self._lent:
            self._lent = lent
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

    def put_run(self, run: LiveRun) -> None:
        """A run of this site and class has come."""
        self._runs.put(run)
        self._shown = None

    def drop_run(self, run: LiveRun) -> None:
        """It is gone."""
        self._runs.drop(run.id)
        self._shown = None

    def copy(self) -> NodePool:
        """The same nodes, which from now on are held by themselves."""
        twin = NodePool(self._site, self._gpu_class)
        twin._nodes, twin._index, twin._ids, twin._layout = self._nodes.copy(), self._index, self._ids, self._layout
        twin._totals, twin._used, twin._leaving = self._totals, self._used.copy(), self._leaving.copy()
        twin._gpus, twin._places, twin._runs = self._gpus, self._places, self._runs.copy()
        twin._shown, twin._lent, twin._terms, twin._until = self._shown, self._lent, self._terms, self._until
        twin._well = self._well
        return twin

    def show(self, use: Mapping[NodeId, Amounts], leaving: Mapping[NodeId, Amounts]) -> SitePool:
        """This moment, where runs hold ``use`` in all, and of that the runs that are leaving ``leaving``."""
        index = self._index if self._index is not None else self._arrange(use, leaving)
        if self._shown is None:
            left = self._totals - self._used
            free, soon = np.maximum(left, 0), np.maximum(left + self._leaving, 0)
            over = free - left if left.min(initial=0) < 0 else None
            pool = Pool(self._layout, free[0], free[1], free[2], self._terms, self._until)
            self._shown = SitePool(
                site=self._site,
                gpu_class=self._gpu_class,
                node_ids=self._ids,
                pool=pool,
                gpus=self._gpus,
                soon=soon,
                index=index,
                over=over,
                well=self._well,
                places=self._places,
                runs=self._runs.show(),
            )
        return self._shown

    def _arrange(self, use: Mapping[NodeId, Amounts], leaving: Mapping[NodeId, Amounts]) -> Mapping[NodeId, int]:
        nodes = sorted(self._nodes.values(), key=lambda node: (node.name, node.id))
        self._ids = tuple(node.id for node in nodes)
        self._index = index = {node.id: at for at, node in enumerate(nodes)}
        ids = np.array(self._ids, np.int64)
        order = np.argsort(ids)
        self._places = np.stack((ids[order], order))
        self._layout = PoolLayout.of(
            [node.name for node in nodes],
            [node.domain for node in nodes],
            [(node.gpus, node.cpus, node.memory_mib) for node in nodes],
        )
        # Nothing is free on a node that is sick or not lent; the others count as capacity.
        lent = [node.healthy and (self._lent is None or node.id in self._lent) for node in nodes]
        totals = [
            (node.gpus, node.cpus, node.memory_mib) if is_lent else (0, 0, 0)
            for node, is_lent in zip(nodes, lent, strict=True)
        ]
        self._totals = np.array(totals, np.int64).reshape(len(nodes), 3).T.copy()
        self._gpus = int(self._totals[0].sum())
        well = np.array([node.healthy for node in nodes], np.bool_)
        self._well = None if well.all() else well
        self._terms = self._until = None
        if self._lent is not None:
            columns = [self._lent.get(node.id, (0, 0)) for node in nodes]
            self._terms, self._until = np.array(columns, np.int64).reshape(len(nodes), 2).T.copy()
        nothing = (0, 0, 0)
        used, left = ([each.get(node.id, nothing) for node in nodes] for each in (use, leaving))
        self._used = np.array(used, np.int64).reshape(len(nodes), 3).T.copy()
        self._leaving = np.array(left, np.int64).reshape(len(nodes), 3).T.copy()
        return index
