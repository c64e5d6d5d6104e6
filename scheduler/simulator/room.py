"""How many workers the sites of a cluster could hold when empty: what ``feasible.why_never`` asks, for many jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from scheduler.model.ids import SiteId
from scheduler.model.shape import Topology
from scheduler.model.site import Node

#: Devices, CPUs and MiB of a node, or of a worker.
Amount = tuple[int, int, int]
#: Of every domain of a level how many nodes of each kind it has.
_Domains = dict[tuple[str, ...], Counter[Amount]]


class Room:
    """Nodes by site and GPU class, and by domains of a level once somebody asks for it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._pools: dict[Topology, dict[tuple[SiteId, str], _Domains]] = {}

    def workers_most(
        self, worker: Amount, gpu_classes: Collection[str], required: Topology, site: SiteId | None = None
    ) -> int:
        """The most workers that one domain of the ``required`` level has room for, at any site or at ``site``."""
        found = 0
        for (here, gpu_class), domains in self._of(required).items():
            if gpu_class not in gpu_classes or site not in (None, here):
                continue
            for kinds in domains.values():
                found = max(found, sum(many * _workers_on(kind, worker) for kind, many in kinds.items()))
        return found

    def _of(self, level: Topology) -> dict[tuple[SiteId, str], _Domains]:
        known = self._pools.get(level)
        if known is None:
            known = self._pools[level] = {}
            for node in self._nodes:
                domains = known.setdefault((node.site_id, node.gpu_class), {})
                domains.setdefault(node.domain_at(level), Counter())[node.gpus, node.cpus, node.memory_mib] += 1
        return known


def _workers_on(node: Amount, worker: Amount) -> int:
    return min(has // wants for has, wants in zip(node, worker, strict=True) if wants)
