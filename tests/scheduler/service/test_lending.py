"""What rounds are told of offers, recalls and reservations is what was written down."""

from __future__ import annotations

from dataclasses import replace

from scheduler.model.offer import OfferSpec
from scheduler.service.lending import offer_of, recall_of, reservation_of, terms_of, terms_text
from scheduler.store.offers import OfferRow
from scheduler.store.recalls import RecallRow
from scheduler.store.reservations import ReservationRow

SPEC = OfferSpec.model_validate(
    {
        "site": "company-1",
        "gpu_class": "h100",
        "nodes": 4,
        "notice": "none",
        "minimum_hold": "30m",
        "rate": "5/4",
        "priority_floor": "high",
        "sectors": ["research"],
        "data_classes": ["O"],
        "calendar": {
            "time_zone": "Asia/Seoul",
            "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}],
            "blackouts": ["2026-12-24"],
            "valid_from": "2026-11-01",
            "valid_until": "2027-03-31T18:00",
        },
    }
)


def offer_row(**values: int | None) -> OfferRow:
    """A row of those terms."""
    row = OfferRow(7, 2, None, terms_text(SPEC), None, 1, "minseo", 5)
    return replace(row, **values)  # type: ignore[arg-type]


def test_terms_come_back_as_they_were_written() -> None:
    assert terms_of(offer_row()) == SPEC
    assert terms_text(terms_of(offer_row())) == terms_text(SPEC)


def test_an_offer_is_told_with_its_number_its_site_its_group_and_when_it_closes() -> None:
    offer = offer_of(offer_row(group_id=9, closes_ms=77))
    assert (offer.id, offer.site, offer.group, offer.closes_ms) == (7, 2, 9, 77)
    assert (offer.nodes, offer.notice_seconds, offer.minimum_hold_seconds) == (4, None, 1800)
    assert offer.calendar == SPEC.calendar
    assert offer_of(offer_row()).closes_ms is None


def test_a_recall_is_told_with_the_nodes_that_were_chosen() -> None:
    recall = recall_of(RecallRow(1, 2, "h100", 2, [3, 4], 10, 20, 30, None, "minseo", 5))
    assert (recall.site, recall.gpu_class, recall.nodes, recall.node_ids) == (2, "h100", 2, {3, 4})
    assert (recall.asked_ms, recall.by_ms, recall.until_ms) == (10, 20, 30)


def test_a_reservation_is_told_with_its_nodes_and_its_time() -> None:
    reservation = reservation_of(ReservationRow(1, 2, "h100", [3, 4], 10, 20, "cables", 1, None, "minseo", 5))
    assert (reservation.site, reservation.gpu_class, reservation.node_ids) == (2, "h100", {3, 4})
    assert (reservation.from_ms, reservation.to_ms, reservation.reason) == (10, 20, "cables")
    assert reservation.group is None and reservation.nodes is None
