"""Which nodes a site lends: as many as the formula of effective capacity says, none beyond its terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from federations import node_of
from hypothesis import given
from hypothesis import strategies as st
from lendings import CALENDARS, HOUR_MS, NOW_MS, offer_of, offers, recalls, reservations

from scheduler.cycle.capacity import Lending, effective_capacity
from scheduler.cycle.lent import Guest, LentNodes, lend
from scheduler.cycle.stay import NEVER_MS, PLAIN, Terms
from scheduler.model.ids import GroupId, NodeId, SiteId
from scheduler.model.offer import Offer, Sector
from scheduler.model.recall import Recall, Reservation
from scheduler.model.shape import DataClass
from scheduler.model.site import Node

NODES = tuple(node_of(number, 8) for number in range(1, 9))
GUEST = Guest(sector=Sector.RESEARCH, data_class=DataClass.OPEN, priority=0, preemptible=True, end_ms=NEVER_MS)
GUESTS = st.builds(
    Guest,
    sector=st.sampled_from((Sector.RESEARCH, Sector.PUBLIC, None)),
    data_class=st.sampled_from((DataClass.OPEN, DataClass.SENSITIVE)),
    priority=st.sampled_from((-100, 0, 100)),
    preemptible=st.booleans(),
    end_ms=st.sampled_from((NOW_MS + HOUR_MS, NOW_MS + 8 * HOUR_MS, NEVER_MS)),
    saves=st.booleans(),
)
HELD = st.dictionaries(st.sampled_from([node.id for node in NODES]), st.lists(GUESTS, min_size=1, max_size=2))
HERE = {node.id: (node.site_id, node.gpu_class) for node in NODES}


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Node], list[Offer], list[Recall], list[Reservation]]:
    nodes = [replace(node, healthy=draw(st.sampled_from((True, True, False)))) for node in NODES]
    given = draw(offers(classes=("h100",), sites=(1,)))
    # A recall takes what was offered at its time; what is recalled of nothing is another matter.
    recalled = draw(recalls(HERE)) if given else []
    return nodes, given, recalled, draw(reservations(HERE))


def lent(
    nodes: Sequence[Node],
    held: dict[NodeId, list[Guest]],
    offers: list[Offer],
    recalls: list[Recall],
    reservations: list[Reservation],
) -> LentNodes:
    return lend(nodes, held, offers, recalls, reservations, NOW_MS)


@given(scenes(), HELD)
def test_as_many_nodes_are_lent_as_the_formula_says(
    scene: tuple[list[Node], list[Offer], list[Recall], list[Reservation]], held: dict[NodeId, list[Guest]]
) -> None:
    nodes, given, recalled, reserved = scene
    healthy = {node.id for node in nodes if node.healthy}
    away = {
        node
        for each in reserved
        if each.from_ms <= NOW_MS and (each.to_ms or NEVER_MS) > NOW_MS
        for node in each.node_ids
    }
    # The formula takes recalled nodes to be well and in nobody else's hands.
    recalled = [
        replace(each, nodes=len(of), node_ids=frozenset(of))
        for each in recalled
        if (of := each.node_ids & (healthy - away))
    ]
    lendings = [Lending.of(each, NOW_MS, NOW_MS + 48 * HOUR_MS) for each in given]
    capacity = effective_capacity(
        SiteId(1), "h100", healthy, lendings, recalled, reserved, borrower=None, now_ms=NOW_MS
    )
    assert len(lent(nodes, held, given, recalled, reserved).nodes) == capacity.nodes.at(NOW_MS)


@given(scenes(), HELD)
def test_no_offer_lends_more_than_it_says_and_none_while_its_window_is_shut(
    scene: tuple[list[Node], list[Offer], list[Recall], list[Reservation]], held: dict[NodeId, list[Guest]]
) -> None:
    nodes, given, recalled, reserved = scene
    found = lent(nodes, held, given, recalled, reserved).nodes
    most: Counter[Terms] = Counter()
    for each in given:
        spell = next(each.spells(NOW_MS), None)
        if spell is not None and spell[0] <= NOW_MS:
            most[Terms.of(each, endless=spell[1] is None)] += each.nodes
    if not given:
        most[PLAIN] = len(nodes)
    used = Counter(each.terms for each in found.values())
    assert all(count <= most[terms] for terms, count in used.items())
    assert all(each.until_ms > NOW_MS for each in found.values())
    taken = {node for each in recalled if each.by_ms <= NOW_MS < (each.until_ms or NEVER_MS) for node in each.node_ids}
    assert not taken & found.keys()
    assert all(node.healthy for node in nodes if node.id in found)


@given(scenes(), HELD)
def test_nothing_changes_before_it_is_said_to(
    scene: tuple[list[Node], list[Offer], list[Recall], list[Reservation]], held: dict[NodeId, list[Guest]]
) -> None:
    nodes, given, recalled, reserved = scene
    first = lent(nodes, held, given, recalled, reserved)
    for at_ms in (NOW_MS + 1, NOW_MS + HOUR_MS - 1, NOW_MS + HOUR_MS, NOW_MS + 9 * HOUR_MS):
        if at_ms < first.changes_ms:
            assert lend(nodes, held, given, recalled, reserved, at_ms) == first


def test_a_longer_run_keeps_its_node_with_the_offer_that_lasts() -> None:
    ends, endless = offer_of(1, nodes=1, calendar=CALENDARS[1]), offer_of(2, nodes=1)
    short = replace(GUEST, end_ms=NOW_MS + HOUR_MS)
    found = lent(NODES[:2], {NodeId(1): [short], NodeId(2): [GUEST]}, [ends, endless], [], []).nodes
    assert found[NodeId(2)].until_ms == NEVER_MS
    assert found[NodeId(1)].until_ms == NOW_MS + 2 * HOUR_MS  # 14:00 in Seoul


def test_a_run_that_cannot_save_its_state_has_the_offer_that_lasts_before_a_longer_one_that_can() -> None:
    terms = [offer_of(1, nodes=1, calendar=CALENDARS[3]), offer_of(2, nodes=1)]
    runs = {
        NodeId(1): [GUEST],
        NodeId(2): [replace(GUEST, saves=False, end_ms=NOW_MS + 48 * HOUR_MS), replace(GUEST, end_ms=NOW_MS + HOUR_MS)],
    }
    found = lent(NODES, runs, terms, [], [])
    assert found.nodes[NodeId(2)].until_ms == NEVER_MS
    assert found.nodes[NodeId(1)].until_ms < NOW_MS + 48 * HOUR_MS


def test_a_short_run_leaves_the_offer_that_lasts_to_others() -> None:
    endless, ends = offer_of(1, nodes=1), offer_of(2, nodes=1, calendar=CALENDARS[1])
    short = replace(GUEST, end_ms=NOW_MS + HOUR_MS)
    found = lent(NODES[:2], {NodeId(1): [short]}, [endless, ends], [], []).nodes
    assert [found[NodeId(number)].until_ms for number in (1, 2)] == [NOW_MS + 2 * HOUR_MS, NEVER_MS]


def test_a_run_stays_with_an_offer_that_lets_it_in_and_leaves_the_others_free() -> None:
    strict, open_to_all = offer_of(1, nodes=1, sectors=(Sector.PUBLIC,)), offer_of(2, nodes=1)
    found = lent(NODES[:2], {NodeId(1): [GUEST]}, [strict, open_to_all], [], []).nodes
    assert found[NodeId(1)].terms == PLAIN or not found[NodeId(1)].terms.sectors
    assert found[NodeId(2)].terms.sectors == {Sector.PUBLIC}


def test_a_closed_offer_lends_nothing_where_a_site_without_one_lends_all() -> None:
    closed = offer_of(1, closes_ms=NOW_MS)
    assert lent(NODES, {}, [closed], [], []).nodes == {}
    assert {each.terms for each in lent(NODES, {}, [], [], []).nodes.values()} == {PLAIN}


def recall_of(node: int, by_ms: int) -> Recall:
    return Recall(
        site=SiteId(1), gpu_class="h100", nodes=1, by_ms=by_ms, asked_ms=NOW_MS, node_ids=frozenset({NodeId(node)})
    )


def test_a_node_that_breaks_while_it_is_recalled_is_no_reason_to_lend_another_until_it_is_repaired() -> None:
    well, given_facts = list(NODES[:2]), [offer_of(nodes=1, notice_seconds=60)]
    broken = [replace(well[0], healthy=False), well[1]]
    for nodes in (well, broken):
        assert not lent(nodes, {}, given_facts, [recall_of(1, NOW_MS)], []).nodes


def test_what_a_recall_to_come_will_take_of_an_offer_is_promised_to_nobody_beyond_it() -> None:
    endless, ends = offer_of(1, nodes=1, notice_seconds=60), offer_of(2, nodes=1, calendar=CALENDARS[1])
    recall = recall_of(2, NOW_MS + HOUR_MS)
    before = lent(NODES[:2], {NodeId(1): [GUEST]}, [endless, ends], [recall], []).nodes
    assert [before[NodeId(node)].until_ms for node in (1, 2)] == [NOW_MS + 2 * HOUR_MS, NOW_MS + HOUR_MS]
    due = lend(NODES[:2], {NodeId(1): [GUEST]}, [endless, ends], [recall], [], NOW_MS + HOUR_MS).nodes
    assert {node: each.until_ms for node, each in due.items()} == {NodeId(1): NOW_MS + 2 * HOUR_MS}


def test_a_recall_that_outlasts_the_offer_it_takes_of_will_take_of_another() -> None:
    firm, ends = offer_of(1, nodes=1), offer_of(2, nodes=1, notice_seconds=60, calendar=CALENDARS[1])
    found = lent(NODES[:2], {NodeId(1): [GUEST]}, [firm, ends], [recall_of(2, NOW_MS)], []).nodes
    assert {node: each.until_ms for node, each in found.items()} == {NodeId(1): NOW_MS + 2 * HOUR_MS}


def test_a_node_that_will_be_recalled_leaves_what_lasts_to_the_others() -> None:
    found = lent(NODES[:2], {}, [offer_of(nodes=2)], [recall_of(1, NOW_MS + HOUR_MS)], []).nodes
    assert [found[NodeId(node)].until_ms for node in (1, 2)] == [NOW_MS + HOUR_MS, NEVER_MS]


def test_a_node_is_left_until_the_first_thing_that_takes_it() -> None:
    by_ms, from_ms = NOW_MS + 3 * HOUR_MS, NOW_MS + 2 * HOUR_MS
    recall = recall_of(1, by_ms)
    maintenance = Reservation(
        site=SiteId(1), gpu_class="h100", from_ms=from_ms, to_ms=None, reason="cables", node_ids=frozenset({NodeId(2)})
    )
    found = lent(NODES[:3], {}, [offer_of()], [recall], [maintenance])
    assert [found.nodes[node.id].until_ms for node in NODES[:3]] == [by_ms, from_ms, NEVER_MS]
    assert found.changes_ms == from_ms


KEPT = Reservation(
    site=SiteId(1),
    from_ms=NOW_MS,
    to_ms=NOW_MS + HOUR_MS,
    reason="a deadline",
    node_ids=frozenset({NodeId(2)}),
    group=GroupId(4),
)
MEMBER = replace(GUEST, groups=frozenset({GroupId(4), GroupId(1)}))


def test_a_node_that_is_kept_for_a_group_lets_that_group_in_and_nobody_else() -> None:
    found = lent(NODES[:3], {}, [], [], [KEPT]).nodes
    assert {node: each.terms.holder for node, each in found.items()} == {1: None, 2: GroupId(4), 3: None}
    terms = found[NodeId(2)].terms
    assert terms.lets_in(None, DataClass.OPEN, MEMBER.groups) and not terms.lets_in(None, DataClass.OPEN, {GroupId(1)})
    assert all(each.until_ms == NEVER_MS for each in found.values()), "the group stays when its time is over"


def test_before_its_time_the_node_is_left_to_others_until_then_and_to_runs_of_the_group_for_longer() -> None:
    later = replace(KEPT, from_ms=NOW_MS + HOUR_MS, to_ms=None)
    for guests in ({}, {NodeId(2): [GUEST]}, {NodeId(2): [MEMBER]}):
        found = lent(NODES[:3], guests, [], [], [later])
        node = found.nodes[NodeId(2)]
        assert (node.until_ms, node.terms.holder) == (later.from_ms, None)
        assert (node.terms.heir, node.terms.heir_until_ms) == (GroupId(4), NEVER_MS)
        assert found.changes_ms == later.from_ms


def test_runs_of_the_group_are_left_alone_until_something_else_takes_the_node() -> None:
    later = replace(KEPT, from_ms=NOW_MS + HOUR_MS, to_ms=None)
    cables = Reservation(
        site=SiteId(1), from_ms=NOW_MS + 2 * HOUR_MS, to_ms=None, reason="cables", node_ids=frozenset({NodeId(2)})
    )
    terms = lent(NODES[:3], {}, [], [], [later, cables]).nodes[NodeId(2)].terms
    assert (terms.heir, terms.heir_until_ms) == (GroupId(4), cables.from_ms)
    ends = [offer_of(1, calendar=CALENDARS[1])]  # at 14:00 in Seoul, in two hours
    before = lent(NODES[:3], {}, ends, [], [later]).nodes[NodeId(2)]
    assert (before.until_ms, before.terms.heir_until_ms) == (later.from_ms, NOW_MS + 2 * HOUR_MS)
    after = lent(NODES[:3], {}, ends, [], [replace(later, from_ms=NOW_MS + 3 * HOUR_MS)]).nodes[NodeId(2)]
    assert (after.until_ms, after.terms.heir) == (NOW_MS + 2 * HOUR_MS, None)


def test_an_offer_lends_the_kept_node_before_other_idle_ones() -> None:
    assert list(lent(NODES[:3], {}, [offer_of(1, nodes=1)], [], [KEPT]).nodes) == [NodeId(2)]


def test_of_two_groups_the_one_whose_time_began_first_has_the_node() -> None:
    before = replace(KEPT, from_ms=NOW_MS - HOUR_MS, group=GroupId(5))
    assert lent(NODES[:3], {}, [], [], [KEPT, before]).nodes[NodeId(2)].terms.holder == GroupId(5)
