"""The way to the submission routes that leaves out what the framework does for routes in general.

Working out the dependencies of a route takes longer than a submission does. A direct route stands before the
documented one of the same address, calls the very same endpoint, and asks for caller and key in the same order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import Request, Response
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, Field, ValidationError
from starlette.routing import Route

from scheduler.api.dependencies import IdempotencyText, caller_with, runtime_of, scoped_to
from scheduler.api.problem import RefusedError, refusal_of_validation
from scheduler.service.caller import Caller, Scope
from scheduler.service.runtime import Runtime

#: (request, runtime, caller, idempotency key) -> response
Endpoint = Callable[[Request, Runtime, Caller, str], Awaitable[Response]]


class _Headers(BaseModel):
    key: IdempotencyText = Field(alias="Idempotency-Key")


def direct_routes(prefix: str, endpoints: Mapping[str, Endpoint]) -> list[Route]:
    """Routes for POST at ``prefix`` + each path of ``endpoints``, for callers whose token may submit."""
    return [Route(prefix + path, _direct(endpoint), methods=["POST"]) for path, endpoint in endpoints.items()]


def _direct(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        runtime = runtime_of(request)
        scheme, secret = get_authorization_scheme_param(request.headers.get("Authorization"))
        caller = await caller_with(runtime, secret if scheme.lower() == "bearer" else None)
        return await endpoint(request, runtime, scoped_to(caller, Scope.SUBMIT), _key(request))

    return answer


def _key(request: Request) -> str:
    given = {name: request.headers[name] for name in ("Idempotency-Key",) if name in request.headers}
    try:
        return _Headers.model_validate(given).key
    except ValidationError as wrong:
        raise RefusedError(refusal_of_validation(wrong.errors(include_url=False))) from wrong
