"""Offers, recalls and reservations: from rows to what rounds know of them."""

from __future__ import annotations

from dataclasses import replace

from scheduler.model.ids import GroupId, NodeId, OfferId, SiteId
from scheduler.model.offer import Offer, OfferSpec
from scheduler.model.recall import Recall, Reservation
from scheduler.store.offers import OfferRow
from scheduler.store.recalls import RecallRow
from scheduler.store.reservations import ReservationRow


def terms_text(spec: OfferSpec) -> str:
    """An offer's terms as rows keep them: canonical JSON, so that equal terms are equal texts."""
    return spec.model_dump_json(by_alias=True, exclude_defaults=True)


def terms_of(row: OfferRow) -> OfferSpec:
    """What ``terms_text`` wrote. Its names of site and group are those of the day on which it was made."""
    return OfferSpec.model_validate_json(row.terms)


def offer_of(row: OfferRow) -> Offer:
    """An offer as rounds see it."""
    group = None if row.group_id is None else GroupId(row.group_id)
    offer = terms_of(row).offer(OfferId(row.id), SiteId(row.site_id), group)
    return replace(offer, closes_ms=row.closes_ms)


def recall_of(row: RecallRow) -> Recall:
    """A recall as rounds see it."""
    return Recall(
        site=SiteId(row.site_id),
        gpu_class=row.gpu_class,
        nodes=row.nodes,
        by_ms=row.by_ms,
        asked_ms=row.asked_ms,
        until_ms=row.until_ms,
        node_ids=frozenset(map(NodeId, row.node_ids)),
    )


def reservation_of(row: ReservationRow) -> Reservation:
    """A reservation as rounds see it: its nodes are chosen already."""
    return Reservation(
        site=SiteId(row.site_id),
        from_ms=row.from_ms,
        to_ms=row.to_ms,
        reason=row.reason,
        gpu_class=row.gpu_class,
        node_ids=frozenset(map(NodeId, row.node_ids)),
        group=None if row.group_id is None else GroupId(row.group_id),
    )
