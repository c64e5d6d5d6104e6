"""The nodes that guarantees with a shape may be granted on: a snapshot as ``quota.topology`` sees it.

A cell that is granted must be there whenever its group asks, so a node counts only where nothing but its own
failure takes it away: it is healthy and has GPUs, its site takes work, and it is lent to everybody, without notice of a
recall and without an end that is known. All others stand in their domains as bad ones, so that a domain is short of them.
Runs do not matter: what holds a node today is no part of where it stands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quota.cell_shape import Level
from quota.topology import Domain, Node, Topology
from scheduler.cycle.snapshot import SitePool, Snapshot, takes_work
from scheduler.cycle.stay import NEVER_MS, PLAIN, Terms
from scheduler.model.ids import NodeId, SiteId

#: Of a node's path below its site, outermost first.
_LEVELS = (Level.HALL, Level.SPINE, Level.LEAF)


def cell_topology(snapshot: Snapshot) -> Topology:
    """Return all sites, their domains and their nodes, the nodes that may be promised as the healthy ones.

    Domains are named by ``domain_name``, nodes by ``node_name``. O(nodes).
    """
    domains: dict[str, Domain] = {}
    nodes = []
    promised = _promised(snapshot)
    for node in snapshot.nodes.values():
        around = domain_name(node.site_id, ())
        domains.setdefault(around, Domain(around, Level.SITE, None))
        for depth, level in enumerate(_LEVELS[: len(node.domain)], start=1):
            name = domain_name(node.site_id, node.domain[:depth])
            domains.setdefault(name, Domain(name, level, around))
            around = name
        nodes.append(Node(node_name(node.id), around, node.gpu_class, node.id in promised))
    return Topology.build(domains.values(), nodes)


def domain_name(site: SiteId, path: tuple[str, ...]) -> str:
    """Name a domain by its site's number and its path below it, which holds no slash: `2/hall/spine`."""
    return "/".join((str(site), *path))


def node_name(node: NodeId) -> str:
    """Name a node, apart from all domains: `#17`."""
    return f"#{node}"


def node_of(name: str) -> NodeId:
    """The node that is called so."""
    return NodeId(int(name.removeprefix("#")))


def _promised(snapshot: Snapshot) -> set[NodeId]:
    """Return the nodes that nothing but their own failure takes away."""
    promised: set[NodeId] = set()
    for pool in snapshot.pools.values():
        if takes_work(snapshot.sites[pool.site]):
            stays = _stays(pool, snapshot.terms)
            promised.update(node for node, each in zip(pool.node_ids, stays, strict=True) if each)
    return {node for node in promised if snapshot.nodes[node].healthy and snapshot.nodes[node].gpus}


def _stays(pool: SitePool, terms: tuple[Terms, ...]) -> list[bool]:
    """Return, by node of the pool, whether it is lent to everybody and for good."""
    if pool.pool.terms is None or pool.pool.until_ms is None:
        return [True] * len(pool.node_ids)
    open_to_all = np.array([each.firm and _open(each) for each in terms])
    stays: list[bool] = (open_to_all[pool.pool.terms] & (pool.pool.until_ms >= NEVER_MS)).tolist()
    return stays


def _open(terms: Terms) -> bool:
    """Whether all are let in; the cells that a snapshot knows already are no reason against."""
    kept = replace(
        PLAIN,
        hold_ms=terms.hold_ms,
        rate=terms.rate,
        lender=terms.lender,
        cell=terms.cell,
        having_cells=terms.having_cells,
    )
    return terms == kept
