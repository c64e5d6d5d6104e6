"""Offers: what sites lend, and on which terms."""

from __future__ import annotations

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
from scheduler.api.lending_documents import Number, OfferIn, OfferOut, OfferPage, offer_document
from scheduler.api.problem import answered
from scheduler.api.schemas import Slug, WhyIn
from scheduler.model.reason import Refusal
from scheduler.service import offers as service
from scheduler.service.offers import OfferView
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["offers"])


@router.post("/offers", status_code=201, response_model=OfferOut)
async def create_offer(
    request: Request, body: OfferIn, runtime: RuntimeHere, caller: Managing, key: IdempotencyHeader
) -> Response:
    """Lend nodes of a site by offer. From its first offer on a site lends only inside offers."""

    def act(transaction: WriteTransaction) -> OfferView | Refusal:
        return service.create_offer(transaction, runtime, caller, body.spec(), body.why)

    return await perform(request, caller, key, act, offer_document, status=201)


@router.get("/offers")
def list_offers(
    runtime: RuntimeHere,
    caller: Reading,
    site: Annotated[Slug | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> OfferPage:
    """Offers of the sites that the caller operates or inspects, by number; with `site` those of one."""
    after = read_cursor(cursor, int)
    found = answered(service.list_offers(runtime, caller, site))
    views = [view for view in found if after is None or view.row.id > after[0]]
    following = cursor_of(views[limit - 1].row.id) if len(views) > limit else None
    return OfferPage(items=[offer_document(view) for view in views[:limit]], next_cursor=following)


@router.post("/offers/{offer}/close", response_model=OfferOut)
async def close_offer(
    request: Request,
    offer: Annotated[Number, Path()],
    body: WhyIn,
    runtime: RuntimeHere,
    caller: Managing,
    key: IdempotencyHeader,
) -> Response:
    """Lend no more by an offer, once its notice and minimum hold are over."""

    def act(transaction: WriteTransaction) -> OfferView | Refusal:
        return service.close_offer(transaction, runtime, caller, offer, body.why)

    return await perform(request, caller, key, act, offer_document)
