"""The pages of jobs: the list, one job, what happened to it, and what is done with it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from scheduler.api.dependencies import RuntimeHere
from scheduler.api.problem import answered
from scheduler.api.schemas import DatabaseId
from scheduler.model.job_state import TERMINAL_STATES, JobState
from scheduler.model.reason import Refusal
from scheduler.portal.frame import SignedIn, frame_of
from scheduler.portal.job_pages import EVENTS_A_PAGE, job_line, job_status, timeline
from scheduler.portal.pages import ConfirmPage, JobPage, JobsPage, TimelinePage
from scheduler.portal.render import HEADERS, language_of, render
from scheduler.portal.session import form_value
from scheduler.portal.sign_in import require_own_form, see
from scheduler.service.job_log import read_log, read_log_end
from scheduler.service.job_stream import Position
from scheduler.service.jobs import JobAction, JobQuery, act_on_job, list_jobs, show_job

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

JOBS_A_PAGE = 50
LOG_BYTES_SHOWN = 256 * 1024
LOG_BYTES_A_PART = 1 << 20
Rank = Annotated[int, Query(ge=0, le=100_000)]


@router.get("/")
def jobs_page(
    request: Request,
    who: SignedIn,
    runtime: RuntimeHere,
    everybody: Annotated[bool, Query(alias="all")] = False,
    ended: Annotated[bool, Query()] = True,
    array: Annotated[DatabaseId | None, Query()] = None,
    before: Annotated[DatabaseId | None, Query()] = None,
) -> Response:
    """My jobs, or those of an array."""
    language = language_of(request)
    states = () if ended else ("live",)
    mine = not everybody and array is None
    query = JobQuery(mine=mine, states=states, array=array, before_id=before, limit=JOBS_A_PAGE + 1)
    views = answered(list_jobs(runtime, who[0], query))
    following = None
    if len(views) > JOBS_A_PAGE:
        following = f"/?all={str(everybody).lower()}&ended={str(ended).lower()}&before={views[JOBS_A_PAGE - 1].row.id}"
        following += "" if array is None else f"&array={array}"
    page = JobsPage(
        frame=frame_of(request, who),
        jobs=[job_line(view, language) for view in views[:JOBS_A_PAGE]],
        everybody=everybody,
        ended=ended,
        array=array,
        following=following,
    )
    return render("jobs.html", page, language)


@router.get("/jobs/{job}")
def job_page(request: Request, job: DatabaseId, who: SignedIn, runtime: RuntimeHere, rank: Rank = 0) -> Response:
    """One job: its state, why it waits, its timeline and the last of a worker's log."""
    language = language_of(request)
    # Looked at before the rest is read: what changes from here on, the stream tells.
    detail = answered(show_job(runtime, who[0], job))
    status = answered(job_status(runtime, who[0], job, language, form_value(who[1])))
    log = answered(read_log_end(runtime, who[0], job, rank=rank, run_id=None, bytes_max=LOG_BYTES_SHOWN))
    has_ended = JobState(detail.job.row.state) in TERMINAL_STATES
    text, whole_bytes = codecs.utf_8_decode(log.data, "replace", has_ended)
    position = Position(change=detail.job.row.change, run_id=log.run_id, offset=log.offset + whole_bytes)
    page = JobPage(
        frame=frame_of(request, who),
        status=status,
        rank=rank,
        workers=max((run.row.gpus // run.row.gpus_per_worker for run in detail.runs[-1:]), default=1),
        log=text,
        left_out=log.offset,
        download=f"/jobs/{job}/log?rank={rank}",
        live=f"/jobs/{job}/live?rank={rank}&start={position}",
    )
    return render("job.html", page, language)


@router.get("/jobs/{job}/log")
def job_log(
    job: DatabaseId,
    who: SignedIn,
    runtime: RuntimeHere,
    rank: Rank = 0,
    run: Annotated[DatabaseId | None, Query()] = None,
) -> Response:
    """A worker's whole log as a file, as far as it has come in; of the newest run, or of one of the job's others."""
    first = answered(read_log(runtime, who[0], job, rank=rank, run_id=run, offset=0, bytes_max=LOG_BYTES_A_PART))

    def parts() -> Iterator[bytes]:
        part = first
        while part.data:
            yield part.data
            now = runtime.callers.again(who[0])
            if isinstance(now, Refusal):
                return
            offset, run_id = part.next_offset, part.run_id
            following = read_log(runtime, now, job, rank=rank, run_id=run_id, offset=offset, bytes_max=LOG_BYTES_A_PART)
            if isinstance(following, Refusal):
                return
            part = following

    name = f"job-{job}-run-{first.run_id}-worker-{rank}.log"
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts(), media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/jobs/{job}/timeline")
def timeline_page(
    request: Request,
    job: DatabaseId,
    who: SignedIn,
    runtime: RuntimeHere,
    change: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    part: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Response:
    """What happened to a job, newest first; with ``change`` and ``part`` what happened before."""
    language = language_of(request)
    detail = answered(show_job(runtime, who[0], job))
    before = None if change is None else (change, part)
    lines, older = answered(timeline(runtime, who[0], job, language, before, EVENTS_A_PAGE))
    page = TimelinePage(frame=frame_of(request, who), job=job, name=detail.job.row.name, timeline=lines, older=older)
    return render("timeline.html", page, language)


@router.get("/jobs/{job}/{action}")
def confirm(request: Request, job: DatabaseId, action: JobAction, who: SignedIn, runtime: RuntimeHere) -> Response:
    """Ask once more."""
    language = language_of(request)
    detail = answered(show_job(runtime, who[0], job))
    page = ConfirmPage(frame=frame_of(request, who), job=job_line(detail.job, language), action=action.value)
    return render("confirm.html", page, language)


@router.post("/jobs/{job}/{action}")
async def act(
    job: DatabaseId,
    action: JobAction,
    who: SignedIn,
    runtime: RuntimeHere,
    form: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Cancel, hold, release or requeue."""
    require_own_form(who, form)
    answered(await runtime.writer.submit_async(lambda each: act_on_job(each, runtime, who[0], job, action)))
    return see(f"/jobs/{job}")
