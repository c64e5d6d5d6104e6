"""What groups were charged."""

from __future__ import annotations

from fractions import Fraction

from fastapi import APIRouter

from scheduler.api.dependencies import Reading, RuntimeHere
from scheduler.api.problem import answered
from scheduler.api.schemas import GroupPath, UsageOut, UsagesOut
from scheduler.service.usage import credit_text, show_usage

router = APIRouter(tags=["usage"])


@router.get("/groups/{group}/usage")
def show_group_usage(group: GroupPath, runtime: RuntimeHere, caller: Reading) -> UsagesOut:
    """What a group and all below it were charged, by GPU class."""
    charges = answered(show_usage(runtime, caller, group))
    total = sum((each.credits or Fraction(0) for each in charges), Fraction(0))
    return UsagesOut(
        group=group,
        items=[
            UsageOut(
                gpu_class=each.gpu_class,
                gpu_seconds=each.gpu_milliseconds / 1000,
                gpu_seconds_lost=each.gpu_milliseconds_lost / 1000,
                credits="-" if each.credits is None else credit_text(each.credits),
                runs=each.runs,
            )
            for each in charges
        ],
        total_credits=credit_text(total),
    )
