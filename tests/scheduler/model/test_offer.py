"""Offers: what is read, what is refused, whom they let in, and when they lend."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scheduler.model.ids import GroupId, OfferId, SiteId
from scheduler.model.offer import Borrower, Offer, OfferSpec, OfferState, Sector, parse_rate
from scheduler.model.shape import DataClass

SMALLEST: dict[str, Any] = {"site": "sejong", "gpu_class": "h100", "nodes": 4, "notice": "1h"}
FULL = SMALLEST | {
    "calendar": {"time_zone": "Asia/Seoul", "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}]},
    "sectors": ["research", "public"],
    "data_classes": ["O", "S"],
    "minimum_hold": "30m",
    "rate": "5/4",
    "priority_floor": "normal",
    "group": "partner.sejong",
}
RESEARCHER = Borrower(sector=Sector.RESEARCH, data_class=DataClass.OPEN, priority=0, groups=frozenset())


def read(document: dict[str, Any]) -> Offer:
    return OfferSpec.model_validate(document).offer(OfferId(7), SiteId(2), GroupId(3))


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_the_smallest_offer_lends_to_everybody_all_the_time() -> None:
    smallest = read(SMALLEST)
    assert (smallest.id, smallest.site, smallest.nodes, smallest.notice_seconds) == (7, 2, 4, 3600)
    assert (smallest.minimum_hold_seconds, smallest.rate, smallest.priority_floor) == (0, None, None)
    assert list(smallest.spells(0)) == [(0, None)]
    assert smallest.why_not_lent(replace(RESEARCHER, priority=-100, data_class=DataClass.CLASSIFIED)) is None


def test_a_full_offer_reads_as_written() -> None:
    full = read(FULL)
    assert (full.sectors, full.data_classes) == (
        (Sector.RESEARCH, Sector.PUBLIC),
        (DataClass.OPEN, DataClass.SENSITIVE),
    )
    assert (full.minimum_hold_seconds, full.rate, full.priority_floor, full.group) == (1800, Fraction(5, 4), 0, 3)


@pytest.mark.parametrize(
    ("change", "term"),
    [
        ({}, None),
        ({"sector": Sector.STARTUP}, "sector"),
        ({"data_class": DataClass.CLASSIFIED}, "data_class"),
        ({"priority": -100}, "priority"),
        ({"sector": Sector.STARTUP, "priority": -100}, "sector"),
    ],
)
def test_an_offer_names_the_first_term_that_keeps_somebody_out(change: dict[str, Any], term: str | None) -> None:
    assert read(FULL).why_not_lent(replace(RESEARCHER, **change)) == term


def test_a_closed_offer_lends_until_its_closing_takes_effect() -> None:
    closes_ms = utc_ms("2026-11-03T15:00")
    closed = replace(read(FULL), closes_ms=closes_ms)
    assert (closed.state(closes_ms - 1), closed.state(closes_ms)) == (OfferState.OPEN, OfferState.CLOSED)
    assert list(closed.spells(utc_ms("2026-11-03T00:00"))) == [(utc_ms("2026-11-03T10:00"), closes_ms)]
    assert list(replace(read(SMALLEST), closes_ms=closes_ms).spells(0)) == [(0, closes_ms)]
    assert list(closed.spells(closes_ms)) == []


def test_a_recall_leaves_its_notice_and_every_run_its_minimum_hold() -> None:
    full = read(FULL)
    assert full.recall_earliest_ms(1000, None) == 3_601_000
    assert full.recall_earliest_ms(1000, 0) == 3_601_000
    assert full.recall_earliest_ms(1000, 3_000_000) == 4_800_000
    assert read(SMALLEST | {"notice": "none"}).recall_earliest_ms(1000, None) is None
    assert read(SMALLEST | {"notice": 0}).recall_earliest_ms(1000, None) == 1000


@pytest.mark.parametrize("document", [SMALLEST, FULL, SMALLEST | {"notice": None}])
def test_an_offer_comes_back_from_its_own_json(document: dict[str, Any]) -> None:
    spec = OfferSpec.model_validate(document)
    assert OfferSpec.model_validate_json(spec.model_dump_json(by_alias=True)) == spec


@pytest.mark.parametrize(
    ("written", "exact"),
    [(2, "2"), (1.25, "5/4"), (0.1, "1/10"), ("1.25", "5/4"), ("2/3", "2/3"), (Fraction(7, 9), "7/9"), ("0", "0")],
)
def test_a_rate_is_exactly_what_is_written(written: object, exact: str) -> None:
    assert parse_rate(written) == Fraction(exact)


@pytest.mark.parametrize(
    "written", ["1e9", "1/0", "-1", "", "free", 1e-9, float("inf"), True, None, "1" * 99, 2_000_000]
)
def test_what_is_no_rate_is_refused_with_the_mend(written: object) -> None:
    with pytest.raises(ValueError, match="5/4"):
        parse_rate(written)


@pytest.mark.parametrize(
    ("change", "place", "mend"),
    [
        ({"nodes": 0}, ("nodes",), "greater than or equal to 1"),
        ({"notice": "soon"}, ("notice",), "1h30m"),
        ({"notice": -1}, ("notice",), "greater than or equal to 0"),
        ({"notice": "91d"}, ("notice",), "less than or equal to"),
        ({"minimum_hold": "soon"}, ("minimum_hold",), "1h30m"),
        ({"rate": "much"}, ("rate",), "5/4"),
        ({"sectors": ["research", "research"]}, ("sectors",), "each once"),
        ({"sectors": ["private"]}, ("sectors", 0), "'startup'"),
        ({"data_classes": ["X"]}, ("data_classes", 0), "'O'"),
        ({"priority_floor": "urgent"}, ("priority_floor",), "normal"),
        ({"group": "Partner/Sejong"}, ("group",), "pattern"),
        ({"calendar": {"windows": []}}, ("calendar", "time_zone"), "required"),
        ({"calendar": {"time_zone": "UTC", "windows": [{"days": "x"}]}}, ("calendar", "windows", 0, "days"), "mon-fri"),
        ({"price": 1}, ("price",), "Extra inputs"),
    ],
)
def test_a_refusal_names_the_field_and_the_mend(change: dict[str, Any], place: tuple[object, ...], mend: str) -> None:
    with pytest.raises(ValidationError) as refused:
        OfferSpec.model_validate(SMALLEST | change)
    told = {error["loc"]: error["msg"] for error in refused.value.errors()}
    assert mend in told[place]


def test_an_offer_has_to_say_what_notice_a_recall_gives() -> None:
    with pytest.raises(ValidationError) as refused:
        OfferSpec.model_validate({name: value for name, value in SMALLEST.items() if name != "notice"})
    assert [error["loc"] for error in refused.value.errors()] == [("notice",)]


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = sorted(field.alias or name for name, field in OfferSpec.model_fields.items())


@given(st.dictionaries(st.sampled_from(_FIELDS), _anything))
def test_any_document_is_read_or_refused_by_name(document: dict[str, Any]) -> None:
    try:
        OfferSpec.model_validate(SMALLEST | document)
    except ValidationError as refused:
        assert all(error["loc"] for error in refused.errors())


def test_the_published_schema_names_every_field() -> None:
    assert sorted(OfferSpec.model_json_schema(by_alias=True)["properties"]) == _FIELDS
