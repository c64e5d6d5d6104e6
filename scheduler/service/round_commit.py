"""A plan's starts, written under the leader's fencing number. What changed meanwhile is skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from prometheus_client import Histogram

from scheduler.cycle.lender_rates import LenderRates
from scheduler.cycle.plan import Start
from scheduler.model.ids import ShapeId
from scheduler.model.job_state import JobState
from scheduler.model.shape import Shape
from scheduler.model.site import SiteState
from scheduler.service.checkpoint import GRACE_SECONDS, bound_after, checkpoint_of
from scheduler.service.earmark import Held
from scheduler.service.follow import newest_rules_change
from scheduler.service.learned import columns_of, predict
from scheduler.store import jobs, nodes, runs, sites
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.runs import NewRun
from scheduler.store.transaction import EventRow, WriteTransaction

ACTOR = "scheduler"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
WAIT_SECONDS = Histogram(
    "dure_admission_wait_seconds",
    "Time from a job's submission to its first lease.",
    buckets=(1, 5, 15, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY),
)
STARTS_A_TRANSACTION = 2_000
_LEASED_COLUMNS = (
    "state", "epoch", "run_id", "site_id", "started_ms", "exit_code", "reason", "earmark", "predicted_ms",
    "predicted_from", "class_basis",
)  # fmt: skip


def _no_rates(_: Start) -> LenderRates:
    return ()


def commit_starts(
    transaction: WriteTransaction,
    starts: Sequence[Start],
    shapes: Mapping[ShapeId, Shape],
    rules_change: int | None = None,
    *,
    redeemed: bool = False,
    rates_of: Callable[[Start], LenderRates] = _no_rates,
) -> int:
    """Lease what is still queued and not too late, at sites that are still active and on nodes that
    are not set aside; answer how many runs that made.

    ``redeemed``: the starts are on nodes that are held for their jobs, and need those very earmarks to be in the record;
    other starts need that there is none.

    ``rates_of`` says what the lenders of a start's nodes are owed.

    ``rules_change`` is the newest change of groups, quotas and lending that the round knew of: after another one nothing is
    leased, since what was decided may break it; the next round decides anew.
    """
    _ = transaction.change
    if rules_change is not None and rules_change != newest_rules_change(transaction.connection):
        return 0
    known = jobs.by_ids(transaction.connection, [start.job for start in starts])
    active = {row.id for row in sites.every(transaction.connection) if row.state == SiteState.ACTIVE.value}
    aside = nodes.aside_ids(transaction.connection)
    valid = [
        start
        for start in starts
        if start.site in active
        and aside.isdisjoint(part[0] for part in start.gang)
        and (job := known.get(start.job)) is not None
        and job.state == JobState.QUEUED.value
        and job.bound_site_id in (None, start.site)
        and (job.group_id, job.shape_id) == (start.group, start.shape)
        and (job.start_by_ms is None or transaction.now_ms <= job.start_by_ms)
        and (_is_held_for(job, start) if redeemed else job.earmark is None)
    ]
    ids = transaction.next_ids("run", len(valid))
    predictions = predict(transaction.connection, ((known[start.job], start.gpu_class) for start in valid))
    new: list[NewRun] = []
    rows: list[tuple[object, ...]] = []
    waited_ms: list[int] = []
    events: list[EventRow] = []
    for run_id, start in zip(ids, valid, strict=True):
        job, shape = known[start.job], shapes[start.shape]
        epoch, checkpoint = job.epoch + 1, checkpoint_of(job)
        predicted = columns_of(predictions[job.id])
        if epoch == 1:
            waited_ms.append(transaction.now_ms - job.submitted_ms)
        new.append(
            NewRun(
                id=run_id,
                job_id=job.id,
                group_id=job.group_id,
                epoch=epoch,
                site_id=start.site,
                gpu_class=start.gpu_class,
                gpus=start.workers * shape.gpus_per_worker,
                cpus_per_worker=shape.cpus_per_worker,
                memory_mib_per_worker=shape.memory_mib_per_worker,
                gpus_per_worker=shape.gpus_per_worker,
                gang=start.gang,
                preemptible=shape.preemptible,
                priority=job.priority,
                grace_ms=round(1000 * (GRACE_SECONDS if checkpoint is None else checkpoint.grace_seconds)),
                checkpoints=checkpoint is not None,
                shape_id=job.shape_id,
                submitted_ms=job.submitted_ms,
                walltime_ms=job.walltime_ms,
                return_site_id=bound_after(job, start.site, checkpoint),
                predicted_ms=predicted[0],
                served_ms=job.served_ms,
                lender_rates=[(gpus, None if rate is None else str(rate)) for gpus, rate in rates_of(start)],
            )
        )
        leased = (JobState.LEASED.value, epoch, run_id, start.site, None, None, None, None)
        rows.append((job.id, *leased, *predicted))
        data = encode_json({"state": JobState.LEASED.value, "run": run_id, "epoch": epoch})
        events.append(("job.state", job.id, job.group_id, start.site, ACTOR, "", data))
        transaction.after_commit(f"job:{job.id}")
    runs.add_many(transaction, new)
    jobs.change_many(transaction, _LEASED_COLUMNS, rows)
    transaction.add_events(events)
    for site_id in {start.site for start in valid}:
        transaction.after_commit(f"site:{site_id}")
    transaction.on_commit(partial(_observe, waited_ms))
    return len(valid)


def _observe(waited_ms: Sequence[int]) -> None:
    for each in waited_ms:
        WAIT_SECONDS.observe(max(0, each) / 1000)


def _is_held_for(job: JobRow, start: Start) -> bool:
    return job.earmark is not None and Held.read(job.earmark).is_redeemed_by(start)
