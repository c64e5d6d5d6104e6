"""Nodes set aside for a time, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from scheduler.store.rows import all_of, first_of
from scheduler.store.tables import reservations
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """A row of ``reservations``. ``gpu_class`` is None where its nodes were named, ``group_id`` where nobody may run on them."""

    id: int
    site_id: int
    gpu_class: str | None
    node_ids: list[int]
    from_ms: int
    to_ms: int | None
    reason: str
    created_ms: int
    withdrawn_ms: int | None
    created_by: str
    change: int
    group_id: int | None = None


def by_id(connection: Connection, reservation_id: int) -> ReservationRow | None:
    """Return one reservation."""
    return first_of(ReservationRow, connection, select(reservations).where(reservations.c.id == reservation_id))


def every(connection: Connection, *, since_ms: int = 0) -> list[ReservationRow]:
    """Return the reservations that were not withdrawn and are not over at ``since_ms``, by id."""
    wanted = select(reservations).where(_matters(since_ms)).order_by(reservations.c.id)
    return all_of(ReservationRow, connection, wanted)


def of_site(connection: Connection, site_id: int, *, since_ms: int = 0) -> list[ReservationRow]:
    """Return those of one site."""
    mine = and_(reservations.c.site_id == site_id, _matters(since_ms))
    return all_of(ReservationRow, connection, select(reservations).where(mine).order_by(reservations.c.id))


def add(
    transaction: WriteTransaction,
    *,
    site_id: int,
    gpu_class: str | None,
    node_ids: Sequence[int],
    from_ms: int,
    to_ms: int | None,
    reason: str,
    created_by: str,
    group_id: int | None = None,
) -> ReservationRow:
    """Write a reservation."""
    values = {
        "site_id": site_id,
        "gpu_class": gpu_class,
        "node_ids": list(node_ids),
        "from_ms": from_ms,
        "to_ms": to_ms,
        "reason": reason,
        "created_ms": transaction.now_ms,
        "created_by": created_by,
        "change": transaction.change,
        "group_id": group_id,
    }
    statement = insert(reservations).values(**values).returning(*reservations.c)
    return ReservationRow(*transaction.connection.execute(statement).one())


def withdraw(transaction: WriteTransaction, reservation_id: int) -> None:
    """Take a reservation back."""
    values = {"withdrawn_ms": transaction.now_ms, "change": transaction.change}
    transaction.connection.execute(update(reservations).where(reservations.c.id == reservation_id).values(**values))


def _matters(since_ms: int) -> ColumnElement[bool]:
    lasts = or_(reservations.c.to_ms.is_(None), reservations.c.to_ms > since_ms)
    return and_(reservations.c.withdrawn_ms.is_(None), lasts)
