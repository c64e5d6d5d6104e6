"""What surrounds a page: who reads it, in which language, and where they are."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from scheduler.api.problem import problem_of, trace_id_of
from scheduler.model.errors import StoreError
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.portal.pages import ErrorPage, Frame
from scheduler.portal.render import language_of, render
from scheduler.portal.session import COOKIE, address_of, find_caller, form_value, signed_in
from scheduler.service.caller import Caller

SignedIn = Annotated[tuple[Caller, str], Depends(signed_in)]


def frame_of(request: Request, who: tuple[Caller, str] | None) -> Frame:
    """The frame of a page for ``who``, None for nobody."""
    return Frame(
        language=language_of(request),
        person=None if who is None else who[0].person,
        form_value="" if who is None else form_value(who[1]),
        path=request.url.path,
        here=address_of(request) if request.method == "GET" else "/",
    )


async def page_of(request: Request, refusal: Refusal) -> Response:
    """The page that tells a refusal or a fault, with the navigation of who is signed in."""
    if refusal.code is ReasonCode.INVALID_FIELD and request.method == "GET":
        # People follow links: an address that cannot be is one where nothing is.
        refusal = refuse(ReasonCode.ROUTE_NOT_FOUND)
    language, problem = language_of(request), problem_of(refusal, trace_id_of(request))
    korean = language == "ko"
    page = ErrorPage(
        frame=frame_of(request, await _who(request)),
        status=problem.status,
        title=problem.title_ko if korean else problem.title,
        text=problem.detail_ko if korean else problem.detail,
        trace_id=problem.trace_id if problem.status >= 500 else None,
    )
    return render("error.html", page, language, status=page.status)


async def _who(request: Request) -> tuple[Caller, str] | None:
    secret = request.cookies.get(COOKIE, "")
    if not secret:
        return None
    try:
        caller = await find_caller(request.app.state.runtime, secret)
    except StoreError:
        return None
    return None if isinstance(caller, Refusal) else (caller, secret)
