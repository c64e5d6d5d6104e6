"""GPU classes and what a GPU-hour of each is worth."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from scheduler.api.dependencies import Cursor, Limit, Managing, Reading, RuntimeHere, cursor_of, read_cursor, write
from scheduler.api.problem import RefusedError
from scheduler.api.schemas import GpuClassIn, GpuClassOut, GpuClassPage
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.time_text import time_ms, time_text
from scheduler.service.usage import list_gpu_classes, set_gpu_class
from scheduler.store.gpu_classes import GpuClass
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["gpu classes"])

TIME_MS_MAX = 2**42


def _document(row: GpuClass) -> GpuClassOut:
    return GpuClassOut(
        name=row.name,
        valid_from=time_text(row.valid_from_ms),
        credit_numerator=row.credit_numerator,
        credit_denominator=row.credit_denominator,
    )


@router.get("/gpu-classes")
def list_classes(runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100) -> GpuClassPage:
    """The exchange table, by class and date."""
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
    """Set what a GPU-hour is worth from a time on; from now on where none is named."""
    moment_ms = None if body.valid_from is None else time_ms(body.valid_from)
    if body.valid_from is not None and (moment_ms is None or not 0 <= moment_ms <= TIME_MS_MAX):
        problem = "write a time with its offset like 2026-11-24T03:00:00Z"
        problem_ko = "2026-11-24T03:00:00Z처럼 시간대가 있는 시각을 쓰십시오"
        raise RefusedError(refuse(ReasonCode.INVALID_FIELD, field="valid_from", problem=problem, problem_ko=problem_ko))

    def act(transaction: WriteTransaction) -> GpuClass | Refusal:
        return set_gpu_class(
            transaction,
            runtime,
            caller,
            name,
            numerator=body.credit_numerator,
            denominator=body.credit_denominator,
            valid_from_ms=moment_ms,
            why=body.why,
        )

    return _document(await write(request, act))
