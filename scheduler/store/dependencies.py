"""What jobs wait for of other jobs, as rows: what is still to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, cast, delete, exists, func, select

from scheduler.model.dependency import Condition, Dependency
from scheduler.store.dialect import bulk_insert
from scheduler.store.rows import chunks
from scheduler.store.tables import dependencies, jobs, runs
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class Awaited:
    """Jobs that somebody waits for: one, or tasks of one array that stand alike. ``job_id`` is the first of ``jobs``."""

    on: int
    job_id: int
    group_id: int
    state: str
    has_started: bool
    jobs: int


def of_waiters(connection: Connection, waiter_ids: Iterable[int]) -> dict[int, list[Dependency]]:
    """Return what is still to come for each of ``waiter_ids`` (jobs and arrays), in order; those with nothing are left
    out."""
    found: dict[int, list[Dependency]] = {}
    for part in chunks(waiter_ids):
        _collect(connection, found, part)
    return found


def every(connection: Connection) -> dict[int, list[Dependency]]:
    """Return what is still to come for everybody."""
    found: dict[int, list[Dependency]] = {}
    _collect(connection, found, None)
    return found


def _collect(connection: Connection, found: dict[int, list[Dependency]], waiter_ids: Sequence[int] | None) -> None:
    table = dependencies.c
    statement = select(table.waiter_id, table.on_id, table.condition).order_by(
        table.waiter_id, table.on_id, table.condition
    )
    if waiter_ids is not None:
        statement = statement.where(table.waiter_id.in_(waiter_ids))
    for row in connection.execute(statement):
        found.setdefault(row.waiter_id, []).append(Dependency(row.on_id, Condition(row.condition)))


def add(transaction: WriteTransaction, rows: Iterable[tuple[int, Dependency]]) -> None:
    """Have waiters wait."""
    columns = ("waiter_id", "on_id", "condition")
    bulk_insert(
        transaction.connection,
        dependencies,
        columns,
        [(waiter, each.on, each.condition.value) for waiter, each in rows],
    )


def remove(transaction: WriteTransaction, waiter_ids: Iterable[int]) -> None:
    """Nothing is to come for ``waiter_ids`` any more."""
    for part in chunks(waiter_ids):
        transaction.connection.execute(delete(dependencies).where(dependencies.c.waiter_id.in_(part)))


def awaited(connection: Connection, on_ids: Iterable[int]) -> dict[int, list[Awaited]]:
    """Return how the jobs and arrays of ``on_ids`` stand; what does not exist is left out."""
    started = cast(exists().where(runs.c.job_id == jobs.c.id, runs.c.started_ms.is_not(None)), Integer)
    found: dict[int, list[Awaited]] = {}
    for part in chunks(on_ids):
        one = select(jobs.c.id, jobs.c.group_id, jobs.c.state, started.label("started")).where(jobs.c.id.in_(part))
        for row in connection.execute(one):
            found[row.id] = [Awaited(row.id, row.id, row.group_id, row.state, bool(row.started), 1)]
        tasks = (
            select(jobs.c.array_id, jobs.c.id, jobs.c.group_id, jobs.c.state, started.label("started"))
            .where(jobs.c.array_id.in_(part))
            .subquery()
        )
        alike = (tasks.c.array_id, tasks.c.group_id, tasks.c.state, tasks.c.started)
        counted = select(*alike, func.min(tasks.c.id).label("first"), func.count().label("jobs")).group_by(*alike)
        for row in connection.execute(counted.order_by(func.min(tasks.c.id))):
            own = Awaited(row.array_id, row.first, row.group_id, row.state, bool(row.started), row.jobs)
            found.setdefault(row.array_id, []).append(own)
    return found
