"""The portal's routes, beside the API in one application."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Form, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from scheduler.api.problem import status_of
from scheduler.api.schemas import DatabaseId
from scheduler.model.reason import Reason, ReasonCode, Refusal, refuse
from scheduler.portal.job_pages import job_line, job_status, reason_text
from scheduler.portal.pages import (
    ErrorPage,
    Frame,
    GroupSection,
    GroupsPage,
    JobPage,
    JobsPage,
    PoolLine,
    QuotaLine,
    SignInPage,
    SitesPage,
)
from scheduler.portal.render import HEADERS, LANGUAGE_COOKIE, fragment, language_of, render
from scheduler.portal.session import (
    COOKIE,
    SignInNeeded,
    find_caller,
    form_value,
    is_own_form,
    keep,
    local_path,
    signed_in,
)
from scheduler.service.caller import Caller
from scheduler.service.gpus import list_free_gpus
from scheduler.service.job_log import read_log
from scheduler.service.job_stream import Position, follow
from scheduler.service.jobs import JobAction, JobQuery, act_on_job, list_jobs
from scheduler.service.quotas import QuotaView, show_quotas
from scheduler.service.runtime import Runtime

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

STATIC = Path(__file__).resolve().parent / "static"
JOBS_A_PAGE = 50
LOG_BYTES_SHOWN = 256 * 1024
SignedIn = Annotated[tuple[Caller, str], Depends(signed_in)]


class PageRefused(Exception):
    """Carries a refusal to the one place that makes a page of it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _frame(request: Request, who: tuple[Caller, str] | None) -> Frame:
    return Frame(
        language=language_of(request),
        person=None if who is None else who[0].person,
        form_value="" if who is None else form_value(who[1]),
        path=request.url.path,
    )


def _page(answer: Any) -> Any:
    if isinstance(answer, Refusal):
        raise PageRefused(answer)
    return answer


def _see(location: str) -> RedirectResponse:
    return RedirectResponse(location, status_code=303)


@router.get("/sign-in")
async def sign_in_page(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:  # noqa: A002
    """Where a token is pasted."""
    page = SignInPage(frame=_frame(request, None), next=local_path(next), error=None)
    return render("sign_in.html", page, language_of(request))


@router.post("/sign-in")
async def sign_in(
    request: Request,
    token: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
) -> Response:
    """Sign in with a token."""
    runtime = _runtime(request)
    secret = token.strip()
    plain = secret.isascii() and secret.isprintable() and " " not in secret
    caller = await find_caller(runtime, secret) if secret and plain else refuse(ReasonCode.UNAUTHENTICATED)
    if isinstance(caller, Refusal):
        language = language_of(request)
        page = SignInPage(
            frame=_frame(request, None), next=local_path(next), error=reason_text(caller.reasons[0], language)
        )
        return render("sign_in.html", page, language, status=401)
    response = _see(local_path(next))
    keep(response, secret, secure=runtime.settings.secure_cookies)
    return response


@router.post("/sign-out")
async def sign_out(who: SignedIn, form: Annotated[str, Form(max_length=100)] = "") -> Response:
    """Forget the cookie; the token lives on."""
    _own(who, form)
    response = _see("/sign-in")
    response.delete_cookie(COOKIE, path="/")
    return response


@router.post("/language")
async def choose_language(
    request: Request,
    language: Annotated[str, Form(pattern="^(ko|en)$")],
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
) -> Response:
    """Read on in the other language."""
    response = _see(local_path(next))
    secure = _runtime(request).settings.secure_cookies
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=366 * 86_400, samesite="strict", secure=secure, path="/")
    return response


def _own(who: tuple[Caller, str], form: str) -> None:
    if not is_own_form(who[1], form):
        raise PageRefused(refuse(ReasonCode.CSRF_FAILED))


@router.get("/")
def jobs_page(
    request: Request,
    who: SignedIn,
    everybody: Annotated[bool, Query(alias="all")] = False,
    ended: Annotated[bool, Query()] = True,
    before: Annotated[DatabaseId | None, Query()] = None,
) -> Response:
    """My jobs."""
    language = language_of(request)
    states = () if ended else ("live",)
    query = JobQuery(mine=not everybody, states=states, before_id=before, limit=JOBS_A_PAGE + 1)
    views = _page(list_jobs(_runtime(request), who[0], query))
    following = None
    if len(views) > JOBS_A_PAGE:
        following = f"/?all={str(everybody).lower()}&ended={str(ended).lower()}&before={views[JOBS_A_PAGE - 1].row.id}"
    page = JobsPage(
        frame=_frame(request, who),
        jobs=[job_line(view, language) for view in views[:JOBS_A_PAGE]],
        everybody=everybody,
        ended=ended,
        following=following,
    )
    return render("jobs.html", page, language)


@router.get("/jobs/{job}")
def job_page(request: Request, job: DatabaseId, who: SignedIn) -> Response:
    """One job: its state, why it waits, its timeline and its log."""
    runtime, language = _runtime(request), language_of(request)
    status = _page(job_status(runtime, who[0], job, language, form_value(who[1])))
    log = _page(read_log(runtime, who[0], job, rank=0, run_id=None, offset=0, bytes_max=LOG_BYTES_SHOWN))
    page = JobPage(frame=_frame(request, who), status=status, log=log.data.decode("utf-8", "replace"))
    return render("job.html", page, language)


@router.get("/jobs/{job}/live")
async def job_live(request: Request, job: DatabaseId, who: SignedIn) -> Response:
    """The live part of a job's page, as server-sent HTML; ``end`` closes it."""
    runtime, language = _runtime(request), language_of(request)
    _page(await run_in_threadpool(job_status, runtime, who[0], job, language, form_value(who[1])))
    start = Position.read(request.headers.get("last-event-id"))

    async def events() -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        async for moment in follow(runtime, who[0], job, rank=0, with_log=True, start=start):
            if moment.kind == "log":
                text = f'<span hx-swap-oob="beforeend:#log">{html.escape(moment.text)}</span>'
            else:
                status = await run_in_threadpool(job_status, runtime, who[0], job, language, form_value(who[1]))
                if isinstance(status, Refusal):
                    return
                text = fragment("job_status.html", status, language)
            yield _sse(str(moment.position), text)
            if moment.kind == "end":
                yield b"event: end\ndata: end\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={**HEADERS, "X-Accel-Buffering": "no"})


def _sse(identifier: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"id: {identifier}\n{lines}\n".encode()


@router.post("/jobs/{job}/{action}")
async def act(
    request: Request, job: DatabaseId, action: JobAction, who: SignedIn, form: Annotated[str, Form(max_length=100)] = ""
) -> Response:
    """Cancel, hold, release or requeue."""
    _own(who, form)
    runtime = _runtime(request)
    _page(await runtime.writer.submit_async(lambda each: act_on_job(each, runtime, who[0], job, action)))
    return _see(f"/jobs/{job}")


@router.get("/sites")
def sites_page(request: Request, who: SignedIn) -> Response:
    """Sites, and what is free on them."""
    found = _page(list_free_gpus(_runtime(request), who[0], None))
    pools = [
        PoolLine(
            site=each.site,
            state=each.state,
            gpu_class=each.free.gpu_class,
            total=each.free.total,
            free=each.free.free,
            free_for_me=each.free.free_for_me,
        )
        for each in found
    ]
    return render("sites.html", SitesPage(frame=_frame(request, who), pools=pools), language_of(request))


@router.get("/groups")
def groups_page(request: Request, who: SignedIn) -> Response:
    """Quota and use of the groups that I have a role in."""
    runtime = _runtime(request)
    directory = runtime.directories.newest()
    sections = []
    for group_id in sorted(
        who[0].roles, key=lambda each: directory.by_id[each].path if each in directory.by_id else ""
    ):
        group = directory.by_id.get(group_id)
        if group is None:
            continue
        views = _page(show_quotas(runtime, who[0], group.path))
        quotas = [_quota_line(view) for view in views if view.row is not None or view.use.used or view.use.queued]
        sections.append(GroupSection(path=group.path, example=group.row.example, quotas=quotas))
    return render("groups.html", GroupsPage(frame=_frame(request, who), groups=sections), language_of(request))


def _quota_line(view: QuotaView) -> QuotaLine:
    row, use = view.row, view.use
    whole = max(1, use.fair_share, use.guaranteed_effective, use.used)
    return QuotaLine(
        gpu_class=view.gpu_class,
        guaranteed=0 if row is None else row.guaranteed,
        effective=use.guaranteed_effective,
        limit="–" if row is None or row.limit is None else str(row.limit),
        used=use.used,
        borrowed=use.borrowed,
        fair_share=use.fair_share,
        queued=use.queued,
        used_percent=round(100 * use.used / whole),
    )


def install_portal(app: FastAPI) -> None:
    """Add the portal's pages and static files to ``app``."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, PageRefused)
        language = language_of(request)
        first: Reason = error.refusal.reasons[0]
        page = ErrorPage(frame=_frame(request, None), status=status_of(first.code), text=reason_text(first, language))
        return render("error.html", page, language, status=page.status)

    async def sign_in_needed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, SignInNeeded)
        return _see(error.location)

    app.add_exception_handler(PageRefused, refused)
    app.add_exception_handler(SignInNeeded, sign_in_needed)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
