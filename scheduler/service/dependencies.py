"""Jobs that wait for other jobs: judged at submit, let go or cancelled by the leader, explained to people.

What is to come stands in rows that the submission's own transaction writes; the leader's transaction alone takes them
away. A condition that is met or can never be is so for good, so nothing is lost between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, or_, select

from scheduler.model.dependency import Condition, Dependency, Outlook, of_all, outlook
from scheduler.model.job_state import WAITING_STATES, JobState
from scheduler.model.reason import Number, Reason, ReasonCode, Refusal, refuse
from scheduler.service.access import visible_group_ids
from scheduler.service.caller import Caller
from scheduler.service.runtime import Runtime
from scheduler.store import dependencies, jobs
from scheduler.store.dependencies import Awaited
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.rows import chunks
from scheduler.store.tables import jobs as job_table
from scheduler.store.transaction import EventRow, WriteTransaction

ACTOR = "scheduler"
#: So many waiters are looked at in one transaction; an array counts once.
WAITERS_A_TRANSACTION = 1_000
_FIELDS = {Condition.START: "after", Condition.SUCCESS: "after_ok"}
_CODES = {Condition.START: ReasonCode.WAITING_FOR_START, Condition.SUCCESS: ReasonCode.WAITING_FOR_SUCCESS}
_WAITING = sorted(state.value for state in WAITING_STATES)


def to_come(
    runtime: Runtime, caller: Caller, named: Mapping[int, Sequence[Dependency]]
) -> dict[int, tuple[Dependency, ...] | Refusal]:
    """Of what each new job names, what is still to come; a refusal for what the caller may not see, or never comes."""
    visible = visible_group_ids(runtime.directories.newest(), caller)
    with runtime.database.read() as connection:
        known = dependencies.awaited(connection, {each.on for own in named.values() for each in own})
    seen = {
        on: members
        for on, members in known.items()
        if visible is None or all(each.group_id in visible for each in members)
    }
    return {place: _to_come(own, seen) for place, own in named.items()}


def _to_come(own: Sequence[Dependency], seen: Mapping[int, Sequence[Awaited]]) -> tuple[Dependency, ...] | Refusal:
    left: list[Dependency] = []
    for each in own:
        field, members = _FIELDS[each.condition], seen.get(each.on)
        if members is None:
            return refuse(ReasonCode.DEPENDENCY_NOT_FOUND, field=field, job=each.on)
        match _outlook(each, members):
            case Outlook.NEVER:
                failed = _first(each, members, Outlook.NEVER)
                return refuse(ReasonCode.DEPENDENCY_NEVER_MET, field=field, job=failed.job_id, state=failed.state)
            case Outlook.OPEN:
                left.append(each)
            case Outlook.MET:
                pass
    return tuple(left)


def _outlook(dependency: Dependency, members: Sequence[Awaited]) -> Outlook:
    return of_all(_of_one(dependency, each) for each in members)


def _of_one(dependency: Dependency, member: Awaited) -> Outlook:
    return outlook(dependency.condition, JobState(member.state), has_started=member.has_started)


def _first(dependency: Dependency, members: Sequence[Awaited], wanted: Outlook) -> Awaited:
    return next(each for each in members if _of_one(dependency, each) is wanted)


def settle(transaction: WriteTransaction, waiter_ids: Sequence[int]) -> list[int]:
    """Look at what ``waiter_ids`` (jobs and arrays) wait for, and answer which of them wait no more.

    Where all of it has come, the jobs are let go. Where one never comes, those that still wait are cancelled, as Slurm
    does with ``kill_invalid_depend``: what waits for ever helps nobody.
    """
    _ = transaction.change
    waiting = dependencies.of_waiters(transaction.connection, waiter_ids)
    known = dependencies.awaited(transaction.connection, {each.on for own in waiting.values() for each in own})
    met: list[int] = []
    never: dict[int, dict[str, Any]] = {}
    for waiter, own in waiting.items():
        outlooks = {each: _outlook(each, known[each.on]) for each in own}
        spoiled = [each for each, how in outlooks.items() if how is Outlook.NEVER]
        if spoiled:
            failed = _first(spoiled[0], known[spoiled[0].on], Outlook.NEVER)
            numbers = {"job": failed.job_id, "state": failed.state}
            never[waiter] = {"code": ReasonCode.DEPENDENCY_FAILED.value, "numbers": numbers}
        elif of_all(outlooks.values()) is Outlook.MET:
            met.append(waiter)
    _let_go(transaction, met)
    _cancel(transaction, never)
    dependencies.remove(transaction, [*met, *never])
    return [*met, *never, *(each for each in waiter_ids if each not in waiting)]


def _let_go(transaction: WriteTransaction, waiter_ids: Sequence[int]) -> None:
    rows: list[tuple[int, bool]] = []
    events: list[EventRow] = []
    for row in _jobs_that_wait(transaction.connection, waiter_ids):
        rows.append((row.id, False))
        events.append(("job.dependencies_met", row.id, row.group_id, None, ACTOR, "", "{}"))
        transaction.after_commit(f"job:{row.id}")
    jobs.change_many(transaction, ("awaits",), rows)
    transaction.add_events(events)


def _cancel(transaction: WriteTransaction, reasons: Mapping[int, dict[str, Any]]) -> None:
    cancelled = JobState.CANCELLED.value
    rows: list[tuple[Any, ...]] = []
    events: list[EventRow] = []
    for row in _jobs_that_wait(transaction.connection, list(reasons)):
        rows.append((row.id, cancelled, transaction.now_ms, reasons[jobs.waiter_of(row)], False))
        events.append(("job.state", row.id, row.group_id, None, ACTOR, "", encode_json({"state": cancelled})))
        transaction.after_commit(f"job:{row.id}")
    jobs.change_many(transaction, ("state", "ended_ms", "reason", "awaits"), rows)
    transaction.add_events(events)


def _jobs_that_wait(connection: Connection, waiter_ids: Sequence[int]) -> list[Any]:
    """The jobs of waiters that have not been cancelled by their owners."""
    columns = (job_table.c.id, job_table.c.group_id, job_table.c.state, job_table.c.array_id)
    found: list[Any] = []
    for part in chunks(waiter_ids):
        of_them = or_(job_table.c.id.in_(part), job_table.c.array_id.in_(part))
        found += connection.execute(select(*columns).where(of_them, job_table.c.state.in_(_WAITING)))
    return found


def waits_for_jobs(connection: Connection, rows: Sequence[JobRow]) -> dict[int, Reason]:
    """Of queued jobs that wait for others: for which, how it stands, and how many there are in all."""
    waiters = {row.id: row.waiter_id for row in rows if row.awaits and row.state == JobState.QUEUED.value}
    if not waiters:
        return {}
    waiting = dependencies.of_waiters(connection, set(waiters.values()))
    known = dependencies.awaited(connection, {each.on for own in waiting.values() for each in own})
    told = {waiter: _reason(own, known) for waiter, own in waiting.items()}
    return {job: told[waiter] for job, waiter in waiters.items() if waiter in told}


def reason_of_waiting(connection: Connection, own: Sequence[Dependency]) -> Reason:
    """Why a job that is not submitted yet would wait for others."""
    return _reason(own, dependencies.awaited(connection, {each.on for each in own}))


def _reason(own: Sequence[Dependency], known: Mapping[int, Sequence[Awaited]]) -> Reason:
    """The first that is not met speaks for all. What is met or lost is told as it stands until the leader has seen it."""
    left = [(each, member) for each in own for member in known[each.on] if _of_one(each, member) is not Outlook.MET]
    first, member = left[0] if left else (own[0], known[own[0].on][0])
    jobs_left = sum({other.job_id: other.jobs for _, other in left}.values())
    numbers: dict[str, Number] = {"job": member.job_id, "state": member.state, "jobs": jobs_left}
    return Reason(code=_CODES[first.condition], numbers=numbers)
