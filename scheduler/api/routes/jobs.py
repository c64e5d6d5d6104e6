"""Jobs: lists, one in full, why it waits, its history, and what people do with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from scheduler.api.dependencies import (
    Cursor,
    IdempotencyHeader,
    Limit,
    Reading,
    RuntimeHere,
    Submitting,
    cursor_of,
    perform,
    read_cursor,
)
from scheduler.api.documents import (
    alternative_documents,
    counterfactual_document,
    eta_document,
    event_document,
    job_detail_document,
    job_document,
    reason_document,
    run_time_document,
    site_reason_document,
    time_or_none,
)
from scheduler.api.problem import answered
from scheduler.api.schemas import (
    DatabaseId,
    EventPage,
    GroupPath,
    JobDetailOut,
    JobOut,
    JobPage,
    JobStateIn,
    RequeueIn,
    WhyIn,
    WhyOut,
)
from scheduler.model.job_state import TERMINAL_STATES, JobState
from scheduler.model.reason import Refusal
from scheduler.service import jobs as service
from scheduler.service.caller import Caller
from scheduler.service.job_view import JobView
from scheduler.service.jobs import JobAction, JobQuery
from scheduler.service.run_time_view import run_time_of
from scheduler.service.runtime import Runtime
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["jobs"])

JobNumber = Annotated[DatabaseId, Path()]
WithEta = Annotated[bool, Query(description="Whether waiting jobs come with an estimate of their start.")]


@router.get("/jobs")
def list_jobs(
    runtime: RuntimeHere,
    caller: Reading,
    mine: Annotated[bool, Query()] = False,
    group: Annotated[GroupPath | None, Query()] = None,
    state: Annotated[list[JobStateIn] | None, Query(max_length=16)] = None,
    array: Annotated[DatabaseId | None, Query(description="Only the jobs of this array.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    eta: WithEta = False,
) -> JobPage:
    """Jobs that the caller may see, newest first. `state=live` is every state that is no end."""
    before = read_cursor(cursor, int)
    states = tuple(each.value for each in state or ())
    before_id = before[0] if before else None
    query = JobQuery(mine=mine, group=group, states=states, array=array, before_id=before_id, limit=limit + 1, eta=eta)
    views = answered(service.list_jobs(runtime, caller, query))
    following = cursor_of(views[limit - 1].row.id) if len(views) > limit else None
    return JobPage(items=[job_document(view) for view in views[:limit]], next_cursor=following)


@router.get("/jobs/{job}")
def show_job(job: JobNumber, runtime: RuntimeHere, caller: Reading, eta: WithEta = False) -> JobDetailOut:
    """One job in full, with its runs."""
    return job_detail_document(answered(service.show_job(runtime, caller, job, eta=eta)))


@router.get("/jobs/{job}/why")
def why_job(job: JobNumber, runtime: RuntimeHere, caller: Reading) -> WhyOut:
    """Why a job is where it is, with numbers for every site considered, and what would start it."""
    answer = answered(service.why_job(runtime, caller, job))
    reason, row = answer.job.reason, answer.job.row
    told = None if JobState(row.state) in TERMINAL_STATES else run_time_of(row, answer.job.predicted_class)
    return WhyOut(
        job=job,
        state=row.state,
        reasons=[] if reason is None else [reason_document(reason)],
        sites=[site_reason_document(each) for each in answer.sites],
        counterfactual=counterfactual_document(answer.counterfactual),
        ahead=answer.ahead,
        evaluated_at=time_or_none(answer.evaluated_ms),
        eta=eta_document(answer.job.eta),
        run_time=None if told is None else run_time_document(told),
        run_times=[run_time_document(each) for each in answer.by_class],
        alternatives=alternative_documents(answer.alternatives),
    )


@router.get("/jobs/{job}/events")
def list_job_events(
    job: JobNumber, runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100
) -> EventPage:
    """A job's history, oldest first."""
    change, part = read_cursor(cursor, int, int) or (0, 0)
    found = answered(service.job_events(runtime, caller, job, (change, part), limit + 1))
    following = cursor_of(found[limit - 1].change, found[limit - 1].part) if len(found) > limit else None
    return EventPage(items=[event_document(event) for event in found[:limit]], next_cursor=following)


async def _act(
    request: Request,
    runtime: Runtime,
    caller: Caller,
    key: str,
    job: int,
    action: JobAction,
    *,
    why: str,
    start_over: bool = False,
) -> Response:
    def act(transaction: WriteTransaction) -> JobView | Refusal:
        return service.act_on_job(transaction, runtime, caller, job, action, why=why, start_over=start_over)

    return await perform(request, caller, key, act, job_document)


@router.post("/jobs/{job}/cancel", response_model=JobOut)
async def cancel_job(
    request: Request, job: JobNumber, body: WhyIn, runtime: RuntimeHere, caller: Submitting, key: IdempotencyHeader
) -> Response:
    """End a job for good."""
    return await _act(request, runtime, caller, key, job, JobAction.CANCEL, why=body.why)


@router.post("/jobs/{job}/hold", response_model=JobOut)
async def hold_job(
    request: Request, job: JobNumber, body: WhyIn, runtime: RuntimeHere, caller: Submitting, key: IdempotencyHeader
) -> Response:
    """Keep a queued job out of the rounds."""
    return await _act(request, runtime, caller, key, job, JobAction.HOLD, why=body.why)


@router.post("/jobs/{job}/release", response_model=JobOut)
async def release_job(
    request: Request, job: JobNumber, body: WhyIn, runtime: RuntimeHere, caller: Submitting, key: IdempotencyHeader
) -> Response:
    """Let a held job go."""
    return await _act(request, runtime, caller, key, job, JobAction.RELEASE, why=body.why)


@router.post("/jobs/{job}/requeue", response_model=JobOut)
async def requeue_job(
    request: Request, job: JobNumber, body: RequeueIn, runtime: RuntimeHere, caller: Submitting, key: IdempotencyHeader
) -> Response:
    """Send a running job back to the queue; `start_over` frees it from the site that holds its checkpoint."""
    action = JobAction.REQUEUE
    return await _act(request, runtime, caller, key, job, action, why=body.why, start_over=body.start_over)
