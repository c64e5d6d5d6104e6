"""Why a job stands where it does after the end of a run: what another run waits for, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scheduler.model.failure import FailureCategory
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import EndCause, JobState
from scheduler.model.reason import Number, Reason, ReasonCode
from scheduler.model.retry import QUICK_SECONDS, Aftermath, RunOutcome
from scheduler.service.tally import limits_of
from scheduler.service.time_text import time_text
from scheduler.store.jobs import JobRow

#: Of a queued job that waits for its next run.
RETRY_CODES = frozenset({ReasonCode.WAITING_FOR_RETRY, ReasonCode.WAITING_AFTER_FAILURE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a run, as reasons tell it."""

    run: int
    epoch: int
    outcome: RunOutcome
    message: str


def reason_after(job: JobRow, end: Ended, after: Aftermath, not_before_ms: int | None) -> dict[str, Any] | None:
    """The reason to write down; None where the state says all."""
    if after.state is JobState.CANCELLED:
        return job.reason if (job.reason or {}).get("code") == ReasonCode.CANCELLED_BY else None
    if not_before_ms is not None:
        return _of_waiting(job, end, after, not_before_ms)
    return _of_failure(job, end, after) if after.state is JobState.FAILED else None


def _of_waiting(job: JobRow, end: Ended, after: Aftermath, not_before_ms: int) -> dict[str, Any]:
    category = end.outcome.category
    assert category is not None, "a success waits for nothing"
    budget = limits_of(job).budget_of(category) or category
    numbers = _of_end(end) | {
        "category": category.value,
        "attempt": end.epoch,
        "next": end.epoch + 1,
        "failures": after.tally.of(budget),
        "failures_max": limits_of(job).of(budget),
        "not_before": time_text(not_before_ms),
    }
    lost = category is FailureCategory.INFRASTRUCTURE
    code = ReasonCode.WAITING_FOR_RETRY if lost else ReasonCode.WAITING_AFTER_FAILURE
    return {"code": code.value, "numbers": numbers}


def _of_failure(job: JobRow, end: Ended, after: Aftermath) -> dict[str, Any]:
    outcome = end.outcome
    exited: dict[str, Number] = {"exit_code": outcome.exit_code, "job": job.id}
    if outcome.cause is EndCause.EXITED and outcome.lasted_ms is None:
        # What its site says of it is all that anybody can read: there is no log of what never ran.
        return {"code": ReasonCode.NEVER_STARTED.value, "numbers": exited | {"message": _of_end(end)["message"]}}
    if after.always_alike:
        numbers = exited | {"failures": after.tally.alike, "quick_seconds": QUICK_SECONDS}
        return {"code": ReasonCode.FAILS_ALIKE.value, "numbers": numbers}
    if outcome.category is FailureCategory.MEMORY:
        spec = JobSpec.model_validate_json(job.spec)
        return {"code": ReasonCode.COMMAND_KILLED.value, "numbers": exited | {"memory_mib": spec.memory_per_worker}}
    if outcome.cause is EndCause.EXITED:
        return {"code": ReasonCode.COMMAND_FAILED.value, "numbers": exited}
    if outcome.cause is EndCause.WALLTIME:
        walltime = JobSpec.model_validate_json(job.spec).walltime
        return {"code": ReasonCode.WALLTIME_EXCEEDED.value, "numbers": {"walltime_seconds": walltime}}
    numbers = _of_end(end) | {"failures": after.tally.infrastructure}
    return {"code": ReasonCode.INFRASTRUCTURE_FAILED.value, "numbers": numbers}


def _of_end(end: Ended) -> dict[str, Number]:
    return {
        "cause": end.outcome.cause.value,
        "run": end.run,
        "exit_code": end.outcome.exit_code,
        "message": end.message[:300] or None,
    }


def reason_of_retry(job: JobRow, now_ms: int) -> Reason | None:
    """Why a queued job is not looked at by rounds yet, if its runs failed a moment ago."""
    reason = job.reason or {}
    waits = job.state == JobState.QUEUED.value and now_ms < (job.not_before_ms or 0)
    if not waits or reason.get("code") not in RETRY_CODES:
        return None
    return Reason(code=ReasonCode(reason["code"]), numbers=dict(reason.get("numbers") or {}))
