"""What rounds are told of offers, recalls and reservations is what was written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from real_postgresql import PostgreSql
from runtime import Stage, administrator_of, make_runtime, runs_now

from scheduler.clock import ManualClock
from scheduler.model.calendar import Calendar
from scheduler.model.offer import OfferSpec
from scheduler.model.reason import Refusal
from scheduler.service.lending import offer_of, recall_of, reservation_of, terms_of, terms_text
from scheduler.service.offers import OfferView, close_offer, create_offer, list_offers
from scheduler.service.recalls import RecallInput, RecallView, list_recalls, recall, withdraw_recall
from scheduler.service.reservations import (
    ReservationInput,
    ReservationView,
    list_reservations,
    reserve,
    withdraw_reservation,
)
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


def offer_row(**values: Any) -> OfferRow:
    """A row of those terms."""
    row = OfferRow(7, 2, None, terms_text(SPEC), None, 1, "minseo", 5)
    return replace(row, **values)


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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def recorded(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Stage]:
    """A stage over each of the two databases."""
    url = None
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = server.create_database()
    with make_runtime(tmp_path, clock, database_url=url) as runtime:
        yield Stage(runtime, clock)


def test_a_lender_s_day_is_the_same_on_both_databases(recorded: Stage) -> None:
    stage, runtime = recorded, recorded.runtime
    caller, agent = administrator_of(runtime), recorded.agent("company-1", nodes=3)
    terms = SPEC.model_copy(
        update={"calendar": Calendar(time_zone="UTC"), "notice_seconds": 3600, "priority_floor": None}
    )
    act = runtime.database.run
    offer = act(lambda transaction: create_offer(transaction, runtime, caller, terms, ""))
    assert isinstance(offer, OfferView) and offer.open
    made = stage.submit(stage.group(), 3, gpus_per_worker=8, checkpoint={"grace": "5m"})
    assert stage.turn() == 3
    agent.sync(*(runs_now(stage.run(job), stage.clock.now_ms()) for job in made))
    deadline_ms = stage.clock.now_ms() + 7_200_000
    asked = RecallInput(gpu_class="h100", nodes=2, by_ms=deadline_ms)
    recalled = act(lambda transaction: recall(transaction, runtime, caller, "company-1", asked, ""))
    assert isinstance(recalled, RecallView)
    assert [each.told_ms for each in recalled.departures] == [deadline_ms - 300_000] * 2
    wanted = ReservationInput(gpu_class="h100", count=1, from_ms=deadline_ms, reason="new cables")
    reserved = act(lambda transaction: reserve(transaction, runtime, caller, "company-1", wanted))
    assert isinstance(reserved, ReservationView)
    assert {*reserved.nodes, *recalled.nodes} == {f"company-1-{number}" for number in range(3)}
    assert list_recalls(runtime, caller, "company-1") == [recalled]
    assert list_reservations(runtime, caller, "company-1") == [reserved]
    assert list_offers(runtime, caller, "company-1") == [offer]
    for end in (
        lambda transaction: withdraw_recall(transaction, runtime, caller, recalled.row.id, ""),
        lambda transaction: withdraw_reservation(transaction, runtime, caller, reserved.row.id, ""),
        lambda transaction: close_offer(transaction, runtime, caller, offer.row.id, ""),
    ):
        assert not isinstance(act(end), Refusal)
        assert isinstance(act(end), Refusal)
    assert list_recalls(runtime, caller, "company-1") == list_reservations(runtime, caller, "company-1") == []
