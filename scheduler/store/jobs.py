"""Jobs, as rows. New ones come in by ``submissions``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, false, func, null, or_, select, update

from scheduler.store.rows import all_of, chunks, first_of, update_by_id
from scheduler.store.tables import jobs
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row of ``jobs``."""

    id: int
    group_id: int
    person_id: int
    name: str
    state: str
    shape_id: int
    gpus: int
    priority: int
    spec: str
    submitted_ms: int
    epoch: int
    run_id: int | None
    site_id: int | None
    bound_site_id: int | None
    cancel_requested: bool
    requeue_requested: bool
    failures: int
    infrastructure_failures: int
    not_before_ms: int | None
    retries: int
    memory_failures: int
    walltime_failures: int
    alike_failures: int
    alike_exit_code: int | None
    start_by_ms: int | None
    started_ms: int | None
    ended_ms: int | None
    exit_code: int | None
    reason: dict[str, Any] | None
    outputs: str | None
    earmark: dict[str, Any] | None
    refusals: list[dict[str, Any]] | None
    walltime_ms: int | None
    save_ms: int | None
    awaits: bool
    array_id: int | None
    array_task: int | None
    array_tasks: int | None
    array_running_max: int | None
    predicted_ms: int | None
    predicted_from: str | None
    class_basis: str | None
    served_ms: int
    change: int

    @property
    def waiter_id(self) -> int:
        """By what number its dependencies are kept: a task of an array shares the array's."""
        return waiter_of(self)


def waiter_of(row: Any) -> int:
    """By what number a job's dependencies are kept, of any row with ``id`` and ``array_id``."""
    number: int = row.id if row.array_id is None else row.array_id
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list. None: any. ``before_id`` is the cursor: newest first, ids below it."""

    group_ids: Sequence[int] | None = None
    person_id: int | None = None
    states: Sequence[str] | None = None
    before_id: int | None = None
    array_id: int | None = None


def by_id(connection: Connection, job_id: int) -> JobRow | None:
    """Return one job."""
    return first_of(JobRow, connection, select(jobs).where(jobs.c.id == job_id))


def by_ids(connection: Connection, job_ids: Iterable[int]) -> dict[int, JobRow]:
    """Return the jobs of ``job_ids``; ids that do not exist are left out."""
    found: dict[int, JobRow] = {}
    for part in chunks(job_ids):
        for job in all_of(JobRow, connection, select(jobs).where(jobs.c.id.in_(part))):
            found[job.id] = job
    return found


@dataclass(frozen=True, slots=True)
class LikenessRow:
    """By what a job is like others, and what its file says of its run time: ``spec`` is None where that has no speeds."""

    id: int
    person_id: int
    group_id: int
    gpus: int
    walltime_ms: int | None
    served_ms: int
    spec: str | None


def likenesses(connection: Connection, job_ids: Iterable[int]) -> dict[int, LikenessRow]:
    """Return these of the jobs of ``job_ids``; ids that do not exist are left out."""
    columns = jobs.c.id, jobs.c.person_id, jobs.c.group_id, jobs.c.gpus, jobs.c.walltime_ms, jobs.c.served_ms
    spec = case((jobs.c.spec.contains('"speeds"'), jobs.c.spec)).label("spec")
    found: dict[int, LikenessRow] = {}
    for part in chunks(job_ids):
        for row in all_of(LikenessRow, connection, select(*columns, spec).where(jobs.c.id.in_(part))):
            found[row.id] = row
    return found


@dataclass(frozen=True, slots=True)
class ArrayRow:
    """What the jobs of an array have in common."""

    group_id: int
    tasks: int
    first_id: int
    last_id: int


def array(connection: Connection, array_id: int) -> ArrayRow | None:
    """Return an array, None where there is none of that number."""
    counted = (
        select(jobs.c.group_id, func.count(), func.min(jobs.c.id), func.max(jobs.c.id))
        .where(jobs.c.array_id == array_id)
        .group_by(jobs.c.group_id)
    )
    return first_of(ArrayRow, connection, counted)


def active_in_arrays(connection: Connection, array_ids: Iterable[int], active: Sequence[str]) -> dict[int, int]:
    """Return how many jobs of each array stand in one of the states ``active``; arrays without one are left out."""
    found: dict[int, int] = {}
    for part in chunks(array_ids):
        mine = jobs.c.array_id.in_(part) & jobs.c.state.in_(active)
        counted = select(jobs.c.array_id, func.count().label("jobs")).where(mine).group_by(jobs.c.array_id)
        found |= {row.array_id: row.jobs for row in connection.execute(counted)}
    return found


def turns_in_arrays(connection: Connection, job_ids: Iterable[int], now_ms: int) -> dict[int, int]:
    """Return the place of each queued job among those of its array that wait for nothing else, from 1, behind those that no
    site refused; others are left out."""
    found: dict[int, int] = {}
    order = (jobs.c.refusals.is_not(null()), jobs.c.id)
    place = func.row_number().over(partition_by=jobs.c.array_id, order_by=order).label("place")
    due = or_(jobs.c.not_before_ms.is_(None), jobs.c.not_before_ms <= now_ms)
    for part in chunks(job_ids):
        theirs = select(jobs.c.array_id).where(jobs.c.id.in_(part))
        waiting = jobs.c.array_id.in_(theirs) & (jobs.c.state == "queued") & due & jobs.c.awaits.is_(false())
        ranked = select(jobs.c.id, place).where(waiting).subquery()
        for row in connection.execute(select(ranked).where(ranked.c.id.in_(part))):
            found[row.id] = row.place
    return found


def of_array(connection: Connection, array_id: int) -> list[JobRow]:
    """Return the tasks of an array by index; none where there is no such array."""
    wanted = select(jobs).where(jobs.c.array_id == array_id).order_by(jobs.c.array_task)
    return all_of(JobRow, connection, wanted)


def newest(connection: Connection, wanted: JobFilter, *, limit: int) -> list[JobRow]:
    """Return at most ``limit`` jobs that pass ``wanted``, newest first."""
    statement = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    if wanted.group_ids is not None:
        statement = statement.where(jobs.c.group_id.in_(wanted.group_ids))
    if wanted.person_id is not None:
        statement = statement.where(jobs.c.person_id == wanted.person_id)
    if wanted.states is not None:
        statement = statement.where(jobs.c.state.in_(wanted.states))
    if wanted.array_id is not None:
        statement = statement.where(jobs.c.array_id == wanted.array_id)
    if wanted.before_id is not None:
        statement = statement.where(jobs.c.id < wanted.before_id)
    return all_of(JobRow, connection, statement)


def counts_by_state(connection: Connection) -> dict[str, int]:
    """Return how many jobs stand in each state."""
    statement = select(jobs.c.state, func.count().label("jobs")).group_by(jobs.c.state)
    return {row.state: row.jobs for row in connection.execute(statement)}


def change(transaction: WriteTransaction, job_id: int, *, states: Sequence[str] | None = None, **values: Any) -> bool:
    """Set columns of a job, only if it stands in one of ``states`` where they are given; False if it was not
    set."""
    statement = update(jobs).where(jobs.c.id == job_id).values(**values, change=transaction.change)
    if states is not None:
        statement = statement.where(jobs.c.state.in_(states))
    return transaction.connection.execute(statement).rowcount > 0


def change_many(transaction: WriteTransaction, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Set ``columns`` of many jobs: each of ``rows`` holds the id, then the values."""
    update_by_id(transaction, jobs, columns, rows)
