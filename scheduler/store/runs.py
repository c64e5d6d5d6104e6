"""Runs: attempts of jobs at sites, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from scheduler.model.job_state import RunPhase
from scheduler.store.dialect import bulk_insert, encode_json
from scheduler.store.rows import all_of, chunks, first_of, update_by_id
from scheduler.store.tables import runs
from scheduler.store.transaction import WriteTransaction

#: (node id, node name, first rank, workers)
GangRow = tuple[int, str, int, int]


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of ``runs``. ``gang`` lists [node id, node name, first rank, workers], ``lender_rates`` [GPUs, credits for an hour of
    each as text, or None for what the exchange table says]."""

    id: int
    job_id: int
    group_id: int
    epoch: int
    site_id: int
    gpu_class: str
    gpus: int
    cpus_per_worker: int
    memory_mib_per_worker: int
    gpus_per_worker: int
    gang: list[tuple[int, str, int, int]]
    phase: str
    leased_ms: int
    started_ms: int | None
    ended_ms: int | None
    exit_code: int | None
    cause: str | None
    message: str
    stop_cause: str | None
    stop_grace_ms: int | None
    stop_requested_ms: int | None
    charged_start_ms: int | None
    charged_end_ms: int | None
    charged_lost_from_ms: int | None
    preemptible: bool
    priority: int
    grace_ms: int
    checkpoints: bool
    stop_preemptor: int | None
    shape_id: int | None
    submitted_ms: int | None
    walltime_ms: int | None
    return_site_id: int | None
    predicted_ms: int | None
    served_ms: int
    change: int
    lender_rates: list[tuple[int, str | None]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run before it is written; its id comes from ``transaction.next_ids("run", …)``."""

    id: int
    job_id: int
    group_id: int
    epoch: int
    site_id: int
    gpu_class: str
    gpus: int
    cpus_per_worker: int
    memory_mib_per_worker: int
    gpus_per_worker: int
    gang: Sequence[GangRow]
    preemptible: bool = True
    priority: int = 0
    grace_ms: int = 0
    checkpoints: bool = False
    shape_id: int | None = None
    submitted_ms: int | None = None
    walltime_ms: int | None = None
    return_site_id: int | None = None
    predicted_ms: int | None = None
    served_ms: int = 0
    lender_rates: Sequence[tuple[int, str | None]] = ()


_COLUMNS = (
    "id", "job_id", "group_id", "epoch", "site_id", "gpu_class", "gpus", "cpus_per_worker",
    "memory_mib_per_worker", "gpus_per_worker", "gang", "phase", "leased_ms", "message", "preemptible", "priority",
    "grace_ms", "checkpoints", "shape_id", "submitted_ms", "walltime_ms", "return_site_id",
    "predicted_ms", "served_ms", "change", "lender_rates",
)  # fmt: skip


def by_id(connection: Connection, run_id: int) -> RunRow | None:
    """Return one run."""
    return first_of(RunRow, connection, select(runs).where(runs.c.id == run_id))


def by_ids(connection: Connection, run_ids: Iterable[int]) -> dict[int, RunRow]:
    """Return the runs of ``run_ids``; ids that do not exist are left out."""
    found: dict[int, RunRow] = {}
    for part in chunks(run_ids):
        for run in all_of(RunRow, connection, select(runs).where(runs.c.id.in_(part))):
            found[run.id] = run
    return found


def of_job(connection: Connection, job_id: int) -> list[RunRow]:
    """Return a job's runs, oldest first."""
    return all_of(RunRow, connection, select(runs).where(runs.c.job_id == job_id).order_by(runs.c.epoch))


def live_at(connection: Connection, site_id: int) -> list[RunRow]:
    """Return the runs of a site that have not ended, by id."""
    statement = select(runs).where(runs.c.site_id == site_id, runs.c.phase != RunPhase.ENDED.value)
    return all_of(RunRow, connection, statement.order_by(runs.c.id))


def leaving(connection: Connection, site_ids: Iterable[int]) -> list[RunRow]:
    """Return the runs of these sites that were told to stop and have not ended, by id."""
    here = (runs.c.site_id.in_(sorted(site_ids)), runs.c.phase != RunPhase.ENDED.value, runs.c.stop_cause.is_not(None))
    return all_of(RunRow, connection, select(runs).where(*here).order_by(runs.c.id))


def live(connection: Connection) -> list[RunRow]:
    """Return all runs that have not ended, by id."""
    return all_of(RunRow, connection, select(runs).where(runs.c.phase != RunPhase.ENDED.value).order_by(runs.c.id))


def add_many(transaction: WriteTransaction, new: Sequence[NewRun]) -> None:
    """Write runs as leased now. ``IntegrityError`` where a job has a live run already (law 6)."""
    rows = [
        (
            run.id, run.job_id, run.group_id, run.epoch, run.site_id, run.gpu_class, run.gpus,
            run.cpus_per_worker, run.memory_mib_per_worker, run.gpus_per_worker, encode_json(run.gang),
            RunPhase.LEASED.value, transaction.now_ms, "", run.preemptible, run.priority, run.grace_ms, run.checkpoints,
            run.shape_id, run.submitted_ms, run.walltime_ms, run.return_site_id, run.predicted_ms,
            run.served_ms, transaction.change, encode_json(run.lender_rates) if run.lender_rates else None,
        )
        for run in new
    ]  # fmt: skip
    bulk_insert(transaction.connection, runs, _COLUMNS, rows)


def change(transaction: WriteTransaction, run_id: int, **values: Any) -> None:
    """Set columns of a run."""
    statement = update(runs).where(runs.c.id == run_id).values(**values, change=transaction.change)
    transaction.connection.execute(statement)


def change_many(transaction: WriteTransaction, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Set ``columns`` of many runs: each of ``rows`` holds the id, then the values."""
    update_by_id(transaction, runs, columns, rows)
