"""Recalls of lent nodes, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from scheduler.store.rows import all_of, first_of
from scheduler.store.tables import recalls
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class RecallRow:
    """A row of ``recalls``. ``node_ids`` are the nodes that were chosen when it was asked for."""

    id: int
    site_id: int
    gpu_class: str
    nodes: int
    node_ids: list[int]
    asked_ms: int
    by_ms: int
    until_ms: int | None
    withdrawn_ms: int | None
    created_by: str
    change: int


def by_id(connection: Connection, recall_id: int) -> RecallRow | None:
    """Return one recall."""
    return first_of(RecallRow, connection, select(recalls).where(recalls.c.id == recall_id))


def every(connection: Connection, *, since_ms: int = 0) -> list[RecallRow]:
    """Return the recalls that were not withdrawn and are not over at ``since_ms``, by id."""
    return all_of(RecallRow, connection, select(recalls).where(_matters(since_ms)).order_by(recalls.c.id))


def of_site(connection: Connection, site_id: int, *, since_ms: int = 0) -> list[RecallRow]:
    """Return those of one site."""
    mine = and_(recalls.c.site_id == site_id, _matters(since_ms))
    return all_of(RecallRow, connection, select(recalls).where(mine).order_by(recalls.c.id))


def add(
    transaction: WriteTransaction,
    *,
    site_id: int,
    gpu_class: str,
    node_ids: Sequence[int],
    by_ms: int,
    until_ms: int | None,
    created_by: str,
) -> RecallRow:
    """Write a recall that is asked for now."""
    values = {
        "site_id": site_id,
        "gpu_class": gpu_class,
        "nodes": len(node_ids),
        "node_ids": list(node_ids),
        "asked_ms": transaction.now_ms,
        "by_ms": by_ms,
        "until_ms": until_ms,
        "created_by": created_by,
        "change": transaction.change,
    }
    return RecallRow(*transaction.connection.execute(insert(recalls).values(**values).returning(*recalls.c)).one())


def withdraw(transaction: WriteTransaction, recall_id: int) -> None:
    """Take a recall back: its nodes are lent as before."""
    values = {"withdrawn_ms": transaction.now_ms, "change": transaction.change}
    transaction.connection.execute(update(recalls).where(recalls.c.id == recall_id).values(**values))


def _matters(since_ms: int) -> ColumnElement[bool]:
    lasts = or_(recalls.c.until_ms.is_(None), recalls.c.until_ms > since_ms)
    return and_(recalls.c.withdrawn_ms.is_(None), lasts)
