"""Job arrays: what people do with all jobs of one at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from scheduler.api.array_schemas import ArrayDoneOut
from scheduler.api.dependencies import IdempotencyHeader, RuntimeHere, Submitting, perform
from scheduler.api.schemas import DatabaseId, RequeueIn
from scheduler.model.reason import Refusal
from scheduler.service.array_actions import ArrayDone, act_on_array
from scheduler.service.jobs import JobAction
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["jobs"])


@router.post("/arrays/{array}/{action}", response_model=ArrayDoneOut)
async def act(
    request: Request,
    array: Annotated[DatabaseId, Path()],
    action: JobAction,
    body: RequeueIn,
    runtime: RuntimeHere,
    caller: Submitting,
    key: IdempotencyHeader,
) -> Response:
    """Cancel, hold, release or requeue every job of an array with which that can be done; `start_over` as for one job."""

    def done(transaction: WriteTransaction) -> ArrayDone | Refusal:
        return act_on_array(transaction, runtime, caller, array, action, why=body.why, start_over=body.start_over)

    return await perform(
        request,
        caller,
        key,
        done,
        lambda each: ArrayDoneOut(array=each.array, tasks=each.tasks, changed=each.changed),
    )
