"""Nodes of sites, as their agents report them. A node that went stays as a removed row: runs refer to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from scheduler.model.wire import NodeReport
from scheduler.store.dialect import upsert
from scheduler.store.rows import all_of, chunks
from scheduler.store.tables import nodes
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A row of ``nodes``."""

    id: int
    site_id: int
    name: str
    pool: str
    gpu_class: str
    gpus: int
    cpus: int
    memory_mib: int
    domain: list[str]
    healthy: bool
    removed: bool
    aside_ms: int | None
    aside_by: str | None
    aside_why: str | None
    trusted_ms: int | None
    change: int


_REPORTED = ("pool", "gpu_class", "gpus", "cpus", "memory_mib", "domain", "healthy", "removed", "change")


def of_site(connection: Connection, site_id: int, *, removed: bool = False) -> list[NodeRow]:
    """Return a site's nodes, by name; with ``removed`` those that went, too."""
    statement = select(nodes).where(nodes.c.site_id == site_id).order_by(nodes.c.name)
    return all_of(NodeRow, connection, statement if removed else statement.where(nodes.c.removed.is_(False)))


def every(connection: Connection) -> list[NodeRow]:
    """Return the nodes of all sites that are there now."""
    return all_of(NodeRow, connection, select(nodes).where(nodes.c.removed.is_(False)).order_by(nodes.c.id))


def known_classes(connection: Connection) -> set[str]:
    """Return the GPU classes that any node has or had."""
    return set(connection.execute(select(nodes.c.gpu_class).distinct()).scalars())


def put(transaction: WriteTransaction, site_id: int, reports: Sequence[NodeReport]) -> None:
    """Write reported nodes, new or not. Hand in only what differs: each row written is a change to follow."""
    rows = [
        {
            "site_id": site_id,
            "name": node.name,
            "pool": node.pool,
            "gpu_class": node.gpu_class,
            "gpus": node.gpus,
            "cpus": node.cpus,
            "memory_mib": node.memory_mib,
            "domain": list(node.domain),
            "healthy": node.healthy,
            "removed": False,
            "change": transaction.change,
        }
        for node in reports
    ]
    upsert(transaction.connection, nodes, rows, keys=["site_id", "name"], update=_REPORTED)


def remove(transaction: WriteTransaction, site_id: int, names: Sequence[str]) -> None:
    """Mark nodes as gone."""
    for part in chunks(names):
        transaction.connection.execute(
            update(nodes)
            .where(nodes.c.site_id == site_id, nodes.c.name.in_(part), nodes.c.removed.is_(False))
            .values(removed=True, change=transaction.change)
        )
