"""Failures and repairs of nodes, in time."""

from __future__ import annotations

from typing import NamedTuple

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.policy import Policy


class NodeEvent(NamedTuple):
    """A node, by its index, fails or is repaired: at one instant repairs come first."""

    at_ms: int
    fails: bool
    node: int


def node_events(policy: Policy, cluster: Cluster) -> list[NodeEvent]:
    """All of a policy's, in order. Raises ConfigurationError for a node that is not there."""
    found: list[NodeEvent] = []
    for number, failure in enumerate(policy.failures):
        if failure.node >= len(cluster.nodes):
            last = len(cluster.nodes) - 1
            raise ConfigurationError(
                f"failures.{number}.node: the cluster's nodes are 0 to {last}",
                f"failures.{number}.node: 클러스터의 노드는 0부터 {last}까지입니다",
            )
        found.append(NodeEvent(failure.at_seconds * 1000, True, failure.node))
        found.append(NodeEvent(failure.until_seconds * 1000, False, failure.node))
    return sorted(found)
