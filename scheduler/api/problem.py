"""Refusals and faults as ``application/problem+json`` (RFC 9457), in Korean and English."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from scheduler.api.validation_text import english_problem, korean_problem
from scheduler.model.errors import StoreUnavailable
from scheduler.model.reason import Reason, ReasonCode, ReasonKind, Refusal, refuse
from scheduler.model.reason_text import kind_of, sentence
from scheduler.model.worker_range import WORKER_FORMS

Answer = TypeVar("Answer")

MEDIA_TYPE = "application/problem+json"

STATUS_OF_KIND: Mapping[ReasonKind, int] = {
    ReasonKind.INVALID: 400,
    ReasonKind.UNAUTHENTICATED: 401,
    ReasonKind.FORBIDDEN: 403,
    ReasonKind.NOT_FOUND: 404,
    ReasonKind.CONFLICT: 409,
    ReasonKind.TOO_LARGE: 413,
    ReasonKind.REFUSED: 422,
    ReasonKind.TOO_MANY: 429,
    ReasonKind.UNAVAILABLE: 503,
    ReasonKind.FAULT: 500,
}
_STATUS_OF_CODE: Mapping[ReasonCode, int] = {
    ReasonCode.ETAG_MISMATCH: 412,
    ReasonCode.INVALID_PRECONDITION: 428,
    ReasonCode.METHOD_NOT_ALLOWED: 405,
}

TITLES: Mapping[ReasonKind, tuple[str, str]] = {
    ReasonKind.INVALID: ("The request cannot be used", "요청을 사용할 수 없습니다"),
    ReasonKind.UNAUTHENTICATED: ("Not signed in", "로그인이 필요합니다"),
    ReasonKind.FORBIDDEN: ("Not allowed", "허용되지 않습니다"),
    ReasonKind.NOT_FOUND: ("Not found", "찾을 수 없습니다"),
    ReasonKind.CONFLICT: ("Conflict", "충돌이 있습니다"),
    ReasonKind.TOO_LARGE: ("Too large", "너무 큽니다"),
    ReasonKind.REFUSED: ("Refused by quota or policy", "할당량 또는 정책에 따라 거절되었습니다"),
    ReasonKind.TOO_MANY: ("Too many requests", "요청이 너무 많습니다"),
    ReasonKind.UNAVAILABLE: ("Not available now", "지금은 사용할 수 없습니다"),
    ReasonKind.FAULT: ("A fault of ours", "서버 내부 오류"),
}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str
    message_ko: str


class Problem(BaseModel):
    """A "no", for people and programs."""

    type: str
    title: str
    title_ko: str
    status: int
    code: str
    detail: str
    detail_ko: str
    numbers: dict[str, Any] = Field(default_factory=dict)
    errors: list[FieldProblem] = Field(default_factory=list)
    trace_id: str = ""


class RefusedError(Exception):
    """Carries a refusal from a route to the one handler that shapes it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class BodyTooLarge(HTTPException):
    """A body that went on past its limit after its headers had said nothing of its length.

    It is one of Starlette's own errors, since FastAPI takes whatever else is raised while it reads for a bad request.
    """

    def __init__(self, bytes_max: int) -> None:
        super().__init__(STATUS_OF_KIND[ReasonKind.TOO_LARGE])
        self.bytes_max = bytes_max


async def respond_too_large(request: Request, bytes_max: int) -> Response:
    """The answer to a body above its limit; the rest of it is not read."""
    return await respond(request, refuse(ReasonCode.BODY_TOO_LARGE, bytes_max=bytes_max), {"Connection": "close"})


def answered(answer: Answer | Refusal) -> Answer:
    """Hand a use case's answer on, or raise its refusal towards the handler."""
    if isinstance(answer, Refusal):
        raise RefusedError(answer)
    return answer


def status_of(code: ReasonCode) -> int:
    """The HTTP status of a refusal's code."""
    return _STATUS_OF_CODE.get(code) or STATUS_OF_KIND[kind_of(code)]


def _field_problem(reason: Reason) -> FieldProblem:
    return FieldProblem(
        field=reason.field or "",
        message=sentence(reason.code, reason.numbers, "en", field=reason.field),
        message_ko=sentence(reason.code, reason.numbers, "ko", field=reason.field),
    )


def problem_of(refusal: Refusal, trace_id: str = "") -> Problem:
    """Shape a refusal: its first reason decides status, title and detail; those with a field stand in ``errors``."""
    first = refusal.reasons[0]
    title, title_ko = TITLES[kind_of(first.code)]
    decided = _field_problem(first)
    return Problem(
        type=f"urn:dure:problem:{first.code}",
        title=title,
        title_ko=title_ko,
        status=status_of(first.code),
        code=first.code,
        detail=decided.message,
        detail_ko=decided.message_ko,
        numbers=dict(first.numbers),
        errors=[_field_problem(reason) for reason in refusal.reasons if reason.field],
        trace_id=trace_id,
    )


def problem_json(problem: Problem) -> bytes:
    """The document's bytes. Numbers may be as large as whatever was sent, which faster writers do not take."""
    return json.dumps(problem.model_dump(), ensure_ascii=False).encode(errors="replace")


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The response that carries a problem."""
    extra = dict(headers or {})
    if problem.status == 401:
        extra.setdefault("WWW-Authenticate", 'Bearer realm="dure"')
    retry_after = problem.numbers.get("retry_after_seconds")
    if problem.status == 429 and retry_after is not None:
        extra.setdefault("Retry-After", str(max(1, ceil(float(retry_after)))))
    return Response(problem_json(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=extra)


def refusal_of_validation(
    errors: Iterable[Any], skipped: Sequence[str] = ("body", "query", "path", "header", *WORKER_FORMS)
) -> Refusal:
    """Turn pydantic's errors into reasons that name field and mend."""
    reasons = []
    for error in errors:
        where = [str(part) for part in error["loc"] if part not in skipped]
        if error["type"] == "json_invalid":
            problem = str(error.get("ctx", {}).get("error", "not JSON"))
            numbers = {"problem": f"not JSON: {problem}", "problem_ko": "JSON 형식이 아닙니다"}
            return Refusal(reasons=(Reason(code=ReasonCode.INVALID_BODY, numbers=numbers, field="body"),))
        numbers = {"problem": english_problem(error), "problem_ko": korean_problem(error)}
        reasons.append(Reason(code=ReasonCode.INVALID_FIELD, numbers=numbers, field=".".join(where) or "body"))
    return Refusal(reasons=tuple(reasons[:100]))


def trace_id_of(request: Request) -> str:
    """The number that stands in the logs of this request."""
    return str(request.scope.get("dure.trace_id", ""))


#: Makes a page of a refusal, for people.
PageOf = Callable[[Request, Refusal], Awaitable[Response]]
#: Addresses of programs; all others are people's.
_PROGRAMS = ("/api/", "/healthz", "/readyz", "/metrics")


async def respond(request: Request, refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries a refusal: a page at an address of people where ``app.state.page_of`` makes pages, else a
    problem document."""
    page_of: PageOf | None = getattr(request.app.state, "page_of", None)
    if page_of is None or request.url.path.startswith(_PROGRAMS):
        return problem_response(problem_of(refusal, trace_id_of(request)), headers)
    answer = await page_of(request, refusal)
    for name, value in (headers or {}).items():
        answer.headers[name] = value
    return answer


def install_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document or a page."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return await respond(request, error.refusal)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return await respond(request, refusal_of_validation(error.errors()))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error, BodyTooLarge):
            return await respond_too_large(request, error.bytes_max)
        if error.status_code == 404:
            return await respond(request, refuse(ReasonCode.ROUTE_NOT_FOUND))
        if error.status_code == 405:
            return await respond(request, refuse(ReasonCode.METHOD_NOT_ALLOWED, method=request.method), error.headers)
        problem = {"problem": str(error.detail), "problem_ko": "요청 형식이 올바르지 않습니다"}
        return await respond(request, refuse(ReasonCode.INVALID_BODY, **problem))

    async def unavailable(request: Request, _error: Exception) -> Response:
        return await respond(request, refuse(ReasonCode.NOT_READY))

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(StoreUnavailable, unavailable)
