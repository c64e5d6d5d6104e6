"""The nodes as a simulation knows them: what is free, and which are out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from scheduler.model.errors import InvariantBroken
from scheduler.model.site import Node
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.failures import NodeEvent
from scheduler.simulator.history import NodeUse


class Nodes:
    """``free`` are devices by node index that no run holds."""

    def __init__(self, cluster: Cluster) -> None:
        self._nodes = cluster.nodes
        self._failures: Counter[int] = Counter()
        self.free = [node.gpus for node in cluster.nodes]

    @property
    def broken(self) -> Collection[int]:
        """Indices of nodes that are out of order."""
        return self._failures.keys()

    def take(self, gang: tuple[NodeUse, ...]) -> None:
        """A run holds these devices. Raises InvariantBroken where they are not free or their node is out of order."""
        for index, devices in gang:
            self.free[index] -= devices
            if self.free[index] < 0 or index in self._failures:
                raise InvariantBroken(f"node {index} cannot hold {devices} devices more")

    def give_back(self, gang: tuple[NodeUse, ...]) -> None:
        """A run holds these devices no more."""
        for index, devices in gang:
            self.free[index] += devices

    def change(self, event: NodeEvent) -> None:
        """A node fails, or one failure of it is repaired."""
        self._failures[event.node] += 1 if event.fails else -1
        if not self._failures[event.node]:
            del self._failures[event.node]

    def fact(self, index: int) -> Node:
        """The node as the scheduler knows it."""
        node = self._nodes[index]
        return replace(node, healthy=False) if index in self._failures else node
