"""Deadlines: judged at submit, and the leader's to settle while a job waits. A run that goes on is none of their business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, text

from scheduler.model.deadline import start_by_ms
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import JobState
from scheduler.model.reason import Number, Reason, ReasonCode, Refusal, refuse
from scheduler.service.time_text import time_text
from scheduler.store import dependencies, jobs
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.tables import jobs as job_table
from scheduler.store.transaction import EventRow, WriteTransaction

ACTOR = "scheduler"
#: So many jobs are cancelled in one transaction.
LATE_A_TRANSACTION = 1_000
#: As the index has it, to the letter: a planner has to see that they are the same.
_WAITING = text("start_by_ms IS NOT NULL AND state IN ('queued', 'held')")


def start_by_of(spec: JobSpec, submitted_ms: int) -> int | None:
    """The last moment at which a run of the job may start; None where it has no deadline."""
    return None if spec.deadline is None else start_by_ms(spec.deadline, submitted_ms, spec.walltime)


def deadline_of(job: JobRow) -> int | None:
    """The job's deadline."""
    return None if job.start_by_ms is None else job.start_by_ms + (job.walltime_ms or 0)


def why_too_late(spec: JobSpec, now_ms: int) -> Refusal | None:
    """A refusal of a job that could not be over by its deadline if it started at once."""
    by_ms = start_by_of(spec, now_ms)
    if by_ms is None or by_ms >= now_ms:
        return None
    return refuse(
        ReasonCode.DEADLINE_TOO_SOON,
        field="deadline",
        deadline=time_text(by_ms + (spec.walltime or 0) * 1000),
        walltime_seconds=spec.walltime,
        start_by=time_text(by_ms),
        now=time_text(now_ms),
    )


def late(connection: Connection, now_ms: int, jobs_max: int = LATE_A_TRANSACTION) -> list[int]:
    """Waiting jobs that cannot be over by their deadlines any more, at most so many, the earliest first."""
    too_late = select(job_table.c.id).where(_WAITING, job_table.c.start_by_ms < now_ms)
    return list(connection.execute(too_late.order_by(job_table.c.start_by_ms).limit(jobs_max)).scalars())


def cancel_late(transaction: WriteTransaction, job_ids: Sequence[int]) -> int:
    """Cancel those of the jobs that still wait, and hold no nodes for them any more; answer how many."""
    _ = transaction.change
    now_ms, cancelled = transaction.now_ms, JobState.CANCELLED.value
    rows: list[tuple[Any, ...]] = []
    events: list[EventRow] = []
    waited_for: list[int] = []
    for job in jobs.by_ids(transaction.connection, job_ids).values():
        waits = job.state in (JobState.QUEUED.value, JobState.HELD.value)
        if not waits or job.start_by_ms is None or job.start_by_ms >= now_ms:
            continue
        if job.awaits and job.array_id is None:
            waited_for.append(job.id)
        reason = {"code": ReasonCode.DEADLINE_MISSED.value, "numbers": _numbers(job)}
        rows.append((job.id, cancelled, now_ms, reason, None))
        data = encode_json({"state": cancelled, "reason": ReasonCode.DEADLINE_MISSED.value})
        events.append(("job.state", job.id, job.group_id, None, ACTOR, "", data))
        transaction.after_commit(f"job:{job.id}")
    dependencies.remove(transaction, waited_for)
    jobs.change_many(transaction, ("state", "ended_ms", "reason", "earmark"), rows)
    transaction.add_events(events)
    return len(rows)


def late_reason(job: JobRow, start_ms: int | None) -> Reason | None:
    """A warning of a job that would start, by an estimate, too late for its deadline."""
    if job.start_by_ms is None or start_ms is None or start_ms <= job.start_by_ms:
        return None
    return Reason(code=ReasonCode.LATE_FOR_DEADLINE, numbers=_numbers(job))


def _numbers(job: JobRow) -> dict[str, Number]:
    by_ms = job.start_by_ms or 0
    walltime_ms = job.walltime_ms
    return {
        "deadline": time_text(by_ms + (walltime_ms or 0)),
        "start_by": time_text(by_ms),
        "walltime_seconds": None if walltime_ms is None else walltime_ms // 1000,
    }
