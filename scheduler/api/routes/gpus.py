"""What is free, and free for the caller."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Query

from scheduler.api.dependencies import Reading, RuntimeHere
from scheduler.api.problem import answered
from scheduler.api.schemas import FreeGpusOut, GpuClassFreeOut, GpusOut, GroupPath
from scheduler.service.gpus import list_free_gpus

router = APIRouter(tags=["gpus"])


@router.get("/gpus")
def list_gpus(runtime: RuntimeHere, caller: Reading, group: Annotated[GroupPath | None, Query()] = None) -> GpusOut:
    """GPUs by class and site. `free_for_me` is what quotas leave to the best of the caller's groups, or to `group`."""
    items = [
        FreeGpusOut(
            gpu_class=each.free.gpu_class,
            site=each.site,
            state=each.state,
            total=each.free.total,
            free=each.free.free,
            free_for_me=each.free.free_for_me,
        )
        for each in answered(list_free_gpus(runtime, caller, group))
    ]
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for item in items:
        for index, amount in enumerate((item.total, item.free, item.free_for_me)):
            sums[item.gpu_class][index] += amount
    by_class = [
        GpuClassFreeOut(gpu_class=name, total=total, free=free, free_for_me=for_me)
        for name, (total, free, for_me) in sorted(sums.items())
    ]
    return GpusOut(items=items, by_class=by_class)
