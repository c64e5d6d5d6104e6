"""Signing in and out, and the choice of language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from scheduler.api.dependencies import RuntimeHere, keep_rate
from scheduler.api.problem import RefusedError
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.portal.frame import SignedIn, frame_of
from scheduler.portal.job_pages import reason_text
from scheduler.portal.pages import SignInPage
from scheduler.portal.render import LANGUAGE_COOKIE, language_of, render
from scheduler.portal.session import COOKIE, find_caller, is_own_form, keep, local_path
from scheduler.service.caller import Caller

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

#: Tries from one address; whole institutions sit behind one.
SIGN_INS_PER_SECOND = 2.0
SIGN_INS_BURST = 60


def see(location: str) -> RedirectResponse:
    """Send the browser on, to read."""
    return RedirectResponse(location, status_code=303)


def require_own_form(who: tuple[Caller, str], form: str) -> None:
    """Refuse a form that was not made for this session."""
    if not is_own_form(who[1], form):
        raise RefusedError(refuse(ReasonCode.CSRF_FAILED))


def require_own_page(request: Request) -> None:
    """Refuse a form of another site's page where the browser says so: nobody is signed in as somebody else unawares. Who is not
    signed in has no session that a form could be bound to."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") in ("cross-site", "same-site"):
        raise RefusedError(refuse(ReasonCode.CSRF_FAILED))


@router.get("/sign-in")
async def sign_in_page(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:  # noqa: A002
    """Where a token is pasted."""
    page = SignInPage(frame=frame_of(request, None), next=local_path(next), error=None)
    return render("sign_in.html", page, language_of(request))


@router.post("/sign-in")
async def sign_in(
    request: Request,
    runtime: RuntimeHere,
    token: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
) -> Response:
    """Sign in with a token."""
    require_own_page(request)
    address = "?" if request.client is None else request.client.host
    await keep_rate(runtime, f"sign-in:{address}", rate_per_second=SIGN_INS_PER_SECOND, burst=SIGN_INS_BURST)
    secret = token.strip()
    plain = secret.isascii() and secret.isprintable() and " " not in secret
    caller = await find_caller(runtime, secret) if secret and plain else refuse(ReasonCode.UNAUTHENTICATED)
    if isinstance(caller, Refusal):
        language = language_of(request)
        error = reason_text(caller.reasons[0], language)
        page = SignInPage(frame=frame_of(request, None), next=local_path(next), error=error)
        return render("sign_in.html", page, language, status=401)
    response = see(local_path(next))
    keep(response, secret, secure=runtime.settings.secure_cookies)
    return response


@router.post("/sign-out")
async def sign_out(who: SignedIn, form: Annotated[str, Form(max_length=100)] = "") -> Response:
    """Forget the cookie; the token lives on."""
    require_own_form(who, form)
    response = see("/sign-in")
    response.delete_cookie(COOKIE, path="/")
    return response


@router.post("/language")
async def choose_language(
    runtime: RuntimeHere,
    language: Annotated[str, Form(pattern="^(ko|en)$")],
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
) -> Response:
    """Read on in the other language."""
    response = see(local_path(next))
    secure = runtime.settings.secure_cookies
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=366 * 86_400, samesite="strict", secure=secure, path="/")
    return response
