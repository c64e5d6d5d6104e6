"""The nodes as a simulation knows them: what is free, and what keeps which closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scheduler.model.errors import InvariantBroken
from scheduler.model.site import Node
from scheduler.simulator.availability import Action, NodeEvent
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.history import NodeUse


class Nodes:
    """``free`` are devices by node index that no run holds, closed or not; ``devices`` are those of open nodes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._closed_by = [0] * len(cluster.nodes)
        self.free = [node.gpus for node in cluster.nodes]
        self.devices = cluster.devices

    def take(self, gang: tuple[NodeUse, ...]) -> None:
        """A run holds these devices. Raises InvariantBroken where they are not free."""
        for index, devices in gang:
            self.free[index] -= devices
            if self.free[index] < 0:
                raise InvariantBroken(f"node {index} would hold {-self.free[index]} devices more than it has")

    def give_back(self, gang: tuple[NodeUse, ...]) -> None:
        """A run holds these devices no more."""
        for index, devices in gang:
            self.free[index] += devices

    def change(self, event: NodeEvent) -> Iterator[tuple[int, bool]]:
        """Open or close nodes by one reason; yield (index, takes work) of those for which that decides."""
        by = -1 if event.action is Action.OPEN else 1
        for index in event.nodes:
            was_open = self._closed_by[index] <= 0
            self._closed_by[index] += by
            is_open = self._closed_by[index] <= 0
            if was_open is not is_open:
                self.devices += self._cluster.nodes[index].gpus * (1 if is_open else -1)
                yield index, is_open

    def fact(self, index: int, healthy: bool) -> Node:
        """The node as the scheduler knows it."""
        return replace(self._cluster.nodes[index], healthy=healthy)
