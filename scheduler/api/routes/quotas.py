"""Quotas, edited against the ETag that was read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from scheduler.api.dependencies import IdempotencyHeader, Managing, Reading, RuntimeHere, write
from scheduler.api.documents import quota_document
from scheduler.api.past_use_documents import DecayIn, DecayOut, decay_document
from scheduler.api.precondition import Condition, etag_or_first, etag_read
from scheduler.api.problem import answered
from scheduler.api.quota_preview_documents import QuotaPreviewIn, QuotaPreviewOut, preview_document
from scheduler.api.schemas import GroupPath, QuotaIn, QuotaOut, QuotasOut
from scheduler.model.reason import Refusal
from scheduler.service import past_use, quota_preview
from scheduler.service import quotas as service
from scheduler.service.quotas import QuotaView
from scheduler.store.past_uses import DecayRule
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["quotas"])

GpuClass = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]


@router.get("/groups/{group}/quota")
def show_quotas(group: GroupPath, runtime: RuntimeHere, caller: Reading) -> QuotasOut:
    """A group's quotas and use, by GPU class."""
    views = answered(service.show_quotas(runtime, caller, group))
    return QuotasOut(group=group, items=[quota_document(view) for view in views])


@router.put("/groups/{group}/quota/{gpu_class}")
async def set_quota(
    request: Request,
    response: Response,
    group: GroupPath,
    gpu_class: GpuClass,
    body: QuotaIn,
    runtime: RuntimeHere,
    caller: Managing,
    if_match: Condition = None,
    if_none_match: Condition = None,
) -> QuotaOut:
    """Set a quota as a whole: `If-Match: "etag"` of the one that was read, or `If-None-Match: *` for a first one."""
    etag = etag_or_first(if_match, if_none_match)
    new = body.quota()

    def act(transaction: WriteTransaction) -> QuotaView | Refusal:
        return service.set_quota(transaction, runtime, caller, group, gpu_class, new, etag=etag, why=body.why)

    view = await write(request, act)
    document = quota_document(await run_in_threadpool(service.with_use, runtime, view))
    response.headers["ETag"] = f'"{document.etag}"'
    return document


@router.get("/quotas/decay")
def show_decay(runtime: RuntimeHere, caller: Reading) -> DecayOut:
    """How past use counts less and less."""
    assert caller is not None
    return decay_document(past_use.show_decay(runtime))


@router.put("/quotas/decay")
async def set_decay(
    request: Request,
    response: Response,
    body: DecayIn,
    runtime: RuntimeHere,
    caller: Managing,
    if_match: Condition = None,
) -> DecayOut:
    """Have past use decay by another rule, against the ETag of the one that was read. Everybody keeps the average use."""
    etag = etag_read(if_match)

    def act(transaction: WriteTransaction) -> DecayRule | Refusal:
        return past_use.set_decay(transaction, runtime, caller, body.decay(), etag=etag, why=body.why)

    document = decay_document(await write(request, act))
    response.headers["ETag"] = f'"{document.etag}"'
    return document


@router.post("/quotas/preview")
async def preview_quotas(
    body: QuotaPreviewIn, runtime: RuntimeHere, caller: Managing, key: IdempotencyHeader
) -> QuotaPreviewOut:
    """What the next round would do if these quotas were set, all at once. Judged as setting them is; sets nothing."""
    assert key
    changes = [each.change() for each in body.quotas]
    found = await run_in_threadpool(quota_preview.preview_quotas, runtime, caller, changes)
    return preview_document(answered(found))
