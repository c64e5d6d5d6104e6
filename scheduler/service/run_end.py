"""The end of a run: the run's row, the job's next state, the event and the ledger, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quota.ledger import Entry, RunInterval, charge, correction
from scheduler.model.job_state import (
    INFRASTRUCTURE_CAUSES,
    TERMINAL_STATES,
    YIELDED_CAUSES,
    EndCause,
    JobState,
    RunPhase,
)
from scheduler.model.retry import RunOutcome, after_run
from scheduler.service.bad_nodes import NodeBlame
from scheduler.service.checkpoint import bound_after, checkpoint_of
from scheduler.service.learned import Lessons
from scheduler.service.past_use import UseCharges
from scheduler.service.refused_job import RefusedJobs
from scheduler.service.retry_reason import Ended, reason_after
from scheduler.service.tally import TALLY_COLUMNS, limits_of, row_of_tally, tally_of
from scheduler.store import jobs, ledger, runs
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.transaction import EventRow, WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended, by whoever may say so. ``started_ms`` None: it never ran, and nothing is charged. ``node`` is the
    node whose doing it was, where its site knows."""

    cause: EndCause
    started_ms: int | None
    ended_ms: int
    exit_code: int | None = None
    message: str = ""
    node: str | None = None


_RUN_COLUMNS = (
    "phase", "started_ms", "ended_ms", "exit_code", "cause", "message", "charged_start_ms", "charged_end_ms",
    "charged_lost_from_ms",
)  # fmt: skip
#: Exit codes from here on say that a signal ended the command, which so did not end by itself with its state saved.
_SIGNALLED = 128
_JOB_COLUMNS = (
    "state", "bound_site_id", "requeue_requested", "started_ms", "ended_ms", "exit_code", "reason", "not_before_ms",
    *TALLY_COLUMNS,
)  # fmt: skip


class RunEnds:
    """Collects ends of one transaction and writes them in a few statements."""

    def __init__(self, transaction: WriteTransaction) -> None:
        self._transaction = transaction
        self._run_rows: list[tuple[Any, ...]] = []
        self._job_rows: list[tuple[Any, ...]] = []
        self._mended_jobs: list[tuple[int, int, int]] = []
        self._given_up: list[tuple[int, None]] = []
        self._entries: list[Entry] = []
        self._events: list[EventRow] = []
        self._sites: set[int] = set()
        self._blame = NodeBlame()
        self._refused = RefusedJobs(transaction.now_ms)
        self._lessons = Lessons(transaction)
        self._used = UseCharges(transaction)

    def end(self, run: RunRow, job: JobRow, end: RunEnd, *, actor: str) -> JobState:
        """End a live run; answer the job's state after it."""
        started_ms = end.started_ms
        ended_ms = end.ended_ms if started_ms is None else max(end.ended_ms, started_ms)
        interval = None if started_ms is None else _interval(run, end, started_ms, ended_ms)
        if interval is not None:
            self._entries += charge(interval)
        self._used.note(interval)
        cause = _yielded_cause(run, end) or end.cause
        self._run_rows.append((
            run.id, RunPhase.ENDED.value, started_ms, ended_ms, end.exit_code, _told_cause(end, cause).value,
            end.message[:2000], *_charged(interval),
        ))  # fmt: skip
        lasted_ms = None if started_ms is None else ended_ms - started_ms
        outcome = RunOutcome(cause=cause, exit_code=end.exit_code, lasted_ms=lasted_ms)
        after = after_run(
            limits_of(job),
            tally_of(job),
            outcome,
            cancel_requested=job.cancel_requested,
            requeue_requested=job.requeue_requested,
        )
        self._blame.note(run, job, end.cause, ended_ms, end.node)
        state, waits_ms = after.state, after.wait_seconds * 1000
        self._refused.note(run, job, end.cause, end.message, ran=started_ms is not None, state=state)
        not_before_ms = self._transaction.now_ms + waits_ms if waits_ms else None
        reason = reason_after(
            job, Ended(run=run.id, epoch=run.epoch, outcome=outcome, message=end.message), after, not_before_ms
        )
        self._job_rows.append((
            job.id, state.value, _bound_site(job, run, started_ms), False, started_ms,
            ended_ms if state in TERMINAL_STATES else None, end.exit_code, reason, not_before_ms,
            *row_of_tally(after.tally),
        ))  # fmt: skip
        if job.earmark is not None and (state is not JobState.QUEUED or not_before_ms is not None):
            self._given_up.append((job.id, None))  # it was to be moved, and does not go on now
        data = {"state": state.value, "cause": _told_cause(end, cause).value, "exit_code": end.exit_code, "run": run.id}
        data |= {"epoch": run.epoch}
        self._events.append(
            ("job.state", job.id, job.group_id, run.site_id, actor, end.message[:500], encode_json(data))
        )
        self._sites.add(run.site_id)
        self._lessons.take(run, job, interval, cause, state)
        self._transaction.after_commit(f"job:{job.id}")
        return state

    def correct(self, run: RunRow, job: JobRow, end: RunEnd, *, actor: str) -> None:
        """A run that was ended by a guess has better times now: reverse what was charged, and charge what is true.

        A job that ended with that run has its times mended too; its state stays.
        """
        started_ms, ended_ms = end.started_ms, end.ended_ms
        if started_ms is None:
            # It was charged for what its agent had reported: a later word that it never ran takes nothing back.
            return
        times = started_ms, max(ended_ms, started_ms)
        known = _interval(run, end, *times)
        entered = _entered(run)
        if known == entered:
            return
        for posting in (charge(known),) if entered is None else correction(entered, known):
            self._entries += posting
        self._used.note(entered, back=True)
        self._used.note(known)
        self._run_rows.append((
            run.id, RunPhase.ENDED.value, *times, end.exit_code, run.cause, run.message, *_charged(known),
        ))  # fmt: skip
        if job.run_id == run.id and job.ended_ms is not None and job.ended_ms == run.ended_ms:
            self._mended_jobs.append((job.id, *times))
            self._transaction.after_commit(f"job:{job.id}")
        data = {"run": run.id, "epoch": run.epoch, "started_ms": times[0], "ended_ms": times[1]}
        self._events.append(("run.corrected", run.job_id, run.group_id, run.site_id, actor, "", encode_json(data)))

    def write(self) -> None:
        """Write everything collected."""
        transaction = self._transaction
        runs.change_many(transaction, _RUN_COLUMNS, self._run_rows)
        jobs.change_many(transaction, _JOB_COLUMNS, self._job_rows)
        jobs.change_many(transaction, ("started_ms", "ended_ms"), self._mended_jobs)
        jobs.change_many(transaction, ("earmark",), self._given_up)
        self._lessons.write()
        ledger.enter(transaction, self._entries)
        self._used.write()
        transaction.add_events(self._events)
        self._blame.write(transaction)
        self._refused.write(transaction)
        if self._job_rows:
            transaction.after_commit("scheduler")


def _yielded_cause(run: RunRow, end: RunEnd) -> EndCause | None:
    """Why a run had to make way, where that is what ended it; None where it ended for another reason.

    The record's own stop decides, not the agent's word. A run that was told to make way and was lost before it could is
    not counted against its job; an older agent calls such a stop a requeue.
    """
    if run.stop_cause not in YIELDED_CAUSES:
        return None
    stopped = end.cause in YIELDED_CAUSES or end.cause is EndCause.REQUEUED or end.cause in INFRASTRUCTURE_CAUSES
    return EndCause(run.stop_cause) if stopped else None


def _told_cause(end: RunEnd, cause: EndCause) -> EndCause:
    """What people are told: what happened to the run, by the scheduler's word for it."""
    return end.cause if end.cause in INFRASTRUCTURE_CAUSES else cause


def _interval(run: RunRow, end: RunEnd, start_ms: int, end_ms: int) -> RunInterval:
    return _interval_of(run, start_ms, end_ms, start_ms if _is_lost(run, end, end_ms) else None)


def _is_lost(run: RunRow, end: RunEnd, end_ms: int) -> bool:
    """Whether all that a run did was destroyed for others.

    One that writes checkpoints and ended by itself within its grace has saved its state. Of any other nobody knows a
    checkpoint, and its group is not charged for what it may have to do again.
    """
    if _yielded_cause(run, end) is None:
        return False
    signalled = end.exit_code is not None and end.exit_code >= _SIGNALLED
    told_ms, grace_ms = run.stop_requested_ms or 0, run.stop_grace_ms or 0
    saved = run.checkpoints and end.cause not in INFRASTRUCTURE_CAUSES and not signalled
    return not (saved and end_ms <= told_ms + grace_ms)


def _entered(run: RunRow) -> RunInterval | None:
    """What the ledger holds of a run now."""
    if run.charged_start_ms is None or run.charged_end_ms is None:
        return None
    return _interval_of(run, run.charged_start_ms, run.charged_end_ms, run.charged_lost_from_ms)


def _charged(interval: RunInterval | None) -> tuple[int | None, int | None, int | None]:
    return (None, None, None) if interval is None else (interval.start_ms, interval.end_ms, interval.lost_from_ms)


def _interval_of(run: RunRow, start_ms: int, end_ms: int, lost_from_ms: int | None) -> RunInterval:
    return RunInterval(
        run_id=run.id,
        group_id=run.group_id,
        site_id=run.site_id,
        gpu_class=run.gpu_class,
        gpus=run.gpus,
        start_ms=start_ms,
        end_ms=end_ms,
        lost_from_ms=lost_from_ms,
    )


def _bound_site(job: JobRow, run: RunRow, started_ms: int | None) -> int | None:
    """A job that keeps its checkpoint at the site goes back to where it ran last."""
    if started_ms is None:
        return job.bound_site_id
    return bound_after(job, run.site_id, checkpoint_of(job))
