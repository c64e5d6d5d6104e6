"""Job arrays: why a task waits for others of its own array."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.model.job_state import ACTIVE_STATES, JobState
from scheduler.model.reason import Number, Reason, ReasonCode
from scheduler.store import jobs
from scheduler.store.jobs import JobRow

_ACTIVE = sorted(state.value for state in ACTIVE_STATES)


def waits_in_arrays(connection: Connection, rows: Sequence[JobRow], now_ms: int) -> dict[int, Reason]:
    """Of queued tasks for which their array leaves no room: how many run or come before, and how many may run."""
    queued = [row for row in rows if row.array_running_max is not None and row.state == JobState.QUEUED.value]
    if not queued:
        return {}
    active = jobs.active_in_arrays(connection, {row.array_id or 0 for row in queued}, _ACTIVE)
    turns = jobs.turns_in_arrays(connection, [row.id for row in queued], now_ms)
    found: dict[int, Reason] = {}
    for row in queued:
        turn, limit = turns.get(row.id), row.array_running_max or 0
        before = active.get(row.array_id or 0, 0) + (turn or 1) - 1
        if turn is not None and before >= limit:
            numbers: dict[str, Number] = {"array": row.array_id, "before": before, "limit": limit}
            found[row.id] = Reason(code=ReasonCode.WAITING_FOR_ARRAY, numbers=numbers)
    return found
