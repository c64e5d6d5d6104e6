"""Reservations: nodes of a site set aside for maintenance, or for a group."""

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
from scheduler.api.lending_documents import Number, ReservationIn, ReservationOut, ReservationPage, reservation_document
from scheduler.api.problem import answered
from scheduler.api.schemas import Slug, WhyIn
from scheduler.model.reason import Refusal
from scheduler.service import reservations as service
from scheduler.service.reservations import ReservationView
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["sites"])


@router.post("/sites/{name}/reservations", status_code=201, response_model=ReservationOut)
async def reserve(
    request: Request, name: Slug, body: ReservationIn, runtime: RuntimeHere, caller: Managing, key: IdempotencyHeader
) -> Response:
    """Set nodes aside: for a time nothing runs on them, or the work of one group alone. Others' runs are told to go in time for
    their grace."""

    def act(transaction: WriteTransaction) -> ReservationView | Refusal:
        return service.reserve(transaction, runtime, caller, name, body.asked())

    return await perform(request, caller, key, act, reservation_document, status=201)


@router.get("/sites/{name}/reservations")
def list_reservations(
    name: Slug, runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100
) -> ReservationPage:
    """A site's reservations that are not over, for its operators."""
    after = read_cursor(cursor, int)
    found = answered(service.list_reservations(runtime, caller, name))
    views = [view for view in found if after is None or view.row.id > after[0]]
    following = cursor_of(views[limit - 1].row.id) if len(views) > limit else None
    return ReservationPage(items=[reservation_document(view) for view in views[:limit]], next_cursor=following)


@router.post("/reservations/{reservation}/withdraw", response_model=ReservationOut)
async def withdraw_reservation(
    request: Request,
    reservation: Annotated[Number, Path()],
    body: WhyIn,
    runtime: RuntimeHere,
    caller: Managing,
    key: IdempotencyHeader,
) -> Response:
    """Have the nodes take work again. Who was told to go goes."""

    def act(transaction: WriteTransaction) -> ReservationView | Refusal:
        return service.withdraw_reservation(transaction, runtime, caller, reservation, body.why)

    return await perform(request, caller, key, act, reservation_document)
