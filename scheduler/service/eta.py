"""When a waiting job would start, in the words of reasons."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.job_state import WAITING_STATES, JobState
from scheduler.model.reason import Number, Reason, ReasonCode
from scheduler.service.deadlines import late_reason
from scheduler.service.runtime import Runtime
from scheduler.service.time_text import time_text
from scheduler.store.jobs import JobRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EtaView:
    """``reason`` is the basis of ``start_ms``; where that is None, why nothing is known. ``made_ms`` is when it was said,
    and ``late`` a warning that the start is too late for the job's deadline."""

    start_ms: int | None
    reason: Reason
    made_ms: int
    late: Reason | None = None


def eta_of(runtime: Runtime, row: JobRow) -> EtaView | None:
    """The estimate for a waiting job; None for one that does not wait."""
    if JobState(row.state) not in WAITING_STATES:
        return None
    told = runtime.world.forecasts.of(row.id)
    if told.eta is None:
        reason = Reason(code=ReasonCode.ETA_NOT_LOOKED_AT, numbers={"made": time_text(told.made_ms)})
        return EtaView(start_ms=None, reason=reason, made_ms=told.made_ms)
    numbers: dict[str, Number] = dict(told.eta.numbers)
    if told.eta.code is ReasonCode.ETA_BEYOND_FORECAST:
        numbers["until"] = time_text(told.until_ms)
    start_ms, reason = told.eta.start_ms, Reason(code=told.eta.code, numbers=numbers)
    return EtaView(start_ms=start_ms, reason=reason, made_ms=told.made_ms, late=late_reason(row, start_ms))
