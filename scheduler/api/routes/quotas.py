"""Quotas, edited against the ETag that was read."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from quota.tree import Quota
from scheduler.api.dependencies import IdempotencyHeader, Managing, Reading, RuntimeHere, write
from scheduler.api.documents import quota_document
from scheduler.api.problem import RefusedError, answered
from scheduler.api.quota_preview_documents import QuotaPreviewIn, QuotaPreviewOut, preview_document
from scheduler.api.schemas import GroupPath, QuotaIn, QuotaOut, QuotasOut
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service import quota_preview
from scheduler.service import quotas as service
from scheduler.service.quotas import QuotaView
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["quotas"])

GpuClass = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
Condition = Annotated[str | None, Header(max_length=64)]


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
    etag = _etag(if_match, if_none_match)
    new = Quota(**body.model_dump(exclude={"why"}))

    def act(transaction: WriteTransaction) -> QuotaView | Refusal:
        return service.set_quota(transaction, runtime, caller, group, gpu_class, new, etag=etag, why=body.why)

    view = await write(request, act)
    document = quota_document(await run_in_threadpool(service.with_use, runtime, view))
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


def _etag(if_match: str | None, if_none_match: str | None) -> str | None:
    if if_none_match is not None and if_none_match.strip() == "*" and if_match is None:
        return None
    match = re.fullmatch(r'(?:W/)?"?(\d{1,19})"?', (if_match or "").strip())
    if match is None or if_none_match is not None:
        raise RefusedError(
            refuse(
                ReasonCode.INVALID_PRECONDITION,
                field="If-Match",
                problem='send If-Match: "etag" of the quota that was read, or If-None-Match: * for a first one',
                problem_ko='읽은 할당량의 etag로 If-Match: "etag"를, 처음이면 If-None-Match: *를 보내십시오',
            )
        )
    return match[1]
