"""When which nodes take work: offers' windows, recalls and failures of a policy as events in time."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.policy import OfferPolicy, Policy


class Action(IntEnum):
    """What happens to nodes; at one instant in this order. A node takes work while nothing keeps it closed."""

    OPEN = 0  #: one thing less keeps them closed
    CLOSE = 1  #: nothing new starts on them
    END = 2  #: what still runs on them ends, recalled
    FAIL = 3  #: they are closed, and what runs on them is lost since its last checkpoint


class NodeEvent(NamedTuple):
    """One action on nodes, by their indices."""

    at_ms: int
    action: Action
    nodes: tuple[int, ...]


def node_events(policy: Policy, cluster: Cluster, horizon_ms: int) -> list[NodeEvent]:
    """All events up to ``horizon_ms``, in order. Raises ConfigurationError for a site or a node that is not there."""
    found: list[NodeEvent] = []
    for number, offer in enumerate(policy.offers):
        nodes = _nodes_of(cluster, offer.site, offer.nodes, offer.gpu_class, f"offers.{number}")
        found += _windows(offer, nodes, horizon_ms)
    for number, recall in enumerate(policy.recalls):
        nodes = _nodes_of(cluster, recall.site, recall.nodes, None, f"recalls.{number}")
        found.append(NodeEvent(recall.at_seconds * 1000, Action.CLOSE, nodes))
        found.append(NodeEvent(recall.by_seconds * 1000, Action.END, nodes))
        if recall.until_seconds is not None:
            found.append(NodeEvent(recall.until_seconds * 1000, Action.OPEN, nodes))
    for number, failure in enumerate(policy.failures):
        if failure.node >= len(cluster.nodes):
            last = len(cluster.nodes) - 1
            raise ConfigurationError(
                f"failures.{number}.node: the cluster's nodes are 0 to {last}",
                f"failures.{number}.node: 클러스터의 노드는 0부터 {last}까지입니다",
            )
        found.append(NodeEvent(failure.at_seconds * 1000, Action.FAIL, (failure.node,)))
        found.append(NodeEvent(failure.until_seconds * 1000, Action.OPEN, (failure.node,)))
    return sorted(event for event in found if event.at_ms <= horizon_ms)


def _nodes_of(cluster: Cluster, site: str, count: int, gpu_class: str | None, field: str) -> tuple[int, ...]:
    site_id = cluster.site_ids.get(site)
    if site_id is None:
        known = ", ".join(cluster.site_ids)[:400]
        raise ConfigurationError(
            f"{field}.site: the cluster's sites are {known}", f"{field}.site: 클러스터의 사이트는 {known}입니다"
        )
    mine = [
        index
        for index, node in enumerate(cluster.nodes)
        if node.site_id == site_id and gpu_class in (None, node.gpu_class)
    ]
    if count > len(mine):
        raise ConfigurationError(
            f"{field}.nodes: the site has {len(mine)} such nodes",
            f"{field}.nodes: 사이트에 그런 노드는 {len(mine)}개입니다",
        )
    return tuple(mine[:count])


def _windows(offer: OfferPolicy, nodes: tuple[int, ...], horizon_ms: int) -> Iterator[NodeEvent]:
    """Closed, then windows one after another. What can neither start nor finish in one is not the offer's to know."""
    begin_ms, end_ms = offer.from_seconds * 1000, offer.to_seconds * 1000
    notice_ms = min(offer.notice_seconds * 1000, end_ms - begin_ms)
    if begin_ms > 0:
        yield NodeEvent(0, Action.CLOSE, nodes)
    while begin_ms <= horizon_ms:
        if begin_ms > 0:
            yield NodeEvent(begin_ms, Action.OPEN, nodes)
        yield NodeEvent(end_ms - notice_ms, Action.CLOSE, nodes)
        yield NodeEvent(end_ms, Action.END, nodes)
        if offer.every_seconds is None:
            return
        begin_ms += offer.every_seconds * 1000
        end_ms += offer.every_seconds * 1000
