"""Jobs that succeeded lately, as the certificate looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from scheduler.cycle.certificate_record import PastJob
from scheduler.model.job_state import JobState, RunPhase
from scheduler.model.shape import Shape
from scheduler.store import shapes
from scheduler.store.rows import chunks
from scheduler.store.tables import jobs, runs


class _Worked(NamedTuple):
    """A run's time, without what it may have had after it was told to go."""

    gpu_class: str
    started_ms: int
    until_ms: int


def succeeded(connection: Connection, after_ms: int, jobs_max: int) -> list[PastJob]:
    """Return the jobs that succeeded after a moment, the newest first, and at most so many of them."""
    columns = (jobs.c.id, jobs.c.submitted_ms, jobs.c.ended_ms, jobs.c.gpus, jobs.c.shape_id, jobs.c.run_id)
    wanted = select(*columns).where(jobs.c.ended_ms > after_ms, jobs.c.state == JobState.SUCCEEDED.value)
    rows = connection.execute(wanted.order_by(jobs.c.ended_ms.desc()).limit(jobs_max)).all()
    told = _telling_runs(connection, rows)
    asked = shapes.by_id(connection, sorted({row.shape_id for row in rows}))
    return [_past_job(row, told.get(row.id, ()), asked[row.shape_id]) for row in rows]


def _telling_runs(connection: Connection, rows: Sequence[Any]) -> dict[int, list[_Worked]]:
    """By job its last run, and, where that went on from a saved state, the last one before that began anew."""
    columns = (runs.c.job_id, runs.c.id, runs.c.gpu_class, runs.c.started_ms, runs.c.ended_ms)
    last_runs = {row.run_id for row in rows}
    found: dict[int, list[_Worked]] = {}
    for part in chunks(row.id for row in rows):
        ran = (runs.c.job_id.in_(part), runs.c.phase == RunPhase.ENDED.value, runs.c.started_ms.is_not(None))
        statement = select(*columns, runs.c.stop_grace_ms, runs.c.served_ms).where(*ran).order_by(runs.c.epoch)
        for run in connection.execute(statement):
            is_last = run.id in last_runs
            worked = _Worked(run.gpu_class, run.started_ms, run.ended_ms - (0 if is_last else run.stop_grace_ms or 0))
            if run.served_ms == 0:
                found[run.job_id] = [worked]
            elif is_last:
                found.setdefault(run.job_id, []).append(worked)
    return found


def _past_job(row: Any, told: Sequence[_Worked], shape: Shape) -> PastJob:
    """A job of which no run is known is one of no length, and so is an elastic one: nobody knows how long it takes with another
    number of workers."""
    nothing = _Worked("", row.ended_ms, row.ended_ms)
    if shape.workers_max is not None:
        told = ()
    worked = max(told, key=lambda each: each.until_ms - each.started_ms, default=nothing)
    return PastJob(
        submitted_ms=row.submitted_ms,
        completed_ms=row.ended_ms,
        gpus=row.gpus,
        gpu_classes=shape.gpu_classes,
        gpu_class=worked.gpu_class,
        started_ms=worked.started_ms,
        worked_until_ms=worked.until_ms,
    )
