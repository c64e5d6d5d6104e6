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
    """Of queued tasks for which their array leaves no room: how many run, and how many may."""
    queued = [row for row in rows if row.array_running_max is not None and row.state == JobState.QUEUED.value]
    found: dict[int, Reason] = {}
    for array in sorted({(row.array_id or 0, row.array_running_max or 0) for row in queued}):
        array_id, running_max = array
        running, following = jobs.room_in_array(connection, array_id, running_max, _ACTIVE, now_ms)
        numbers: dict[str, Number] = {"array": array_id, "running": running + len(following), "limit": running_max}
        reason = Reason(code=ReasonCode.WAITING_FOR_ARRAY, numbers=numbers)
        found |= {row.id: reason for row in queued if row.array_id == array_id and row.id not in following}
    return found
