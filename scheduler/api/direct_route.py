"""The way to the submission routes that leaves out what the framework does for routes in general.

Finding a route and working out its dependencies takes longer than a submission does. A direct route stands before the
documented one of the same address, calls the very same endpoint, and asks for caller and key in the same order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, Field, ValidationError
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.dependencies import IdempotencyText, caller_with, runtime_of, scoped_to
from scheduler.api.problem import RefusedError, refusal_of_validation
from scheduler.service import caller as callers
from scheduler.service.caller import Caller
from scheduler.service.runtime import Runtime

#: (request, runtime, caller, idempotency key) -> response
Endpoint = Callable[[Request, Runtime, Caller, str], Awaitable[Response]]


class _Headers(BaseModel):
    key: IdempotencyText = Field(alias="Idempotency-Key")


class _Address(NamedTuple):
    """A route as far as logs and metrics ask for it."""

    path: str


class DirectRoutes:
    """POST at the addresses of ``endpoints``, for callers whose token may submit; all else goes on to ``app``.

    ``handlers_of`` makes answers of exceptions, as it does everywhere.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint], handlers_of: FastAPI) -> None:
        self._app = app
        self._endpoints = dict(endpoints)
        self._answered = ExceptionMiddleware(self._answer, handlers_of.exception_handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._endpoints:
            await self._answered(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        scope["route"] = _Address(path)
        request = Request(scope, receive, send)
        runtime = runtime_of(request)
        scheme, secret = get_authorization_scheme_param(request.headers.get("Authorization"))
        caller = await caller_with(runtime, secret if scheme.lower() == "bearer" else None)
        response = await self._endpoints[path](request, runtime, scoped_to(caller, callers.Scope.SUBMIT), _key(request))
        await response(scope, receive, send)


def _key(request: Request) -> str:
    given = {name: request.headers[name] for name in ("Idempotency-Key",) if name in request.headers}
    try:
        return _Headers.model_validate(given).key
    except ValidationError as wrong:
        raise RefusedError(refusal_of_validation(wrong.errors(include_url=False))) from wrong
