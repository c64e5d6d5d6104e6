"""A policy's offers, recalls and maintenance in the scheduler's own words, for one cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scheduler.model.calendar import Calendar
from scheduler.model.errors import ConfigurationError
from scheduler.model.ids import GroupId, OfferId, SiteId
from scheduler.model.offer import Offer
from scheduler.model.shape import PRIORITY_CLASSES
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.knowledge import LEVELS_MAX
from scheduler.simulator.lending_policy import MaintenancePolicy, OfferPolicy, RecallPolicy
from scheduler.simulator.policy import Policy
from scheduler.simulator.trace_offer import Cycle, TraceOffer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """At ``at_ms`` somebody asks for ``nodes`` nodes (None: all) of one class (None: all) during [from, to), to None for good.

    A lender who ``recalls`` them, or else an operator for maintenance.
    """

    at_ms: int
    site: SiteId
    gpu_class: str | None
    nodes: int | None
    from_ms: int
    to_ms: int | None
    recalls: bool


def offers_of(policy: Policy, cluster: Cluster, groups: Sequence[str] = ()) -> Iterator[Offer]:
    """The policy's offers, numbered from 1; ``groups`` are all paths, that of GroupId(1) first.

    Raises ConfigurationError for a site, class, number or group that is not there.
    """
    for number, each in enumerate(policy.offers):
        site, gpu_class = _pool(cluster, each, f"offers.{number}")
        floor = None if each.priority_floor is None else PRIORITY_CLASSES[each.priority_floor]
        if floor is not None and policy.levels_per_doubling:
            floor = (floor - 1) * LEVELS_MAX  # levels stay inside a class
        cycle = Cycle(each.from_seconds * 1000, _ms(each.to_seconds), _ms(each.every_seconds))
        yield TraceOffer(
            id=OfferId(number + 1),
            site=site,
            gpu_class=gpu_class,
            nodes=each.nodes,
            calendar=each.calendar or Calendar(time_zone="UTC"),
            sectors=each.sectors,
            data_classes=each.data_classes,
            notice_seconds=each.notice_seconds,
            minimum_hold_seconds=each.minimum_hold_seconds,
            rate=each.rate,
            priority_floor=floor,
            group=None if each.group is None else _group(groups, each.group, f"offers.{number}"),
            cycle=None if each.calendar else cycle,
            begins_ms=policy.begins_ms,
        )


def _group(groups: Sequence[str], path: str, field: str) -> GroupId:
    if path not in groups:
        raise ConfigurationError(
            f"{field}.group: there is no group {path}: name it under groups",
            f"{field}.group: 그룹 {path}이(가) 없습니다. groups에 이름을 쓰십시오",
        )
    return GroupId(groups.index(path) + 1)


def asks_of(policy: Policy, cluster: Cluster) -> list[Ask]:
    """Recalls and maintenance by the time they are asked for. Raises ConfigurationError as ``offers_of`` does."""
    found = []
    for number, recall in enumerate(policy.recalls):
        site, gpu_class = _pool(cluster, recall, f"recalls.{number}")
        found.append(
            Ask(
                at_ms=recall.at_seconds * 1000,
                site=site,
                gpu_class=gpu_class,
                nodes=recall.nodes,
                from_ms=recall.by_seconds * 1000,
                to_ms=_ms(recall.until_seconds),
                recalls=True,
            )
        )
    for number, each in enumerate(policy.maintenance):
        field = f"maintenance.{number}"
        if each.gpu_class is None and each.nodes is None:
            where: tuple[SiteId, str | None] = (_site(cluster, each.site, field), None)
        else:
            where = _pool(cluster, each, field)
        found.append(
            Ask(
                at_ms=each.at_seconds * 1000,
                site=where[0],
                gpu_class=where[1],
                nodes=each.nodes,
                from_ms=each.from_seconds * 1000,
                to_ms=_ms(each.to_seconds),
                recalls=False,
            )
        )
    return sorted(found, key=lambda ask: ask.at_ms)


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


def _site(cluster: Cluster, name: str, field: str) -> SiteId:
    if name not in cluster.site_ids:
        known = ", ".join(cluster.site_ids)[:400]
        raise ConfigurationError(
            f"{field}.site: the cluster's sites are {known}", f"{field}.site: 클러스터의 사이트는 {known}입니다"
        )
    return cluster.site_ids[name]


def _pool(cluster: Cluster, of: OfferPolicy | RecallPolicy | MaintenancePolicy, field: str) -> tuple[SiteId, str]:
    """The site and the class that are meant, where they have so many nodes."""
    site = _site(cluster, of.site, field)
    classes = sorted({node.gpu_class for node in cluster.nodes if node.site_id == site})
    wanted = classes if of.gpu_class is None else [of.gpu_class.lower()]
    if len(wanted) != 1 or wanted[0] not in classes:
        known = ", ".join(classes)[:400]
        raise ConfigurationError(
            f"{field}.gpu_class: choose one of the site's classes, {known}",
            f"{field}.gpu_class: 사이트의 GPU 종류 {known} 중 하나를 쓰십시오",
        )
    count = sum(node.site_id == site and node.gpu_class == wanted[0] for node in cluster.nodes)
    if of.nodes is not None and of.nodes > count:
        raise ConfigurationError(
            f"{field}.nodes: the site has {count} such nodes",
            f"{field}.nodes: 사이트에 그런 노드는 {count}개입니다",
        )
    return site, wanted[0]
