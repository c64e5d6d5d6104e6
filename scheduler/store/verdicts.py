"""Verdicts of waiting jobs: one row a class (group, shape, bound site); a job inherits it when it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from scheduler.store.dialect import upsert
from scheduler.store.tables import verdicts
from scheduler.store.transaction import WriteTransaction

#: (group id, shape id, bound site id or 0)
VerdictKey = tuple[int, int, int]


def put_many(transaction: WriteTransaction, at_ms: int, rows: Sequence[tuple[VerdictKey, dict[str, Any]]]) -> None:
    """Write the verdicts of a round made at ``at_ms``."""
    values = [
        {"group_id": group, "shape_id": shape, "bound_site_id": bound, "at_ms": at_ms, "verdict": verdict}
        for (group, shape, bound), verdict in rows
    ]
    keys = ("group_id", "shape_id", "bound_site_id")
    upsert(transaction.connection, verdicts, values, keys=keys, update=["at_ms", "verdict"])


def find(connection: Connection, keys: Iterable[VerdictKey]) -> dict[VerdictKey, dict[str, Any]]:
    """Return the verdicts of ``keys``; each with ``at_ms`` added. Classes not judged yet are left out."""
    wanted = set(keys)
    if not wanted:
        return {}
    # A page of jobs has few groups and shapes: their product read once is cheaper than one condition a pair.
    statement = select(verdicts).where(
        verdicts.c.group_id.in_({group for group, _, _ in wanted}),
        verdicts.c.shape_id.in_({shape for _, shape, _ in wanted}),
    )
    found: dict[VerdictKey, dict[str, Any]] = {}
    for row in connection.execute(statement):
        key = (row.group_id, row.shape_id, row.bound_site_id)
        if key in wanted:
            found[key] = {**row.verdict, "at_ms": row.at_ms}
    return found


def remove_many(transaction: WriteTransaction, keys: Iterable[VerdictKey]) -> None:
    """Drop the verdicts of classes in which no job waits any more."""
    for group, shape, bound in keys:
        transaction.connection.execute(
            delete(verdicts).where(
                verdicts.c.group_id == group,
                verdicts.c.shape_id == shape,
                verdicts.c.bound_site_id == bound,
            )
        )
