"""What groups were charged, and what lenders are owed."""

from __future__ import annotations

from fractions import Fraction

from fastapi import APIRouter

from scheduler.api.dependencies import Reading, RuntimeHere
from scheduler.api.problem import answered
from scheduler.api.schemas import GroupPath, OwedOut, OwedsOut, Slug, UsageOut, UsagesOut
from scheduler.service.usage import credit_text, show_owed, show_usage

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


@router.get("/sites/{name}/owed")
def show_site_owed(name: Slug, runtime: RuntimeHere, caller: Reading) -> OwedsOut:
    """What a site's owner is owed, by GPU class, at the rates of the exchange table."""
    owed = answered(show_owed(runtime, caller, name))
    total = sum((each.credits or Fraction(0) for each in owed), Fraction(0))
    return OwedsOut(
        site=name,
        items=[
            OwedOut(
                gpu_class=each.gpu_class,
                gpu_seconds=each.gpu_milliseconds / 1000,
                credits="-" if each.credits is None else credit_text(each.credits),
                runs=each.runs,
            )
            for each in owed
        ],
        total_credits=credit_text(total),
    )
