"""Refusals and faults as ``application/problem+json`` (RFC 9457), in Korean and English."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
    errors: Iterable[Any], skipped: Sequence[str] = ("body", "query", "path", "header")
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


def install_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""

    def respond(request: Request, refusal: Refusal) -> Response:
        return problem_response(problem_of(refusal, trace_id_of(request)))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return respond(request, error.refusal)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return respond(request, refusal_of_validation(error.errors()))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return respond(request, refuse(ReasonCode.ROUTE_NOT_FOUND))
        if error.status_code == 405:
            refusal = refuse(ReasonCode.METHOD_NOT_ALLOWED, method=request.method)
            return problem_response(problem_of(refusal, trace_id_of(request)), error.headers)
        problem = {"problem": str(error.detail), "problem_ko": "요청 형식이 올바르지 않습니다"}
        return respond(request, refuse(ReasonCode.INVALID_BODY, **problem))

    async def unavailable(request: Request, _error: Exception) -> Response:
        return respond(request, refuse(ReasonCode.NOT_READY))

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(StoreUnavailable, unavailable)
