"""The group tree."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from scheduler.api.dependencies import (
    Cursor,
    IdempotencyHeader,
    Limit,
    Managing,
    Reading,
    RuntimeHere,
    cursor_of,
    perform,
    read_cursor,
    write,
)
from scheduler.api.documents import group_document
from scheduler.api.group_schemas import GroupIn, GroupMoveIn, GroupOrderIn, GroupOut, GroupPage, OutputLimitIn
from scheduler.api.precondition import Condition, etag_read
from scheduler.api.problem import answered
from scheduler.api.schemas import GroupPath
from scheduler.model.reason import Refusal
from scheduler.service import groups as service
from scheduler.service.directory import GroupView
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["groups"])


@router.post("/groups", status_code=201, response_model=GroupOut)
async def create_group(
    request: Request, body: GroupIn, runtime: RuntimeHere, caller: Managing, key: IdempotencyHeader
) -> Response:
    """Add a group below one that the caller manages."""

    def act(transaction: WriteTransaction) -> GroupView | Refusal:
        return service.create_group(
            transaction,
            runtime,
            caller,
            parent_path=body.parent,
            name=body.name,
            sector=body.sector,
            data_class=None if body.data_class is None else body.data_class.value,
            trust_domain=body.trust_domain,
            output_bytes_max=body.output_bytes_max,
            example=body.example,
            why=body.why,
        )

    return await perform(request, caller, key, act, partial(group_document, caller), status=201)


@router.get("/groups")
def list_groups(runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100) -> GroupPage:
    """The groups that the caller may see, by path."""
    after = read_cursor(cursor, str)
    views = [view for view in service.list_groups(runtime, caller) if after is None or view.path > after[0]]
    following = cursor_of(views[limit - 1].path) if len(views) > limit else None
    return GroupPage(items=[group_document(caller, view) for view in views[:limit]], next_cursor=following)


@router.get("/groups/{group}")
def show_group(group: GroupPath, runtime: RuntimeHere, caller: Reading) -> GroupOut:
    """One group."""
    return group_document(caller, answered(service.show_group(runtime, caller, group)))


@router.put("/groups/{group}/output-limit")
async def set_output_limit(
    request: Request, group: GroupPath, body: OutputLimitIn, runtime: RuntimeHere, caller: Managing
) -> GroupOut:
    """How large a job's collected outputs may be, in the group and below."""

    def act(transaction: WriteTransaction) -> GroupView | Refusal:
        return service.set_output_limit(transaction, runtime, caller, group, body.output_bytes_max, body.why)

    return group_document(caller, await write(request, act))


@router.put("/groups/{group}/order")
async def set_order(
    request: Request,
    response: Response,
    group: GroupPath,
    body: GroupOrderIn,
    runtime: RuntimeHere,
    caller: Managing,
    if_match: Condition = None,
) -> GroupOut:
    """Which jobs of one priority go first in the group and below: `If-Match: "etag"` of the group that was read."""
    etag = etag_read(if_match)

    def act(transaction: WriteTransaction) -> GroupView | Refusal:
        return service.set_order(transaction, runtime, caller, group, body.order, etag=etag, why=body.why)

    document = group_document(caller, await write(request, act))
    response.headers["ETag"] = f'"{document.etag}"'
    return document


@router.post("/groups/{group}/move", response_model=GroupOut)
async def move_group(
    request: Request,
    group: GroupPath,
    body: GroupMoveIn,
    runtime: RuntimeHere,
    caller: Managing,
    key: IdempotencyHeader,
) -> Response:
    """Hang a group below another one. It ends no running job."""

    def act(transaction: WriteTransaction) -> GroupView | Refusal:
        return service.move_group(transaction, runtime, caller, group, body.parent, body.why)

    return await perform(request, caller, key, act, partial(group_document, caller))
