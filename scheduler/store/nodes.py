"""Nodes of sites, as their agents report them. A node that went stays as a removed row: runs refer to it.

That a node is set aside is no part of what agents report, and no report changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from scheduler.model.wire import NodeReport
from scheduler.store import reported_gpus
from scheduler.store.dialect import upsert
from scheduler.store.rows import all_of, chunks, first_of
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
    aside_reason: dict[str, Any] | None
    trusted_ms: int | None
    change: int

    @property
    def is_well(self) -> bool:
        """Whether work may start there: healthy by its agent's word, and not set aside."""
        return self.healthy and self.aside_ms is None


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


def by_ids(connection: Connection, node_ids: Iterable[int]) -> dict[int, NodeRow]:
    """Return the nodes of ``node_ids``, gone or not; ids that do not exist are left out."""
    found: dict[int, NodeRow] = {}
    for part in chunks(node_ids):
        found |= {row.id: row for row in all_of(NodeRow, connection, select(nodes).where(nodes.c.id.in_(part)))}
    return found


def by_name(connection: Connection, site_id: int, name: str) -> NodeRow | None:
    """Return a node of a site that is there now."""
    wanted = (nodes.c.site_id == site_id, nodes.c.name == name, nodes.c.removed.is_(False))
    return first_of(NodeRow, connection, select(nodes).where(*wanted))


def aside_ids(connection: Connection) -> frozenset[int]:
    """Return the nodes that are set aside, gone or not."""
    return frozenset(connection.execute(select(nodes.c.id).where(nodes.c.aside_ms.is_not(None))).scalars())


def aside_by_site(connection: Connection, by: str | None = None) -> dict[int, int]:
    """Return how many nodes that are there now are set aside, by site; with ``by`` those that it set aside."""
    aside: list[ColumnElement[bool]] = [nodes.c.aside_ms.is_not(None), nodes.c.removed.is_(False)]
    if by is not None:
        aside.append(nodes.c.aside_by == by)
    counted = select(nodes.c.site_id, func.count().label("nodes")).where(*aside).group_by(nodes.c.site_id)
    return {row.site_id: row.nodes for row in connection.execute(counted)}


def count_of_site(connection: Connection, site_id: int) -> int:
    """Return how many nodes of a site are there now."""
    present = select(func.count()).where(nodes.c.site_id == site_id, nodes.c.removed.is_(False))
    return int(connection.execute(present).scalar_one())


def set_aside(transaction: WriteTransaction, node_id: int, by: str, reason: Mapping[str, Any]) -> None:
    """Have nothing start on a node from now on."""
    _change(transaction, node_id, aside_ms=transaction.now_ms, aside_by=by, aside_reason=dict(reason))


def give_back(transaction: WriteTransaction, node_id: int) -> None:
    """Have a node take work again; what failed on it before speaks against it no more."""
    _change(transaction, node_id, aside_ms=None, aside_by=None, aside_reason=None, trusted_ms=transaction.now_ms)


def _change(transaction: WriteTransaction, node_id: int, **values: Any) -> None:
    statement = update(nodes).where(nodes.c.id == node_id).values(**values, change=transaction.change)
    transaction.connection.execute(statement)


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
    if rows:
        reported_gpus.note(transaction, site_id)


def remove(transaction: WriteTransaction, site_id: int, names: Sequence[str]) -> None:
    """Mark nodes as gone."""
    for part in chunks(names):
        transaction.connection.execute(
            update(nodes)
            .where(nodes.c.site_id == site_id, nodes.c.name.in_(part), nodes.c.removed.is_(False))
            .values(removed=True, change=transaction.change)
        )
    reported_gpus.note(transaction, site_id)
