"""Rows of jobs and runs as rounds see them."""

from __future__ import annotations

from typing import Any

from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.handicap import handicap_ms
from scheduler.cycle.prediction import left_ms
from scheduler.model.group_order import GroupOrder
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.job_state import YIELDED_CAUSES, EndCause
from scheduler.service.refused_job import refusals_of

#: Causes of a stop after which the job waits again.
_RETURNS_AFTER = YIELDED_CAUSES | {None, EndCause.REQUEUED}


def waiting_fact(row: Any, order: GroupOrder) -> WaitingJob:
    """A queued job of a group with such an order; ``row`` has the columns of ``jobs`` that are read here."""
    return WaitingJob(
        id=JobId(row.id),
        group=GroupId(row.group_id),
        shape=ShapeId(row.shape_id),
        priority=row.priority,
        submitted_ms=row.submitted_ms,
        bound_site=None if row.bound_site_id is None else SiteId(row.bound_site_id),
        walltime_ms=row.walltime_ms,
        save_ms=row.save_ms,
        handicap_ms=_handicap_ms(row, order, row.served_ms),
        expected_ms=_expected_ms(row, row.served_ms),
        refusals=refusals_of(row),
    )


def run_fact(row: Any, order: GroupOrder) -> LiveRun:
    """A live run of a group with such an order, the class of its data apart; ``row`` is one of ``runs``."""
    started_ms = row.leased_ms if row.started_ms is None else row.started_ms
    over_ms = None if row.walltime_ms is None else started_ms + row.walltime_ms
    gone_ms = None if row.stop_requested_ms is None else row.stop_requested_ms + (row.stop_grace_ms or 0)
    is_done = over_ms is not None and gone_ms is not None and over_ms <= gone_ms
    ran_ms = 0 if gone_ms is None else max(0, gone_ms - started_ms)
    return LiveRun(
        id=RunId(row.id),
        job=JobId(row.job_id),
        group=GroupId(row.group_id),
        site=SiteId(row.site_id),
        gpu_class=row.gpu_class,
        gpus_per_worker=row.gpus_per_worker,
        cpus_per_worker=row.cpus_per_worker,
        memory_mib_per_worker=row.memory_mib_per_worker,
        gang=tuple((NodeId(part[0]), part[3]) for part in row.gang),
        started_ms=started_ms,
        preemptible=row.preemptible,
        priority=row.priority,
        grace_ms=row.grace_ms,
        checkpoints=row.checkpoints,
        leaving=row.stop_cause is not None,
        expected_end_ms=over_ms if is_done or gone_ms is None else gone_ms,
        returns_as=None if is_done else _returning(row, order, ran_ms),
        predicted_ms=row.predicted_ms,
        served_ms=row.served_ms,
    )


def _returning(row: Any, order: GroupOrder, ran_ms: int) -> WaitingJob | None:
    """A run's job as it waits again once the run was stopped after ``ran_ms``; None where it does not."""
    if row.stop_cause not in _RETURNS_AFTER or row.shape_id is None:
        return None
    served_ms = row.served_ms + (ran_ms if row.checkpoints else 0)
    return WaitingJob(
        id=JobId(row.job_id),
        group=GroupId(row.group_id),
        shape=ShapeId(row.shape_id),
        priority=row.priority,
        submitted_ms=row.submitted_ms,
        bound_site=None if row.return_site_id is None else SiteId(row.return_site_id),
        walltime_ms=row.walltime_ms,
        save_ms=row.grace_ms if row.checkpoints else None,
        handicap_ms=_handicap_ms(row, order, served_ms),
        expected_ms=_expected_ms(row, served_ms),
    )


def _handicap_ms(row: Any, order: GroupOrder, served_ms: int) -> int:
    if order is GroupOrder.FIFO:
        return 0
    whole_ms = row.walltime_ms if row.predicted_ms is None else row.predicted_ms
    return handicap_ms(order, gpus=row.gpus, whole_ms=whole_ms, served_ms=served_ms)


def _expected_ms(row: Any, served_ms: int) -> int | None:
    return None if row.predicted_ms is None else left_ms(row.predicted_ms, served_ms)
