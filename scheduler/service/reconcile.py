"""What time alone changes: sites fall silent, come back, or were silent so long that their runs must be over."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import EndCause, JobState
from scheduler.model.reason import ReasonCode
from scheduler.service.follow import heard_lag_seconds, is_heard
from scheduler.service.run_end import RunEnd, RunEnds
from scheduler.service.run_report import reason_when_heard
from scheduler.store import idempotency, jobs, runs, sites
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction

ACTOR = "scheduler"
DRIFT_SECONDS_MIN = 5.0
DRIFT_PART = 0.1
#: Grace of a job that keeps no checkpoint.
GRACE_SECONDS = 10.0

_UNREACHABLE_FROM = (JobState.LEASED, JobState.STARTING, JobState.RUNNING, JobState.PREEMPTING, JobState.CANCELLING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """How many jobs changed."""

    unreachable: int = 0
    freed: int = 0


def is_due(site: SiteRow, now_ms: int) -> bool:
    """Whether a site is so silent that ``reconcile_site`` has something to look at."""
    return not is_heard(site, now_ms) and site.credential_hash is not None


def over_ms(site: SiteRow, grace_seconds: float) -> int:
    """When a silent, supervised site's run must have ended: lease, drift and grace after the last answered sync."""
    drift_seconds = max(DRIFT_SECONDS_MIN, DRIFT_PART * site.lease_seconds)
    answered_ms = (site.heard_ms or 0) + round(heard_lag_seconds(site.lease_seconds) * 1000)
    return answered_ms + round((site.lease_seconds + drift_seconds + grace_seconds) * 1000)


def reconcile_site(transaction: WriteTransaction, site_id: int) -> Reconciled:
    """Mark a silent site's jobs unreachable; free those whose supervisors must have ended them."""
    _ = transaction.change
    site = sites.by_id(transaction.connection, site_id)
    now_ms = transaction.now_ms
    if site is None or is_heard(site, now_ms):
        return Reconciled()
    live = runs.live_at(transaction.connection, site_id)
    known = jobs.by_ids(transaction.connection, (run.job_id for run in live))
    ends = RunEnds(transaction)
    unreachable = freed = 0
    for run in live:
        job = known[run.job_id]
        if site.supervised and now_ms >= over_ms(site, grace_seconds_of(job)):
            # Ended at the latest when the lease was; charged until the agent was heard last. Its own report corrects.
            message = f"the site was silent for {(now_ms - (site.heard_ms or 0)) // 1000} s"
            ended_ms = max(site.heard_ms or now_ms, run.started_ms or 0)
            end = RunEnd(cause=EndCause.LEASE_EXPIRED, started_ms=run.started_ms, ended_ms=ended_ms, message=message)
            ends.end(run, job, end, actor=ACTOR)
            freed += 1
        elif job.state in {state.value for state in _UNREACHABLE_FROM}:
            _mark_unreachable(transaction, site, run, job)
            unreachable += 1
    ends.write()
    return Reconciled(unreachable=unreachable, freed=freed)


def grace_seconds_of(job: JobRow) -> float:
    """How long a job may take to end once it is told to."""
    checkpoint = JobSpec.model_validate_json(job.spec).checkpoint
    return GRACE_SECONDS if checkpoint is None else float(checkpoint.grace_seconds)


def _mark_unreachable(transaction: WriteTransaction, site: SiteRow, run: RunRow, job: JobRow) -> None:
    numbers = {"site": site.name, "silent_seconds": (transaction.now_ms - (site.heard_ms or 0)) // 1000}
    # Who cancelled it stays written down: that is why it ends.
    reason = job.reason if job.cancel_requested else {"code": ReasonCode.SITE_UNREACHABLE.value, "numbers": numbers}
    jobs.change(transaction, job.id, state=JobState.UNREACHABLE.value, reason=reason)
    data = encode_json({"state": JobState.UNREACHABLE.value, "run": run.id, "epoch": run.epoch})
    transaction.add_events([("job.state", job.id, job.group_id, site.id, ACTOR, "", data)])
    transaction.after_commit(f"job:{job.id}")


def revive_site(transaction: WriteTransaction, site_id: int) -> int:
    """A site is heard again: its jobs stand where their runs do. Answer how many."""
    _ = transaction.change
    revived = 0
    live = runs.live_at(transaction.connection, site_id)
    known = jobs.by_ids(transaction.connection, (run.job_id for run in live))
    for run in live:
        job = known[run.job_id]
        if job.state != JobState.UNREACHABLE.value or job.run_id != run.id:
            continue
        state = JobState(run.phase)
        if run.stop_cause is not None:
            state = JobState.CANCELLING if job.cancel_requested else JobState.PREEMPTING
        jobs.change(transaction, job.id, state=state.value, reason=reason_when_heard(job))
        data = encode_json({"state": state.value, "run": run.id, "epoch": run.epoch})
        transaction.add_events([("job.state", job.id, job.group_id, site_id, ACTOR, "", data)])
        transaction.after_commit(f"job:{job.id}")
        revived += 1
    return revived


def forget_old_answers(transaction: WriteTransaction, seconds: int) -> int:
    """Drop answers that nobody repeats a request for any more."""
    return idempotency.forget_before(transaction, transaction.now_ms - seconds * 1000)
