"""The nodes as a simulation knows them: what is free, and what keeps which closed."""

from __future__ import annotations

from dataclasses import replace

from scheduler.model.errors import InvariantBroken
from scheduler.model.site import Node
from scheduler.simulator.availability import Action, NodeEvent
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.history import NodeUse


class Nodes:
    """``free`` are devices by node index that no run holds, closed or not; ``devices`` are those of open nodes, and those
    still held on closed ones. ``changed`` collects nodes that the scheduler has to be told of."""

    def __init__(self, cluster: Cluster) -> None:
        self._nodes = cluster.nodes
        self._closed_by = [0] * len(cluster.nodes)
        self._closed: set[int] = set()
        self.free = [node.gpus for node in cluster.nodes]
        self.devices = cluster.devices
        self.changed: set[int] = set()

    def take(self, gang: tuple[NodeUse, ...]) -> None:
        """A run holds these devices. Raises InvariantBroken where they are not free or their node is closed."""
        for index, devices in gang:
            self.free[index] -= devices
            if self.free[index] < 0 or index in self._closed:
                raise InvariantBroken(f"node {index} cannot hold {devices} devices more")

    def give_back(self, gang: tuple[NodeUse, ...]) -> None:
        """A run holds these devices no more."""
        for index, devices in gang:
            self.free[index] += devices
            if index in self._closed:
                self.devices -= devices
                self.changed.add(index)

    def change(self, event: NodeEvent) -> None:
        """Open or close nodes by one reason."""
        by = -1 if event.action is Action.OPEN else 1
        for index in event.nodes:
            self._closed_by[index] += by
            is_closed = self._closed_by[index] > 0
            if is_closed is (index in self._closed):
                continue
            self.devices += -self.free[index] if is_closed else self.free[index]
            (self._closed.add if is_closed else self._closed.discard)(index)
            self.changed.add(index)

    def is_closed(self, index: int) -> bool:
        """Whether nothing new may start on a node."""
        return index in self._closed

    def fact(self, index: int) -> Node:
        """The node as the scheduler knows it: a closed one is as large as what is held of it."""
        node = self._nodes[index]
        if index not in self._closed:
            return node
        held = node.gpus - self.free[index]
        return replace(node, gpus=held, healthy=held > 0)
