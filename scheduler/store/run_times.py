"""How long the last jobs of every kind ran that succeeded, as rows: one a kind, so that all of it is soon read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select, tuple_

from scheduler.cycle.prediction import ANY_CLASS, Like, RunTimes, Scope
from scheduler.store import class_speeds
from scheduler.store.dialect import upsert
from scheduler.store.rows import chunks
from scheduler.store.tables import run_times
from scheduler.store.transaction import WriteTransaction

_KEYS = ("scope", "owner_id", "gpus", "gpu_class")
_KINDS_A_STATEMENT = 150


def of(connection: Connection, likes: Iterable[Like]) -> RunTimes:
    """Return what is known of these kinds, on every GPU class, and of the classes' speeds."""
    found = RunTimes()
    found.put_speeds(class_speeds.every(connection))
    columns = run_times.c
    kinds = {like.on(ANY_CLASS) for like in likes}
    for part in chunks(sorted(kinds), _KINDS_A_STATEMENT):
        wanted = tuple_(columns.scope, columns.owner_id, columns.gpus).in_([_key(each)[:3] for each in part])
        for row in connection.execute(select(run_times).where(wanted)):
            take(found, row)
    return found


def take(known: RunTimes, row: Any) -> None:
    """Have ``known`` hold what a row says."""
    last = (row.last_ms,) if row.before_ms is None else (row.before_ms, row.last_ms)
    known.put(Like(Scope(row.scope), row.owner_id, row.gpus, row.gpu_class), last)


def put(transaction: WriteTransaction, known: RunTimes, likes: Iterable[Like]) -> None:
    """Write what is known of these kinds."""
    rows = []
    for like in sorted(set(likes)):
        *before, last_ms = known.last_ms(like)
        rows.append(
            {
                **dict(zip(_KEYS, _key(like), strict=True)),
                "last_ms": last_ms,
                "before_ms": before[-1] if before else None,
                "change": transaction.change,
            }
        )
    upsert(transaction.connection, run_times, rows, keys=_KEYS, update=("last_ms", "before_ms", "change"))


def _key(like: Like) -> tuple[str, int | str, int, str]:
    return like.scope.value, like.owner, like.gpus, like.gpu_class
