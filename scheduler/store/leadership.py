"""One leader by a lease row. Its fencing number grows with every change of leader; ``fence.check`` guards
commits."""

from __future__ import annotations

from sqlalchemy import select, update

from scheduler.store.database import Database
from scheduler.store.dialect import upsert
from scheduler.store.fence import Fence
from scheduler.store.tables import leadership
from scheduler.store.transaction import WriteTransaction


def acquire(database: Database, *, name: str, holder: str, duration_ms: int, now_ms: int) -> Fence | None:
    """Lead ``name`` until ``now_ms + duration_ms``, or return None while another's lease runs.

    A holder that acquires again gets a new number: a restarted process never commits with its earlier self's.
    """

    def take(transaction: WriteTransaction) -> Fence | None:
        connection = transaction.connection
        upsert(
            connection,
            leadership,
            [{"name": name, "holder": "", "fence": 0, "expires_ms": 0}],
            keys=["name"],
        )
        row = connection.execute(select(leadership).where(leadership.c.name == name).with_for_update()).one()
        if row.expires_ms > now_ms and row.holder not in ("", holder):
            return None
        number = row.fence + 1
        connection.execute(
            update(leadership)
            .where(leadership.c.name == name)
            .values(holder=holder, fence=number, expires_ms=now_ms + duration_ms)
        )
        return Fence(name=name, holder=holder, number=number)

    return database.run(take)


def renew(database: Database, fence: Fence, *, duration_ms: int, now_ms: int) -> bool:
    """Lead on until ``now_ms + duration_ms``; False when another has taken over."""

    def extend(transaction: WriteTransaction) -> bool:
        renewed = transaction.connection.execute(
            update(leadership)
            .where(leadership.c.name == fence.name, leadership.c.fence == fence.number)
            .values(expires_ms=now_ms + duration_ms)
        )
        return renewed.rowcount == 1

    return database.run(extend)


def release(database: Database, fence: Fence) -> None:
    """Let another lead at once. The number stays: it only grows. Nothing happens if another leads already."""

    def end(transaction: WriteTransaction) -> None:
        transaction.connection.execute(
            update(leadership)
            .where(leadership.c.name == fence.name, leadership.c.fence == fence.number)
            .values(holder="", fence=fence.number + 1, expires_ms=0)
        )

    database.run(end)
