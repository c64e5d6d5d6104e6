"""Nodes of a site: what speaks against them, set aside and given back."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

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
from scheduler.api.documents import reason_document
from scheduler.api.lending_documents import NodeName
from scheduler.api.problem import answered
from scheduler.api.schemas import Slug, WhyIn
from scheduler.api.site_schemas import AsideOut, NodeOut, NodePage
from scheduler.model.reason import Reason, ReasonCode, Refusal
from scheduler.service import site_nodes as service
from scheduler.service.site_nodes import NodeView
from scheduler.service.time_text import time_text
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["sites"])


class Action(StrEnum):
    """What an operator does with a node."""

    SET_ASIDE = "set-aside"
    RETURN = "return"


_ACTS: dict[Action, Callable[..., NodeView | Refusal]] = {
    Action.SET_ASIDE: service.set_node_aside,
    Action.RETURN: service.return_node,
}


def node_document(view: NodeView) -> NodeOut:
    """A node as its operators see it."""
    row, how = view.row, view.standing
    aside = None
    if row.aside_ms is not None and row.aside_reason is not None:
        reason = Reason(code=ReasonCode(row.aside_reason["code"]), numbers=row.aside_reason["numbers"])
        aside = AsideOut(since=time_text(row.aside_ms), by=row.aside_by or "", reason=reason_document(reason))
    return NodeOut(
        name=row.name,
        pool=row.pool,
        gpu_class=row.gpu_class,
        gpus=row.gpus,
        healthy=row.healthy,
        spare=view.spare,
        failures=how.failures,
        incidents=how.incidents,
        people=how.people,
        set_aside=aside,
    )


@router.get("/sites/{name}/nodes")
def list_nodes(
    name: Slug,
    runtime: RuntimeHere,
    caller: Reading,
    aside: Annotated[bool, Query(description="Only those that are set aside.")] = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> NodePage:
    """A site's nodes, for its operators, and what failed on them within a day."""
    after = read_cursor(cursor, str)
    found = answered(service.list_nodes(runtime, caller, name, aside=aside))
    views = [view for view in found if after is None or view.row.name > after[0]]
    following = cursor_of(views[limit - 1].row.name) if len(views) > limit else None
    return NodePage(items=[node_document(view) for view in views[:limit]], next_cursor=following)


@router.post("/sites/{name}/nodes/{node}/{action}", response_model=NodeOut)
async def act_on_node(
    request: Request,
    name: Slug,
    node: Annotated[NodeName, Path()],
    action: Action,
    body: WhyIn,
    runtime: RuntimeHere,
    caller: Managing,
    key: IdempotencyHeader,
) -> Response:
    """Set a node aside, so that nothing starts there, or have it take work again."""

    def act(transaction: WriteTransaction) -> NodeView | Refusal:
        return _ACTS[action](transaction, runtime, caller, name, node, body.why)

    return await perform(request, caller, key, act, node_document)
