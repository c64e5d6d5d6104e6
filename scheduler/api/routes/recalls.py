"""Recalls: lenders ask for lent nodes back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

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
)
from scheduler.api.lending_documents import Number, RecallIn, RecallOut, RecallPage, recall_document
from scheduler.api.problem import answered
from scheduler.api.schemas import Slug, WhyIn
from scheduler.model.reason import Refusal
from scheduler.service import recalls as service
from scheduler.service.recalls import RecallView
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["sites"])


@router.post("/sites/{name}/recalls", status_code=201, response_model=RecallOut)
async def recall(
    request: Request, name: Slug, body: RecallIn, runtime: RuntimeHere, caller: Managing, key: IdempotencyHeader
) -> Response:
    """Ask for lent nodes back. The answer names them, with every run that has to go and when it is told."""

    def act(transaction: WriteTransaction) -> RecallView | Refusal:
        return service.recall(transaction, runtime, caller, name, body.asked(), body.why)

    return await perform(request, caller, key, act, recall_document, status=201)


@router.get("/sites/{name}/recalls")
def list_recalls(
    name: Slug, runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100
) -> RecallPage:
    """A site's recalls that are not over, for its operators."""
    after = read_cursor(cursor, int)
    found = answered(service.list_recalls(runtime, caller, name))
    views = [view for view in found if after is None or view.row.id > after[0]]
    following = cursor_of(views[limit - 1].row.id) if len(views) > limit else None
    return RecallPage(items=[recall_document(view) for view in views[:limit]], next_cursor=following)


@router.post("/recalls/{recall}/withdraw", response_model=RecallOut)
async def withdraw_recall(
    request: Request,
    recall: Annotated[Number, Path()],
    body: WhyIn,
    runtime: RuntimeHere,
    caller: Managing,
    key: IdempotencyHeader,
) -> Response:
    """Lend the nodes as before. Who was told to go goes."""

    def act(transaction: WriteTransaction) -> RecallView | Refusal:
        return service.withdraw_recall(transaction, runtime, caller, recall, body.why)

    return await perform(request, caller, key, act, recall_document)
