"""What people do with a whole array at once: cancel, hold, release and requeue all its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.model.job_state import WAITING_STATES, JobState
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import visible_group_ids
from scheduler.service.caller import Caller, Scope
from scheduler.service.jobs import JobAction, apply_change, change_of, why_forbidden
from scheduler.service.runtime import Runtime
from scheduler.store import dependencies, jobs
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.transaction import WriteTransaction

_COLUMNS = ("state", "cancel_requested", "reason", "ended_ms", "bound_site_id", "refusals", "earmark")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayDone:
    """How many jobs an array has, and how many of them have changed."""

    array: int
    tasks: int
    changed: int


def act_on_array(
    transaction: WriteTransaction,
    runtime: Runtime,
    caller: Caller,
    array_id: int,
    action: JobAction,
    *,
    why: str = "",
    start_over: bool = False,
) -> ArrayDone | Refusal:
    """Do with every job of an array what can be done with it; refused where that is so for each of them.

    Who may do it is who may do it with one of its jobs.
    """
    if not caller.may(Scope.SUBMIT):
        return refuse(ReasonCode.SCOPE_MISSING, needed=Scope.SUBMIT.value)
    _ = transaction.change
    directory = runtime.directories.newest()
    rows = jobs.of_array(transaction.connection, array_id)
    visible = visible_group_ids(directory, caller)
    if not rows or (visible is not None and rows[0].group_id not in visible):
        return refuse(ReasonCode.ARRAY_NOT_FOUND, array=array_id)
    forbidden = why_forbidden(directory, caller, rows[0])
    if forbidden is not None:
        return forbidden
    answers = [(row, change_of(row, caller, action, start_over=start_over)) for row in rows]
    refusals = [answer for _, answer in answers if isinstance(answer, Refusal)]
    if len(refusals) == len(rows):
        return refusals[0]
    changed = [(row, values) for row, values in answers if values and not isinstance(values, Refusal)]
    waiting = [(row, values) for row, values in changed if JobState(row.state) in WAITING_STATES]
    _change_waiting(transaction, waiting, caller, action, why)
    for row, values in changed:
        if JobState(row.state) not in WAITING_STATES:
            apply_change(transaction, row, values, caller, action, why)
    if action is JobAction.CANCEL:
        dependencies.remove(transaction, [array_id])
    return ArrayDone(array=array_id, tasks=len(rows), changed=len(changed))


def _change_waiting(
    transaction: WriteTransaction,
    waiting: Sequence[tuple[JobRow, dict[str, Any]]],
    caller: Caller,
    action: JobAction,
    why: str,
) -> None:
    """The same as ``apply_change`` for jobs without a run, thousands of them in a few statements."""
    rows: list[tuple[Any, ...]] = []
    for row, values in waiting:
        state = values.get("state", row.state)
        ended_ms = transaction.now_ms if state == JobState.CANCELLED.value else row.ended_ms
        cancel_requested = values.get("cancel_requested", row.cancel_requested)
        bound_site_id = values.get("bound_site_id", row.bound_site_id)
        refusals, reason = values.get("refusals", row.refusals), values.get("reason", row.reason)
        rows.append((row.id, state, cancel_requested, reason, ended_ms, bound_site_id, refusals, None))
        data = encode_json({"state": state, "action": action.value})
        transaction.add_events([("job.state", row.id, row.group_id, row.site_id, caller.person, why, data)])
        transaction.after_commit(f"job:{row.id}")
    jobs.change_many(transaction, _COLUMNS, rows)
    transaction.after_commit("scheduler")
