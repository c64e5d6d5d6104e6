"""What routes ask for: the runtime, the caller with a scope, a cursor, an idempotent write."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from math import ceil
from typing import Annotated, Any, TypeVar, cast

import orjson
from fastapi import Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from scheduler.api.problem import Problem, RefusedError, answered
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.caller import Caller, Scope
from scheduler.service.runtime import Runtime
from scheduler.store import idempotency
from scheduler.store.idempotency import Answer, IdempotencyKey
from scheduler.store.transaction import WriteTransaction

Value = TypeVar("Value")

PAGE_ITEMS_DEFAULT = 100
PAGE_ITEMS_MAX = 1000

_bearer = HTTPBearer(auto_error=False, description="A token: `dure_…`", bearerFormat="opaque")


def runtime_of(request: Request) -> Runtime:
    """The process's runtime."""
    return cast(Runtime, request.app.state.runtime)


async def _runtime_here(request: Request) -> Runtime:
    # A dependency that is no coroutine would cost every request a hop to a thread.
    return runtime_of(request)


async def authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """The person whose token came along; within their rate limit."""
    return await caller_with(runtime_of(request), None if credentials is None else credentials.credentials)


async def caller_with(runtime: Runtime, secret: str | None) -> Caller:
    """Who holds the token ``secret``; within their rate limit. Raises RefusedError."""
    if not secret:
        raise RefusedError(refuse(ReasonCode.UNAUTHENTICATED))
    caller = answered(await runtime.callers.newest(secret))
    await keep_rate(runtime, f"token:{caller.token.id}")
    return caller


async def keep_rate(
    runtime: Runtime, key: str, *, rate_per_second: float | None = None, burst: int | None = None
) -> None:
    """Refuse when ``key`` asks more often than it may, by the settings where nothing else is said. A limiter that is
    away lets everybody pass."""
    ask = partial(
        runtime.limiter.retry_after_seconds,
        key,
        rate_per_second=rate_per_second or runtime.settings.rate_per_second,
        burst=burst or runtime.settings.rate_burst,
        now_ms=runtime.clock.now_ms(),
    )
    wait_seconds = await run_in_threadpool(ask) if runtime.limiter.blocking else ask()
    if wait_seconds > 0:
        raise RefusedError(refuse(ReasonCode.RATE_LIMITED, retry_after_seconds=ceil(wait_seconds * 1000) / 1000))


def scoped_to(caller: Caller, scope: Scope) -> Caller:
    """``caller``, whose token has ``scope``. Raises RefusedError."""
    if not caller.may(scope):
        raise RefusedError(refuse(ReasonCode.SCOPE_MISSING, needed=scope.value))
    return caller


def _with_scope(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    async def scoped(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        return scoped_to(caller, scope)

    return scoped


RuntimeHere = Annotated[Runtime, Depends(_runtime_here)]
Reading = Annotated[Caller, Depends(_with_scope(Scope.READ))]
Submitting = Annotated[Caller, Depends(_with_scope(Scope.SUBMIT))]
Managing = Annotated[Caller, Depends(_with_scope(Scope.MANAGE))]

IdempotencyText = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
IdempotencyHeader = Annotated[
    IdempotencyText,
    Header(
        alias="Idempotency-Key",
        description="Chosen by the caller; the same request repeated under the same key has the same answer.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)]
Cursor = Annotated[str | None, Query(max_length=256, description="next_cursor of the previous page.")]


def cursor_of(*parts: int | str) -> str:
    """Pack where a page ends into an opaque text."""
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def read_cursor(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """Unpack what ``cursor_of`` made; refuses anything else."""
    if cursor is None:
        return None
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        parts = None
    shaped = isinstance(parts, list) and [type(part) for part in parts] == list(kinds)
    if not shaped or any(isinstance(part, int) and not 0 <= part < 2**62 for part in parts):
        raise RefusedError(refuse(ReasonCode.INVALID_CURSOR, field="cursor"))
    return tuple(parts)


def key_of(caller: Caller, request: Request, header: str, body: bytes) -> IdempotencyKey:
    """The idempotency key of one request: who, which route and address, and a digest of what was asked."""
    scope = request.scope
    asked = hashlib.sha256(scope["query_string"] + b"\0" + body).hexdigest()
    path = hashlib.sha256(f"{scope['method']} {scope['path']}".encode()).hexdigest()[:32]
    return IdempotencyKey(caller=f"person:{caller.person_id}:{path}", key=header, request_hash=asked)


async def perform(
    request: Request,
    caller: Caller,
    header: str,
    act: Callable[[WriteTransaction], Value | Refusal],
    shape: Callable[[Value], BaseModel],
    *,
    status: int = 200,
) -> Response:
    """Do a write once, however often it is asked, durable when this returns; the answer is kept with it.

    ``act`` decides before it writes: a refusal must leave nothing behind. ``shape`` runs in the transaction, too.
    """
    runtime = runtime_of(request)
    key = key_of(caller, request, header, await request.body())

    def command(transaction: WriteTransaction) -> Answer | Refusal:
        def acted() -> Answer | Refusal:
            value = act(transaction)
            if isinstance(value, Refusal):
                return value
            return Answer(status=status, body=shape(value).model_dump_json(by_alias=True))

        return idempotency.once(transaction, key, acted)

    return response_of(answered(await runtime.writer.submit_async(command)))


async def write(request: Request, act: Callable[[WriteTransaction], Value | Refusal]) -> Value:
    """Do a write that is idempotent by nature (PUT, DELETE); durable when this returns."""
    return answered(await runtime_of(request).writer.submit_async(act))


def response_of(answer: Answer) -> Response:
    """Send a kept answer."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else None
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=headers)


def with_body(answer: Response, document: BaseModel) -> Response:
    """The same answer with another body: for what must be shown but never stored."""
    replayed = answer.headers.get("Idempotency-Replayed")
    headers = {"Idempotency-Replayed": replayed} if replayed else None
    return Response(
        document.model_dump_json(), status_code=answer.status_code, media_type="application/json", headers=headers
    )


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "Problem", "model": Problem, "content": content} for status in statuses}


#: What every route may answer besides its own success, for the OpenAPI document.
PROBLEMS_READ = _documented(400, 401, 403, 404, 405, 413, 429, 500, 503)
PROBLEMS_WRITE = _documented(400, 401, 403, 404, 405, 409, 412, 413, 422, 428, 429, 500, 503)
