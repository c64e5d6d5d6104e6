"""The cluster file as the scheduler's own sites and nodes. A node's index counts the file's nodes from 0."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scheduler.cycle.spares import at_work_at_most
from scheduler.model.errors import ConfigurationError
from scheduler.model.ids import NodeId, SiteId
from scheduler.model.site import Csap, Node, SecurityGrade, Site, SiteState
from scheduler.simulator.room import Room

#: Devices of a node where a log names only their total.
DEVICES_A_NODE = 8
#: Stands for CPUs and MiB that are not known: never what binds.
AMPLE = 10**9

_OPEN = SecurityGrade(csap=Csap.HIGH, state_facility=True, classified_network=True, isolates_users=True)


@dataclass(frozen=True)
class Cluster:
    """Sites and nodes; ``nodes[i].id == i + 1``. ``quota_gpus`` are guarantees that the file publishes, by group.

    On a CPU cluster (``counts_cores``) cores are the devices that quotas and placement count.
    """

    name: str
    counts_cores: bool
    sites: tuple[Site, ...]
    nodes: tuple[Node, ...]
    quota_gpus: Mapping[str, int]
    names_sites: bool  #: the file says which node is where, so a job's site is a requirement

    @cached_property
    def devices(self) -> int:
        """Devices of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @cached_property
    def gpu_classes(self) -> tuple[str, ...]:
        """Classes that have devices."""
        return tuple(sorted({node.gpu_class for node in self.nodes if node.gpus}))

    @cached_property
    def largest_node(self) -> Mapping[str, int]:
        """Devices of the largest node, by class."""
        found: dict[str, int] = {}
        for node in self.nodes:
            found[node.gpu_class] = max(found.get(node.gpu_class, 0), node.gpus)
        return found

    @cached_property
    def room(self) -> Room:
        """What its sites could hold when empty."""
        return Room(at_work_at_most(self.nodes, {site.id: site for site in self.sites}))

    @cached_property
    def site_ids(self) -> Mapping[str, SiteId]:
        """Site ids by name."""
        return {site.name: site.id for site in self.sites}


def read_cluster(path: Path) -> Cluster:
    """Read a cluster file. Raises ConfigurationError for one that describes no cluster."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as unreadable:
        raise ConfigurationError(
            f"{path} cannot be read as a cluster file: {unreadable}",
            f"{path}을(를) 클러스터 파일로 읽을 수 없습니다: {unreadable}",
        ) from unreadable
    try:
        return build_cluster(document)
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise ConfigurationError(
            f"{path} is no cluster file: {wrong!r}", f"{path}은(는) 클러스터 파일이 아닙니다: {wrong!r}"
        ) from wrong


def build_cluster(document: Mapping[str, Any]) -> Cluster:
    """Make a cluster of a document: ``nodes`` (count, gpus_per_node, gpu_type, cpus, mem_gb; optionally site, and domain,
    as HALL/SPINE/LEAF, of them all, or leaf_nodes and spine_nodes, how many a domain has, and block_nodes, how many of a leaf
    take work at a time), or, where it lists none, nodes of ``DEVICES_A_NODE`` that add up to its total or peak.

    Raises KeyError, TypeError or ValueError where the document does not say enough.
    """
    counts_cores = document.get("device") == "cpu"
    entries = list(document.get("nodes") or ()) or list(_made_up(document, counts_cores))
    names = list(dict.fromkeys(map(_site_name, entries)))
    sites = tuple(
        Site(
            id=SiteId(number),
            name=name,
            state=SiteState.ACTIVE,
            security=_OPEN,
            reachable=True,
            block_nodes={
                _gpu_class(entry, counts_cores): int(entry["block_nodes"])
                for entry in entries
                if entry.get("block_nodes") and _site_name(entry) == name
            },
        )
        for number, name in enumerate(names, 1)
    )
    ids = {site.name: site.id for site in sites}
    nodes = tuple(_nodes(entries, ids, counts_cores))
    if not any(node.gpus for node in nodes):
        raise ValueError("no node has a device")
    groups = document.get("groups")
    listed = groups if isinstance(groups, list) else []
    return Cluster(
        name=str(document.get("name", "")),
        counts_cores=counts_cores,
        sites=sites,
        nodes=nodes,
        quota_gpus={str(each["name"]): int(each["quota_gpus"]) for each in listed if each.get("quota_gpus")},
        names_sites=any(entry.get("site") for entry in document.get("nodes") or ()),
    )


def _made_up(document: Mapping[str, Any], counts_cores: bool) -> Iterator[dict[str, Any]]:
    """Equal nodes that add up to what is known; sites whose sizes are not published get equal parts."""
    total = document.get("total_cpus") if counts_cores else document.get("total_gpus")
    total = total or document.get("peak_concurrent_gpus")
    if not total:
        raise ValueError("neither nodes nor a total of devices")
    sites = document.get("sites") or [None]
    share, more = divmod(int(total), len(sites))
    for number, site in enumerate(sites):
        whole, rest = divmod(share + (number < more), DEVICES_A_NODE)
        for count, devices in ((whole, DEVICES_A_NODE), (1, rest)):
            if count and devices:
                known = {"cpus": devices} if counts_cores else {"gpus_per_node": devices}
                yield {"count": count, "site": site} | known


def _site_name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("site") or "cluster")


def _gpu_class(entry: Mapping[str, Any], counts_cores: bool) -> str:
    return "core" if counts_cores else str(entry.get("gpu_type") or "gpu").lower()


def _nodes(entries: list[Any], site_ids: Mapping[str, SiteId], counts_cores: bool) -> Iterator[Node]:
    index = 0
    for number, entry in enumerate(entries):
        devices = int(entry["cpus"] if counts_cores else entry["gpus_per_node"])
        cpus, memory_gib = entry.get("cpus"), entry.get("mem_gb")
        leaf_nodes, spine_nodes = int(entry.get("leaf_nodes") or 0), int(entry.get("spine_nodes") or 0)
        written = tuple(part for part in str(entry.get("domain") or "").split("/") if part)
        if len(written) > 3 or (written and (leaf_nodes or spine_nodes)):
            raise ValueError(f"nodes.{number}.domain: write HALL/SPINE/LEAF, or leaf_nodes and spine_nodes instead")
        for place in range(int(entry["count"])):
            domain = written
            if leaf_nodes:
                spine = place // spine_nodes if spine_nodes else 0
                domain = (f"hall-{number:03}", f"spine-{spine:03}", f"leaf-{place // leaf_nodes:04}")
            yield Node(
                id=NodeId(index + 1),
                site_id=site_ids[_site_name(entry)],
                name=f"node-{index:06}",
                pool=f"pool-{number}",
                gpu_class=_gpu_class(entry, counts_cores),
                gpus=devices,
                cpus=AMPLE if cpus is None or counts_cores else int(cpus),
                memory_mib=AMPLE if memory_gib is None or counts_cores else int(memory_gib * 1024),
                domain=domain,
                healthy=True,
            )
            index += 1
