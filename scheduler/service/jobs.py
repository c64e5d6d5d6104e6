"""Jobs: listed, shown, explained, cancelled, held, released, requeued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.waiting import turn_of
from scheduler.model.job_state import (
    ACTIVE_STATES,
    TERMINAL_STATES,
    WAITING_STATES,
    YIELDED_CAUSES,
    EndCause,
    JobState,
)
from scheduler.model.reason import ReasonCode, Refusal, SiteReason, refuse
from scheduler.service.access import group_for, holds, visible_group_ids
from scheduler.service.caller import Caller, Role, Scope
from scheduler.service.checkpoint import grace_seconds_of
from scheduler.service.directory import Directory
from scheduler.service.eta import eta_of
from scheduler.service.job_facts import waiting_fact
from scheduler.service.job_view import JobDetail, JobView, class_of, detail_of, views_of
from scheduler.service.retry_reason import RETRY_CODES
from scheduler.service.run_time_view import RunTimeView, run_times_by_class
from scheduler.service.runtime import Runtime
from scheduler.store import dependencies, events, jobs, runs
from scheduler.store.events import Event
from scheduler.store.jobs import JobFilter, JobRow
from scheduler.store.transaction import WriteTransaction

LIVE = "live"
#: Queued jobs of which no round says anything: their time has not come, or they have their nodes.
_OUT_OF_ROUNDS = RETRY_CODES | {
    ReasonCode.WAITING_FOR_EARMARK, ReasonCode.WAITING_FOR_START, ReasonCode.WAITING_FOR_SUCCESS,
    ReasonCode.WAITING_FOR_ARRAY,
}  # fmt: skip


class JobAction(StrEnum):
    """What a person does with a job."""

    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    REQUEUE = "requeue"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs to list, newest first. ``states`` may hold ``live``: all that have not ended. ``eta``: with estimates."""

    mine: bool = False
    group: str | None = None
    states: Sequence[str] = ()
    array: int | None = None
    before_id: int | None = None
    limit: int = 100
    eta: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWhy:
    """Why a job is where it is. ``by_class`` is as in ``JobDetail``; ``ahead`` counts jobs of its group that rounds look at
    before it, and that could have GPUs of a class that it could have."""

    job: JobView
    sites: Sequence[SiteReason]
    counterfactual: Mapping[str, Any] | None
    ahead: int | None
    evaluated_ms: int | None
    by_class: Sequence[RunTimeView] = ()
    alternatives: Sequence[Mapping[str, Any]] = ()


def list_jobs(runtime: Runtime, caller: Caller, query: JobQuery) -> list[JobView] | Refusal:
    """Jobs that the caller may see."""
    directory = runtime.directories.newest()
    visible = visible_group_ids(directory, caller)
    if query.group is not None:
        group = group_for(directory, caller, query.group, Role.VIEWER)
        if isinstance(group, Refusal):
            return group
        visible = frozenset(directory.subtree_ids[group.id])
    states = [state for state in query.states if state != LIVE]
    if LIVE in query.states:
        states += [state.value for state in (WAITING_STATES | ACTIVE_STATES)]
    wanted = JobFilter(
        group_ids=None if visible is None else sorted(visible),
        person_id=caller.person_id if query.mine else None,
        states=states or None,
        before_id=query.before_id,
        array_id=query.array,
    )
    with runtime.database.read() as connection:
        rows = jobs.newest(connection, wanted, limit=query.limit)
        views = views_of(connection, directory, rows, runtime.clock.now_ms(), runtime.world.verdict)
    return [with_eta(runtime, view) for view in views] if query.eta else views


def with_eta(runtime: Runtime, view: JobView) -> JobView:
    """The same with an estimate of its start. Ask for it while no connection is held: a forecast takes its time."""
    return replace(view, eta=eta_of(runtime, view.row))


def find_job(connection: Connection, directory: Directory, caller: Caller, job_id: int) -> JobRow | Refusal:
    """A job that the caller may see."""
    row = jobs.by_id(connection, job_id)
    visible = visible_group_ids(directory, caller)
    if row is not None and (visible is None or row.group_id in visible):
        return row
    array = None if row is not None else jobs.array(connection, job_id)
    if array is not None and (visible is None or array.group_id in visible):
        first, last = array.first_id, array.last_id
        return refuse(ReasonCode.JOB_IS_ARRAY, job=job_id, tasks=array.tasks, first=first, last=last)
    return refuse(ReasonCode.JOB_NOT_FOUND, job=job_id)


def show_job(runtime: Runtime, caller: Caller, job_id: int, *, eta: bool = False) -> JobDetail | Refusal:
    """One job in full; with ``eta`` an estimate of its start."""
    directory = runtime.directories.newest()
    with runtime.database.read() as connection:
        row = find_job(connection, directory, caller, job_id)
        if isinstance(row, Refusal):
            return row
        detail = detail_of(connection, directory, row, runtime.clock.now_ms(), runtime.world.verdict)
    detail = replace(detail, by_class=run_times_by_class(runtime, row))
    return replace(detail, job=with_eta(runtime, detail.job)) if eta else detail


def job_events(
    runtime: Runtime, caller: Caller, job_id: int, after: tuple[int, int], limit: int
) -> list[Event] | Refusal:
    """A job's history after an event (change, part), oldest first."""
    with runtime.database.read() as connection:
        row = find_job(connection, runtime.directories.newest(), caller, job_id)
        if isinstance(row, Refusal):
            return row
        return events.of_job(connection, job_id, after=after, limit=limit)


def newest_job_events(
    runtime: Runtime, caller: Caller, job_id: int, before: tuple[int, int] | None, limit: int
) -> list[Event] | Refusal:
    """A job's history, newest first; with ``before`` what lies before that (change, part)."""
    with runtime.database.read() as connection:
        row = find_job(connection, runtime.directories.newest(), caller, job_id)
        if isinstance(row, Refusal):
            return row
        return events.newest_of_job(connection, job_id, before=before, limit=limit)


def why_job(runtime: Runtime, caller: Caller, job_id: int) -> JobWhy | Refusal:
    """Why a job is where it is, for every site considered, what would start it, and when that would be."""
    why = _why_job(runtime, caller, job_id)
    if isinstance(why, Refusal):
        return why
    return replace(why, job=with_eta(runtime, why.job), by_class=run_times_by_class(runtime, why.job.row))


def _why_job(runtime: Runtime, caller: Caller, job_id: int) -> JobWhy | Refusal:
    """The same without an estimate."""
    directory = runtime.directories.newest()
    now_ms = runtime.clock.now_ms()
    with runtime.database.read() as connection:
        row = find_job(connection, directory, caller, job_id)
        if isinstance(row, Refusal):
            return row
        (view,) = views_of(connection, directory, [row], now_ms, runtime.world.verdict)
        is_looked_at = view.reason is None or view.reason.code not in _OUT_OF_ROUNDS
        if row.state != JobState.QUEUED.value or not is_looked_at:
            return JobWhy(job=view, sites=(), counterfactual=None, ahead=None, evaluated_ms=None)
    told, snapshot = runtime.world.verdict(class_of(row, now_ms), alternatives=True), runtime.world.snapshot()
    candidates = frozenset(view.spec.gpu_classes or snapshot.offered_classes)
    ahead = _ahead(snapshot, waiting_fact(row, directory.by_id[row.group_id].order), candidates)
    if told is None:
        return JobWhy(job=view, sites=(), counterfactual=None, ahead=ahead, evaluated_ms=None)
    verdict = told.verdict
    return JobWhy(
        job=view,
        sites=() if view.reason is None else view.reason.per_site,
        counterfactual=None if verdict.counterfactual is None else verdict.counterfactual.as_json(),
        ahead=ahead,
        evaluated_ms=told.at_ms,
        alternatives=[each.as_json() for each in verdict.alternatives],
    )


def _ahead(snapshot: Snapshot, job: WaitingJob, candidates: frozenset[str]) -> int:
    """How many jobs of the same group rounds look at before it, of those that could have GPUs of one of its ``candidates``:
    who can run on nothing that it can run on is not in its way."""
    turn = turn_of(job)
    held = sum(
        turn_of(each.job) < turn and each.gpu_class in candidates
        for each in snapshot.earmarks.values()
        if each.job.group == job.group
    )
    return snapshot.table.ahead(job.group, turn, snapshot.sharing(candidates)) + held


def act_on_job(
    transaction: WriteTransaction,
    runtime: Runtime,
    caller: Caller,
    job_id: int,
    action: JobAction,
    *,
    why: str = "",
    start_over: bool = False,
) -> JobView | Refusal:
    """Cancel, hold, release or requeue: the job's owner while a submitter, or a manager of its group.

    The token's scope is asked for here, since the portal's cookie is a token like any other.
    """
    if not caller.may(Scope.SUBMIT):
        return refuse(ReasonCode.SCOPE_MISSING, needed=Scope.SUBMIT.value)
    _ = transaction.change
    directory = runtime.directories.newest()
    row = find_job(transaction.connection, directory, caller, job_id)
    if isinstance(row, Refusal):
        return row
    forbidden = why_forbidden(directory, caller, row)
    if forbidden is not None:
        return forbidden
    values = change_of(row, caller, action, start_over=start_over)
    if isinstance(values, Refusal):
        return values
    if values:
        apply_change(transaction, row, values, caller, action, why)
    after = jobs.by_id(transaction.connection, job_id)
    assert after is not None
    (view,) = views_of(transaction.connection, directory, [after], transaction.now_ms, lambda _: None)
    return view


def why_forbidden(directory: Directory, caller: Caller, row: JobRow) -> Refusal | None:
    """A refusal unless the caller may act on a job that they see."""
    group = directory.by_id[row.group_id]
    needed = Role.SUBMITTER if row.person_id == caller.person_id else Role.MANAGER
    return None if holds(caller, group, needed) else refuse(ReasonCode.FORBIDDEN, needed=needed.value, where=group.path)


def change_of(row: JobRow, caller: Caller, action: JobAction, *, start_over: bool) -> dict[str, Any] | Refusal:
    """The job's new columns; nothing where it stands there already; a refusal where it cannot go."""
    state = JobState(row.state)
    impossible = refuse(ReasonCode.STATE_CONFLICT, job=row.id, state=state.value, action=action.value)
    cancelled_by = {"code": ReasonCode.CANCELLED_BY.value, "numbers": {"person": caller.person}}
    match action:
        case JobAction.CANCEL:
            if state in WAITING_STATES:
                return {"state": JobState.CANCELLED.value, "cancel_requested": True, "reason": cancelled_by}
            if state in (JobState.CANCELLING, JobState.CANCELLED) or row.cancel_requested:
                return {}
            if state in TERMINAL_STATES:
                return impossible
            stopping = state if state is JobState.UNREACHABLE else JobState.CANCELLING
            return {"state": stopping.value, "cancel_requested": True, "reason": cancelled_by}
        case JobAction.HOLD:
            if state is JobState.HELD:
                return {}
            return {"state": JobState.HELD.value} if state is JobState.QUEUED else impossible
        case JobAction.RELEASE:
            if state is JobState.QUEUED:
                return {}
            return {"state": JobState.QUEUED.value, "refusals": None} if state is JobState.HELD else impossible
        case JobAction.REQUEUE:
            starts_over = start_over and row.bound_site_id is not None
            free = {"bound_site_id": None, "served_ms": 0} if starts_over else {}
            if state in WAITING_STATES:
                asked_again = {} if row.refusals is None else {"refusals": None}
                # A job that waits, is bound to no site and was refused by none may start anywhere already.
                return free | asked_again if start_over or asked_again else impossible
            if state in TERMINAL_STATES or row.cancel_requested:
                return impossible
            if row.requeue_requested:
                return {}
            to_state = state if state is JobState.UNREACHABLE else JobState.PREEMPTING
            return {"state": to_state.value, "requeue_requested": True, **free}


def apply_change(
    transaction: WriteTransaction, row: JobRow, values: dict[str, Any], caller: Caller, action: JobAction, why: str
) -> None:
    """Write what ``change_of`` answered, and have the agent told where a run has to end."""
    if values.get("state") == JobState.CANCELLED.value:
        values = {**values, "ended_ms": transaction.now_ms}
    if row.awaits and row.array_id is None and values.get("state") == JobState.CANCELLED.value:
        dependencies.remove(transaction, [row.id])
    if row.earmark is not None:
        # Nobody else gets the nodes while they are held; the runs that were told to leave them go on leaving.
        values = {**values, "earmark": None}
    jobs.change(transaction, row.id, **values)
    if JobState(row.state) in ACTIVE_STATES and action in (JobAction.CANCEL, JobAction.REQUEUE):
        _stop_run(transaction, row, action)
    data = {"state": values.get("state", row.state), "action": action.value}
    transaction.event(
        "job.state", actor=caller.person, why=why, job_id=row.id, group_id=row.group_id, site_id=row.site_id, data=data
    )
    transaction.after_commit(f"job:{row.id}")
    transaction.after_commit("scheduler")


def _stop_run(transaction: WriteTransaction, row: JobRow, action: JobAction) -> None:
    """Have the agent end the run, within its grace or what is left of one that it was given before. It is never taken
    for ended before the agent says so."""
    run = None if row.run_id is None else runs.by_id(transaction.connection, row.run_id)
    if run is None:
        return
    grace_ms = round(grace_seconds_of(row) * 1000)
    if run.stop_grace_ms is not None:
        grace_ms = min(grace_ms, run.stop_grace_ms)
    cause = EndCause.CANCELLED if action is JobAction.CANCEL else EndCause.REQUEUED
    if action is JobAction.REQUEUE and run.stop_cause in YIELDED_CAUSES:
        cause = EndCause(run.stop_cause)  # it goes back to the queue anyway, and not by its owner's choice
    runs.change(
        transaction,
        run.id,
        stop_cause=cause.value,
        stop_grace_ms=grace_ms,
        stop_requested_ms=transaction.now_ms,
    )
    transaction.after_commit(f"site:{run.site_id}")
