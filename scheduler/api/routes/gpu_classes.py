"""GPU classes, what a GPU-hour of each is worth, and how fast each is in general."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from scheduler.api.dependencies import Cursor, Limit, Managing, Reading, RuntimeHere, cursor_of, read_cursor, write
from scheduler.api.problem import RefusedError
from scheduler.api.schemas import GpuClassIn, GpuClassOut, GpuClassPage
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.gpu_classes import ClassView, NewRate, NewSpeed, list_gpu_classes, set_gpu_class
from scheduler.service.time_text import time_ms, time_text
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["gpu classes"])

TIME_MS_MAX = 2**42


def _document(view: ClassView) -> GpuClassOut:
    row = view.row
    return GpuClassOut(
        name=row.name,
        valid_from=time_text(row.valid_from_ms),
        credit_numerator=row.credit_numerator,
        credit_denominator=row.credit_denominator,
        speed=view.speed,
    )


@router.get("/gpu-classes")
def list_classes(runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100) -> GpuClassPage:
    """The exchange table, by class and date, and how fast classes are."""
    assert caller is not None
    start = read_cursor(cursor, int)
    first = start[0] if start else 0
    rows = list_gpu_classes(runtime)[first:]
    following = cursor_of(first + limit) if len(rows) > limit else None
    return GpuClassPage(items=[_document(row) for row in rows[:limit]], next_cursor=following)


@router.put("/gpu-classes/{name}")
async def set_class(
    request: Request,
    name: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")],
    body: GpuClassIn,
    runtime: RuntimeHere,
    caller: Managing,
) -> GpuClassOut:
    """Set what a GPU-hour is worth from a time on, from now on where none is named; or how fast the class is; or both."""
    rate = _rate_of(body)
    speed = NewSpeed(speed=body.speed) if "speed" in body.model_fields_set else None
    if rate is None and speed is None:
        raise _invalid(
            "speed",
            "say how fast the class is, or what it is worth by credit_numerator and credit_denominator",
            "종류가 얼마나 빠른지 쓰거나, 크레딧을 credit_numerator와 credit_denominator로 쓰십시오",
        )

    def act(transaction: WriteTransaction) -> ClassView | Refusal:
        return set_gpu_class(transaction, runtime, caller, name, rate=rate, speed=speed, why=body.why)

    return _document(await write(request, act))


def _rate_of(body: GpuClassIn) -> NewRate | None:
    numerator, denominator = body.credit_numerator, body.credit_denominator
    if numerator is None or denominator is None:
        lacking = "credit_numerator" if numerator is None else "credit_denominator"
        if numerator is not None or denominator is not None or body.valid_from is not None:
            problem = "credits are a fraction: give both of its parts, or leave both and valid_from out"
            problem_ko = "크레딧은 분수입니다. 분자와 분모를 다 쓰거나, 둘 다와 valid_from을 빼십시오"
            raise _invalid(lacking, problem, problem_ko)
        return None
    moment_ms = None if body.valid_from is None else time_ms(body.valid_from)
    if body.valid_from is not None and (moment_ms is None or not 0 <= moment_ms <= TIME_MS_MAX):
        problem = "write a time with its offset like 2026-11-24T03:00:00Z"
        raise _invalid("valid_from", problem, "2026-11-24T03:00:00Z처럼 시간대가 있는 시각을 쓰십시오")
    return NewRate(numerator=numerator, denominator=denominator, valid_from_ms=moment_ms)


def _invalid(field: str, problem: str, problem_ko: str) -> RefusedError:
    return RefusedError(refuse(ReasonCode.INVALID_FIELD, field=field, problem=problem, problem_ko=problem_ko))
