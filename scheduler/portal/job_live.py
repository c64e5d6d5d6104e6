"""The live part of a job's page, as server-sent HTML."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from scheduler.api.dependencies import RuntimeHere
from scheduler.api.problem import answered
from scheduler.api.schemas import DatabaseId
from scheduler.api.sse import with_pauses
from scheduler.model.reason import Reason, ReasonCode, ReasonKind, Refusal
from scheduler.model.reason_text import kind_of
from scheduler.model.words import Language
from scheduler.portal.job_pages import gpu_seconds, job_status, reason_text
from scheduler.portal.pages import ClockTicks, LiveEnd
from scheduler.portal.render import HEADERS, fragment, language_of, show_duration
from scheduler.portal.session import SignInNeeded, form_value, signed_in
from scheduler.service.caller import Caller
from scheduler.service.job_stream import JobMoment, Position, follow
from scheduler.service.jobs import show_job
from scheduler.service.runtime import Runtime

router = APIRouter(include_in_schema=False)

#: So often, what grows with time alone is told; proxies keep a connection on which that much happens.
TICK_SECONDS = 5.0
END = b"event: end\ndata: end\n\n"


@router.get("/jobs/{job}/live")
async def job_live(
    request: Request,
    job: DatabaseId,
    runtime: RuntimeHere,
    rank: Annotated[int, Query(ge=0, le=100_000)] = 0,
    start: Annotated[str | None, Query(max_length=80)] = None,
) -> Response:
    """States and log from ``start`` on, or from where a broken connection ended; ``end`` closes it."""
    language = language_of(request)
    try:
        who = await signed_in(request)
    except SignInNeeded:
        # The browser would follow a redirect, find a page where it looks for events, and try again without end.
        signed_out = Refusal(reasons=(Reason(code=ReasonCode.UNAUTHENTICATED),))
        return _stream(_only(_refused(signed_out, job, language)))
    answered(await run_in_threadpool(show_job, runtime, who[0], job))
    position = Position.read(request.headers.get("last-event-id") or start)
    return _stream(_JobLive(runtime, who, job, language, position).events(rank))


def _stream(events: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(events, media_type="text/event-stream", headers={**HEADERS, "X-Accel-Buffering": "no"})


async def _only(text: str) -> AsyncIterator[bytes]:
    yield _event(None, text)
    yield END


class _JobLive:
    """What one reader's page is sent."""

    def __init__(
        self, runtime: Runtime, who: tuple[Caller, str], job: int, language: Language, position: Position
    ) -> None:
        self._runtime, self._job, self._language = runtime, job, language
        self._caller, self._form_value = who[0], form_value(who[1])
        self._position = position

    async def events(self, rank: int) -> AsyncIterator[bytes]:
        """The stream, event by event."""
        yield b"retry: 1000\n\n"
        moments = follow(self._runtime, self._caller, self._job, rank=rank, with_log=True, start=self._position)
        async for moment in with_pauses(moments, TICK_SECONDS):
            if moment is None:
                answer: str | Refusal = await run_in_threadpool(self._ticks)
            elif moment.kind == "refused":
                assert moment.refusal is not None
                answer = moment.refusal
            elif moment.kind == "log":
                answer = self._log(moment)
            else:
                answer = await run_in_threadpool(self._status)
            if moment is not None:
                self._position = moment.position
            if isinstance(answer, Refusal):
                yield _event(None, _refused(answer, self._job, self._language))
                yield END
                return
            yield _event(self._position, answer)
            if moment is not None and moment.kind == "end":
                yield END

    def _log(self, moment: JobMoment) -> str:
        # Another run's log takes the place of the one before.
        how = "beforeend" if moment.position.run_id == self._position.run_id else "innerHTML"
        return f'<span hx-swap-oob="{how}:#log">{html.escape(moment.text)}</span>'

    def _status(self) -> str | Refusal:
        caller = self._runtime.callers.again(self._caller)
        if isinstance(caller, Refusal):
            return caller
        status = job_status(self._runtime, caller, self._job, self._language, self._form_value)
        return status if isinstance(status, Refusal) else fragment("job_live.html", status, self._language)

    def _ticks(self) -> str | Refusal:
        caller = self._runtime.callers.again(self._caller)
        detail = caller if isinstance(caller, Refusal) else show_job(self._runtime, caller, self._job)
        if isinstance(detail, Refusal):
            return detail
        ticks = ClockTicks(elapsed=show_duration(detail.job.elapsed_ms), gpu_seconds=gpu_seconds(detail))
        return fragment("job_ticks.html", ticks, self._language)


def _refused(refusal: Refusal, job: int, language: Language) -> str:
    first = refusal.reasons[0]
    sign_in = f"/sign-in?next=/jobs/{job}" if kind_of(first.code) is ReasonKind.UNAUTHENTICATED else None
    return fragment("job_refused.html", LiveEnd(text=reason_text(first, language), sign_in=sign_in), language)


def _event(position: Position | None, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in re.split("\r\n|\r|\n", text))
    first = "" if position is None else f"id: {position}\n"
    return f"{first}{lines}\n".encode()
