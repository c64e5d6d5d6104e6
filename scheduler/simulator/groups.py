"""Groups and quotas of a simulation: the policy's tree, with the trace's groups where the policy names none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quota.tree import Quota
from scheduler.cycle.facts import GroupFacts
from scheduler.cycle.federation import Federation
from scheduler.model.errors import ConfigurationError
from scheduler.model.ids import GroupId
from scheduler.model.offer import Sector
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.policy import GroupPolicy, Order, Policy
from scheduler.simulator.workload import ROOT, Workload

_SECTORS = {sector.value: sector for sector in Sector}


def group_paths(policy: Policy, names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Every group's path, parents first, and the path that each of the trace's groups, ``names``, has.

    A trace's group that the policy does not name, by its path or by the last name of one path, is a child of the root.
    Raises ConfigurationError for a group that two paths end in.
    """
    paths: dict[str, None] = {}
    for group in policy.groups:
        parts = group.path.split(".")
        for depth in range(1, len(parts) + 1):
            paths.setdefault(".".join(parts[:depth]))
    by_last: dict[str, list[str]] = {}
    for path in paths:
        by_last.setdefault(path.rpartition(".")[2], []).append(path)
    renamed: dict[str, str] = {}
    for name in dict.fromkeys(name for name in names if name):
        ends = [name] if name in paths else by_last.get(name, [])
        if len(ends) > 1:
            raise ConfigurationError(
                f"groups: the trace's group {name} may be {' or '.join(ends)}: name it apart",
                f"groups: 작업 기록의 그룹 {name}은(는) {', '.join(ends)} 중 어느 것인지 알 수 없습니다. 이름을 다르게 하십시오",
            )
        renamed[name] = ends[0] if ends else name
    return list(paths), renamed


def put_groups(federation: Federation, cluster: Cluster, workload: Workload, policy: Policy) -> Mapping[GroupId, Order]:
    """Tell the federation its tree; answer the orders of the groups that have one of their own.

    One without quotas in the policy has those that the cluster file publishes, in proportion to the classes' devices. A group
    that is called like a sector, and all below it, is of that sector.
    """
    ids = {path: GroupId(number) for number, path in enumerate(workload.groups, 1)}
    facts = [
        GroupFacts(
            id=group,
            path=path,
            parent=None if path == ROOT else ids.get(path.rpartition(".")[0], ids[ROOT]),
            trust_domain="",
            public_sector=False,
            sector=_SECTORS.get(path.partition(".")[0]),
        )
        for path, group in ids.items()
    ]
    quotas: dict[tuple[GroupId, str], Quota] = {}
    given = {group.path: group for group in policy.groups}
    for path, group in ids.items():
        if path in given:
            quotas |= _quotas(given[path], group, cluster)
        elif path in cluster.quota_gpus and path != ROOT:
            for gpu_class in cluster.gpu_classes:
                part = sum(node.gpus for node in cluster.nodes if node.gpu_class == gpu_class)
                gpus = cluster.quota_gpus[path] * part // cluster.devices
                quotas[group, gpu_class] = Quota(guaranteed=gpus)
    federation.set_groups(facts, quotas)
    return {ids[path]: group.order for path, group in given.items() if group.order is not None}


def _quotas(policy: GroupPolicy, group: GroupId, cluster: Cluster) -> dict[tuple[GroupId, str], Quota]:
    found = {}
    for name, quota in policy.quota.items():
        if name.lower() not in cluster.gpu_classes:
            raise ConfigurationError(
                f"groups.{policy.path}.quota.{name}: the cluster's GPU classes are {', '.join(cluster.gpu_classes)}",
                f"groups.{policy.path}.quota.{name}: 클러스터의 GPU 종류는 {', '.join(cluster.gpu_classes)}입니다",
            )
        found[group, name.lower()] = Quota(**quota.model_dump(exclude={"cells"}), cells=quota.cells)
    return found
