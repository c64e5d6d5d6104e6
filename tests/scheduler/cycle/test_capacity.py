"""Effective capacity, against terms that are read anew at every hour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.capacity import DropCause, EffectiveCapacity, Lending, effective_capacity
from scheduler.model.calendar import Calendar, is_open
from scheduler.model.ids import GroupId, NodeId, OfferId, SiteId
from scheduler.model.offer import Borrower, Offer, Sector
from scheduler.model.recall import Recall, Reservation
from scheduler.model.shape import DataClass

HOUR_MS = 3_600_000
NOW_MS = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) * 1000
HORIZON_HOURS, HOURS = 60, 12 * 24
SITE, OTHER = SiteId(1), SiteId(2)
OPEN_ENDED = Calendar(time_zone="UTC")
CALENDARS = [
    OPEN_ENDED,
    Calendar.model_validate(
        {"time_zone": "Asia/Seoul", "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}]}
    ),
    Calendar.model_validate({"time_zone": "UTC", "windows": [{"days": "sat-sun"}, {"days": "tue", "from": "06:00"}]}),
    Calendar.model_validate({"time_zone": "UTC", "valid_until": "2026-11-08", "blackouts": ["2026-11-03"]}),
    Calendar.model_validate({"time_zone": "UTC", "valid_from": "2026-11-04"}),
]


def at_hour(hour: int) -> int:
    return NOW_MS + hour * HOUR_MS


def offer(**terms: Any) -> Offer:
    given = {
        "id": OfferId(1),
        "site": SITE,
        "gpu_class": "h100",
        "nodes": 4,
        "calendar": OPEN_ENDED,
        "notice_seconds": 3600,
    }
    return Offer(**(given | terms))


@dataclass(frozen=True)
class Terms:
    healthy: frozenset[NodeId]
    offers: list[Offer]
    recalls: list[Recall]
    reservations: list[Reservation]
    borrower: Borrower | None


def capacity(terms: Terms, gpu_class: str = "h100") -> EffectiveCapacity:
    lendings = [Lending.of(each, NOW_MS, at_hour(HORIZON_HOURS)) for each in terms.offers]
    return effective_capacity(
        SITE, gpu_class, terms.healthy, lendings, terms.recalls, terms.reservations,
        borrower=terms.borrower, now_ms=NOW_MS,
    )  # fmt: skip


def admitted(terms: Terms) -> list[Offer]:
    borrower = terms.borrower
    return [
        each
        for each in terms.offers
        if (each.site, each.gpu_class) == (SITE, "h100")
        and (
            borrower is None
            or (
                (not each.sectors or borrower.sector in each.sectors)
                and (not each.data_classes or borrower.data_class in each.data_classes)
                and (each.priority_floor is None or borrower.priority >= each.priority_floor)
            )
        )
    ]


def lends(each: Offer, at_ms: int) -> bool:
    return is_open(each.calendar, at_ms) and (each.closes_ms is None or at_ms < each.closes_ms)


def parts_at(terms: Terms, at_ms: int) -> dict[str, int]:
    """The oracle: what is there, offered, recalled and reserved at one moment."""
    count = len(terms.healthy)
    maintained, kept, out, reserved = 0, 0, set[NodeId](), set[NodeId]()
    for each in terms.reservations:
        begun = each.from_ms <= at_ms and (each.to_ms is None or at_ms < each.to_ms)
        own = each.group is not None and (terms.borrower is None or each.group in terms.borrower.groups)
        if not begun or own or each.site != SITE or each.gpu_class not in (None, "h100"):
            continue
        nodes = 0 if each.node_ids else count if each.nodes is None else each.nodes
        if each.group is None:
            maintained, out = maintained + nodes, out | (each.node_ids & terms.healthy)
        else:
            kept, reserved = kept + nodes, reserved | (each.node_ids & terms.healthy)
    lends_by_offer = any(each.site == SITE for each in terms.offers)
    offered = sum(each.nodes for each in admitted(terms) if lends(each, at_ms))
    recalled = sum(
        each.nodes
        for each in terms.recalls
        if (each.site, each.gpu_class) == (SITE, "h100")
        and each.by_ms <= at_ms
        and (each.until_ms is None or at_ms < each.until_ms)
    )
    return {
        "present": count - maintained - len(out),
        "offered": offered if lends_by_offer else count,
        "recalled": recalled,
        "reserved": kept + len(reserved - out),
    }


def lent(parts: dict[str, int]) -> int:
    return max(0, min(parts["present"], parts["offered"]) - parts["recalled"] - parts["reserved"])


def firm_at(terms: Terms, hour: int) -> int:
    """Nodes of offers that nobody recalls and that lend at every hour from this one on, as far as they are lent."""
    if any(each.site == SITE for each in terms.offers):
        endless = [
            each.nodes
            for each in admitted(terms)
            if each.notice_seconds is None and all(lends(each, at_hour(later)) for later in range(hour, HOURS))
        ]
        return min(sum(endless), lent(parts_at(terms, at_hour(hour))))
    return lent(parts_at(terms, at_hour(hour)))


SITES = st.sampled_from([SITE] * 6 + [OTHER])
CLASSES = st.sampled_from(["h100"] * 6 + ["a100"])
BEGINS = st.integers(-5, 100).map(at_hour)
NODE_IDS = st.frozensets(st.integers(1, 12).map(NodeId), max_size=6)
GROUPS = st.sampled_from([None, GroupId(5), GroupId(6)])


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    return offer(
        site=draw(SITES),
        gpu_class=draw(CLASSES),
        nodes=draw(st.integers(1, 6)),
        calendar=draw(st.sampled_from([OPEN_ENDED, *CALENDARS])),
        sectors=draw(st.sampled_from([(), (Sector.RESEARCH,), (Sector.PUBLIC, Sector.STARTUP)])),
        data_classes=draw(st.sampled_from([(), (DataClass.OPEN,)])),
        priority_floor=draw(st.sampled_from([None, 0])),
        notice_seconds=draw(st.sampled_from([None, 0, 3600])),
        closes_ms=draw(st.none() | st.none() | BEGINS),
    )


@st.composite
def recalls(draw: st.DrawFn) -> Recall:
    by_ms = draw(BEGINS)
    until_ms = draw(st.none() | st.integers(1, 50).map(lambda hours: by_ms + hours * HOUR_MS))
    nodes = draw(st.integers(1, 3))
    return Recall(
        site=draw(SITES), gpu_class=draw(CLASSES), nodes=nodes, by_ms=by_ms, asked_ms=by_ms, until_ms=until_ms
    )


@st.composite
def reservations(draw: st.DrawFn) -> Reservation:
    from_ms = draw(BEGINS)
    counted = draw(st.none() | st.integers(1, 3))
    return Reservation(
        site=draw(SITES),
        from_ms=from_ms,
        to_ms=draw(st.none() | st.integers(1, 50).map(lambda hours: from_ms + hours * HOUR_MS)),
        reason="new cables",
        gpu_class=draw(CLASSES) if counted else draw(st.none() | CLASSES),
        nodes=counted,
        node_ids=frozenset() if counted else draw(NODE_IDS),
        group=draw(GROUPS),
    )


BORROWERS = st.none() | st.builds(
    Borrower,
    sector=st.sampled_from(Sector),
    data_class=st.sampled_from(DataClass),
    priority=st.sampled_from([-100, 0]),
    groups=st.frozensets(st.sampled_from([GroupId(5), GroupId(6)])),
)
TERMS = st.builds(
    Terms,
    healthy=st.frozensets(st.integers(1, 10).map(NodeId), min_size=3, max_size=10),
    offers=st.lists(offers(), max_size=3),
    recalls=st.lists(recalls(), max_size=2),
    reservations=st.lists(reservations(), max_size=3),
    borrower=BORROWERS,
)


@given(TERMS)
def test_until_the_horizon_it_is_what_the_terms_say_at_every_hour_and_later_never_more(terms: Terms) -> None:
    known = capacity(terms)
    truth = [lent(parts_at(terms, at_hour(hour))) for hour in range(HOURS)]
    found = [known.nodes.at(at_hour(hour)) for hour in range(HOURS)]
    assert found[:HORIZON_HOURS] == truth[:HORIZON_HOURS]
    assert all(less <= true for less, true in zip(found, truth, strict=True))


@given(TERMS)
def test_firm_nodes_are_those_that_nobody_may_take_back(terms: Terms) -> None:
    known = capacity(terms)
    for hour in range(0, HORIZON_HOURS, 5):
        assert known.firm.at(at_hour(hour)) == firm_at(terms, hour)


@given(TERMS)
def test_every_drop_is_told_with_a_cause_that_alone_suffices(terms: Terms) -> None:
    known = capacity(terms)
    drops = {each.at_ms: each for each in known.drops(NOW_MS) if each.at_ms < at_hour(HORIZON_HOURS)}
    part_of = dict(zip(DropCause, ("recalled", "reserved", "present", "offered"), strict=True))
    for hour in range(1, HORIZON_HOURS):
        before, after = parts_at(terms, at_hour(hour - 1)), parts_at(terms, at_hour(hour))
        drop = drops.pop(at_hour(hour), None)
        if lent(after) >= lent(before):
            assert drop is None
            continue
        sufficient = [cause for cause, part in part_of.items() if lent(before | {part: after[part]}) < lent(before)]
        assert drop is not None
        assert (drop.nodes_after, drop.cause) == (lent(after), sufficient[0])
    assert not drops


NOTHING = Terms(frozenset(NodeId(each) for each in range(10)), [], [], [], None)


def test_a_site_without_offers_lends_what_it_has() -> None:
    known = capacity(NOTHING)
    assert (known.nodes.at(NOW_MS), known.firm.at(NOW_MS), known.notice_seconds(NOW_MS)) == (10, 10, None)


def test_a_site_with_one_offer_lends_only_inside_it_even_when_the_offer_is_closed_or_of_another_class() -> None:
    assert capacity(replace(NOTHING, offers=[offer(nodes=4)])).nodes.at(NOW_MS) == 4
    assert capacity(replace(NOTHING, offers=[offer(closes_ms=NOW_MS)])).nodes.at(NOW_MS) == 0
    assert capacity(replace(NOTHING, offers=[offer(gpu_class="a100")])).nodes.at(NOW_MS) == 0
    assert capacity(replace(NOTHING, offers=[offer(site=OTHER)])).nodes.at(NOW_MS) == 10


def test_a_recall_brings_working_nodes_even_where_more_is_offered_than_works() -> None:
    recall = Recall(site=SITE, gpu_class="h100", nodes=3, by_ms=at_hour(5), asked_ms=NOW_MS)
    known = capacity(replace(NOTHING, offers=[offer(nodes=20)], recalls=[recall]))
    assert (known.nodes.at(at_hour(4)), known.nodes.at(at_hour(5))) == (10, 7)


def test_nodes_reserved_for_a_group_are_there_for_it_and_for_nobody_else() -> None:
    kept = Reservation(
        site=SITE, from_ms=NOW_MS, to_ms=None, reason="a deadline", gpu_class="h100", nodes=4, group=GroupId(5)
    )

    def lent_to(group: int) -> int:
        groups = frozenset({GroupId(1), GroupId(group)})
        borrower = Borrower(sector=Sector.RESEARCH, data_class=DataClass.OPEN, priority=0, groups=groups)
        return capacity(replace(NOTHING, reservations=[kept], borrower=borrower)).nodes.at(NOW_MS)

    assert (lent_to(5), lent_to(6)) == (10, 6)
    assert capacity(replace(NOTHING, reservations=[kept])).nodes.at(NOW_MS) == 10


def test_nodes_that_may_be_recalled_are_not_firm() -> None:
    mixed = [offer(nodes=3, notice_seconds=None), offer(nodes=4, notice_seconds=86_400)]
    known = capacity(replace(NOTHING, offers=mixed))
    assert (known.nodes.at(NOW_MS), known.firm.at(NOW_MS)) == (7, 3)


def test_a_node_that_two_reservations_name_is_missing_once() -> None:
    twice = [
        Reservation(
            site=SITE, from_ms=at_hour(begin), to_ms=at_hour(end), reason="new cables", node_ids=frozenset({NodeId(3)})
        )
        for begin, end in ((2, 6), (4, 8))
    ]
    known = capacity(replace(NOTHING, reservations=twice))
    assert [known.nodes.at(at_hour(hour)) for hour in range(1, 9)] == [10, 9, 9, 9, 9, 9, 9, 10]


def test_a_maintenance_of_nodes_that_nobody_would_miss_is_not_blamed_for_the_end_of_a_window() -> None:
    closing = offer(nodes=5, closes_ms=at_hour(3))
    spare = Reservation(site=SITE, from_ms=at_hour(3), to_ms=None, reason="new cables", gpu_class="h100", nodes=2)
    (drop,) = capacity(replace(NOTHING, offers=[closing], reservations=[spare])).drops(NOW_MS)
    assert (drop.at_ms, drop.nodes_after, drop.cause) == (at_hour(3), 0, DropCause.WINDOW_ENDS)


def test_an_offer_that_ends_long_after_the_horizon_is_known_to_end() -> None:
    late = Calendar.model_validate({"time_zone": "UTC", "valid_until": "2028-02-29"})
    (drop,) = capacity(replace(NOTHING, offers=[offer(calendar=late, notice_seconds=None)])).drops(NOW_MS)
    assert drop.at_ms == int(datetime(2028, 3, 1, tzinfo=UTC).timestamp()) * 1000
    assert drop.cause is DropCause.WINDOW_ENDS


def test_the_shortest_notice_and_the_longest_hold_of_what_is_open_count() -> None:
    mixed = [
        offer(notice_seconds=None, minimum_hold_seconds=60),
        offer(notice_seconds=7200, minimum_hold_seconds=30),
        offer(notice_seconds=3600, minimum_hold_seconds=10),
        offer(notice_seconds=0, minimum_hold_seconds=900, calendar=CALENDARS[4]),
    ]
    known = capacity(replace(NOTHING, offers=mixed))
    assert (known.notice_seconds(NOW_MS), known.minimum_hold_ms(NOW_MS)) == (3600, 60_000)
    assert (known.notice_seconds(at_hour(48)), known.minimum_hold_ms(at_hour(48))) == (0, 900_000)
