"""Until when each node is lent: for schedulers that know of nothing but open nodes. The same steps that rounds see.

The nodes that runs stand on are lent first, to offers as ``cycle.lent`` gives them; groups make no difference here.
"""

from __future__ import annotations

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.lending import Lending
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import RunId
from scheduler.model.site import Node
from scheduler.placement.pool import IntArray
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.failures import NodeEvent
from scheduler.simulator.lenders import Lenders
from scheduler.simulator.nodes import Nodes


class LentNodes:
    """``until_ms`` is when each node is taken back, by index: 0 where it is not lent or out of order."""

    def __init__(self, cluster: Cluster, lenders: Lenders, nodes: Nodes) -> None:
        self._lenders, self._nodes = lenders, nodes
        self._facts: list[Node] = list(cluster.nodes)
        self._healthy = np.ones(len(cluster.nodes), np.bool_)
        self._lent_until_ms: IntArray = np.full(len(cluster.nodes), NEVER_MS, np.int64)
        self._runs: dict[RunId, LiveRun] = {}
        self._lending = Lending()
        self._lending.set(lenders.offers, (), ())
        self._site = np.array([node.site_id for node in cluster.nodes], np.int64)
        self._gpus = np.array([node.gpus for node in cluster.nodes], np.int64)
        self.until_ms = self._lent_until_ms
        self.changes_ms = NEVER_MS

    @property
    def devices(self) -> int:
        """Those of nodes that are lent."""
        return int(self._gpus[self.until_ms > self._lending.at_ms].sum())

    def put_run(self, run: LiveRun) -> None:
        """A run holds nodes."""
        self._runs[run.id] = run
        self._lending.put_run(run)

    def drop_run(self, run: RunId) -> None:
        """A run holds them no more."""
        self._lending.drop_run(self._runs.pop(run))

    def change(self, event: NodeEvent) -> None:
        """A node fails or is repaired: the books have it already."""
        self._facts[event.node] = self._nodes.fact(event.node)
        self._healthy[event.node] = self._facts[event.node].healthy
        self._lending.touch(self._facts[event.node].site_id)

    def work_out(self, now_ms: int) -> None:
        """Let lenders speak, and see what is lent now."""
        lenders = self._lenders
        if lenders.hear(now_ms, self._nodes.broken, self._runs.values()):
            self._lending.set(lenders.offers, lenders.recalls, lenders.reservations)
        for site, lent in self._lending.work_out(now_ms, self._facts, {}):
            self._lent_until_ms[self._site == site] = NEVER_MS if lent is None else 0
            for node, (_, until_ms) in (lent or {}).items():
                self._lent_until_ms[node - 1] = until_ms
        self.until_ms = np.where(self._healthy, self._lent_until_ms, 0)
        self.changes_ms = min(self._lending.changes_ms, lenders.next_ms)
