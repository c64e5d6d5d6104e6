"""One job as it happens, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from scheduler.api.dependencies import Reading, RuntimeHere
from scheduler.api.documents import job_document
from scheduler.api.problem import answered, problem_json, problem_of
from scheduler.api.schemas import DatabaseId
from scheduler.api.sse import Event, event_stream
from scheduler.service.job_stream import JobMoment, Position, follow
from scheduler.service.jobs import show_job

router = APIRouter(tags=["jobs"])

_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


def _event(moment: JobMoment) -> Event:
    if moment.kind == "log":
        data = orjson.dumps({"text": moment.text, "offset": moment.position.offset, "run": moment.position.run_id})
    elif moment.kind == "refused":
        assert moment.refusal is not None
        data = problem_json(problem_of(moment.refusal))
    else:
        assert moment.detail is not None
        data = job_document(moment.detail.job).model_dump_json().encode()
    return Event(name=moment.kind, id=str(moment.position), data=data)


@router.get("/jobs/{job}/stream", response_class=Response, responses=_STREAM)
async def stream_job(
    job: Annotated[DatabaseId, Path()],
    runtime: RuntimeHere,
    caller: Reading,
    rank: Annotated[int, Query(ge=0, le=100_000)] = 0,
    log: Annotated[bool, Query()] = True,
    last_event_id: Annotated[str | None, Header(max_length=80)] = None,
) -> Response:
    """`state` (a new state, or a new reason for waiting), `log` and at last `end`, or `refused` with a problem once the
    caller may see the job no more; `Last-Event-ID` goes on where a broken connection ended."""
    answered(await run_in_threadpool(show_job, runtime, caller, job))

    async def events() -> AsyncIterator[Event]:
        start = Position.read(last_event_id)
        async for moment in follow(runtime, caller, job, rank=rank, with_log=log, start=start):
            yield _event(moment)

    return event_stream(events())
