"""What time alone changes: sites fall silent, come back, or were silent so long that their runs must be over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.model.job_state import EndCause, JobState
from scheduler.model.node_fault import WINDOW_MS
from scheduler.model.reason import ReasonCode
from scheduler.service.checkpoint import grace_seconds_of
from scheduler.service.hearing import Silence, over_seconds
from scheduler.service.run_end import RunEnd, RunEnds
from scheduler.service.run_report import reason_when_heard
from scheduler.store import idempotency, jobs, node_failures, runs, sites
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction

ACTOR = "scheduler"
#: Failures of nodes are kept for so many times as long as they count.
KEPT_WINDOWS = 7

_UNREACHABLE_FROM = frozenset({
    JobState.LEASED.value, JobState.STARTING.value, JobState.RUNNING.value, JobState.PREEMPTING.value,
    JobState.CANCELLING.value,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """How many jobs changed."""

    unreachable: int = 0
    freed: int = 0


def reconcile_site(transaction: WriteTransaction, seen: SiteRow, silence: Silence) -> Reconciled:
    """Mark a silent site's jobs unreachable; free those whose supervisors must have ended them.

    ``seen`` is the site whose ``silence`` the leader measured: nothing happens if it was heard meanwhile. Most turns
    find nothing to do, and then nothing is written, not even a number taken.
    """
    if not any(_to_do(transaction, seen, silence)):
        return Reconciled()
    _ = transaction.change
    site = sites.by_id(transaction.connection, seen.id)
    if site is None or (site.heard_ms, site.heard_sequence) != (seen.heard_ms, seen.heard_sequence):
        return Reconciled()
    live = runs.live_at(transaction.connection, site.id)
    known = jobs.by_ids(transaction.connection, (run.job_id for run in live))
    now_ms = transaction.now_ms
    ends = RunEnds(transaction)
    unreachable = freed = 0
    for run in live:
        job = known[run.job_id]
        if is_over(site, job, silence):
            # Ended at the latest when the lease was; charged until the agent was heard last. Its own report corrects.
            message = f"the site was silent for {int(silence.likely_seconds)} s"
            ended_ms = max(site.heard_ms or now_ms, run.started_ms or 0)
            end = RunEnd(cause=EndCause.LEASE_EXPIRED, started_ms=run.started_ms, ended_ms=ended_ms, message=message)
            ends.end(run, job, end, actor=ACTOR)
            freed += 1
        elif job.state in _UNREACHABLE_FROM:
            _mark_unreachable(transaction, site, run, job, silence)
            unreachable += 1
    ends.write()
    return Reconciled(unreachable=unreachable, freed=freed)


def is_over(site: SiteRow, job: JobRow, silence: Silence) -> bool:
    """Whether the supervisors at a silent site must have ended the job's run."""
    return site.supervised and silence.certain_seconds >= over_seconds(site.lease_seconds, grace_seconds_of(job))


def _to_do(transaction: WriteTransaction, site: SiteRow, silence: Silence) -> Iterator[bool]:
    """For each live run of the site, whether it or its job would change."""
    live = runs.live_at(transaction.connection, site.id)
    known = jobs.by_ids(transaction.connection, (run.job_id for run in live))
    for job in known.values():
        yield job.state in _UNREACHABLE_FROM or is_over(site, job, silence)


def _mark_unreachable(transaction: WriteTransaction, site: SiteRow, run: RunRow, job: JobRow, silence: Silence) -> None:
    numbers = {"site": site.name, "silent_seconds": int(silence.likely_seconds)}
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


def forget_old(transaction: WriteTransaction, seconds: int) -> int:
    """Drop answers that nobody repeats a request for any more, and what speaks against no node any more."""
    node_failures.forget_before(transaction, transaction.now_ms - KEPT_WINDOWS * WINDOW_MS)
    return idempotency.forget_before(transaction, transaction.now_ms - seconds * 1000)
