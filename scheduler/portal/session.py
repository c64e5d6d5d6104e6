"""The portal's session: the token in a cookie, and the value that every form carries beside it."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote

from fastapi import Request, Response

from scheduler.api.dependencies import keep_rate
from scheduler.model.reason import Refusal
from scheduler.service.caller import Caller, Scope
from scheduler.service.runtime import Runtime

COOKIE = "dure_session"
SESSION_SECONDS = 12 * 3600


class SignInNeeded(Exception):
    """Nobody is signed in (any more). ``back`` is the page to come back to."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back

    @property
    def location(self) -> str:
        """Where to sign in."""
        return f"/sign-in?next={quote(self.back, safe='/')}"


def form_value(secret: str) -> str:
    """What a form of this session carries: only who has the cookie can know it (docs/decisions/0004)."""
    return hmac.new(secret.encode(), b"dure form", hashlib.sha256).hexdigest()


def is_own_form(secret: str, value: str) -> bool:
    """Whether a form was made for this session."""
    return hmac.compare_digest(form_value(secret).encode(), value.encode(errors="replace"))


async def find_caller(runtime: Runtime, secret: str) -> Caller | Refusal:
    """The person of a token."""
    return await runtime.callers.newest(secret)


def address_of(request: Request) -> str:
    """A page's own address with its query, on this server."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


async def signed_in(request: Request) -> tuple[Caller, str]:
    """The signed-in person, within their rate limit, and their secret. Raises ``SignInNeeded``."""
    runtime: Runtime = request.app.state.runtime
    secret = request.cookies.get(COOKIE, "")
    back = address_of(request) if request.method == "GET" else "/"
    if not secret:
        raise SignInNeeded(back)
    caller = await find_caller(runtime, secret)
    if isinstance(caller, Refusal) or not caller.may(Scope.READ):
        raise SignInNeeded(back)
    await keep_rate(runtime, f"token:{caller.token.id}")
    return caller, secret


def keep(response: Response, secret: str, *, secure: bool) -> None:
    """Sign the browser in."""
    response.set_cookie(
        COOKIE, secret, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure, path="/"
    )


def local_path(text: str) -> str:
    """``text`` where it is a path of this server, else the first page: nobody is sent elsewhere."""
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if plain else "/"
