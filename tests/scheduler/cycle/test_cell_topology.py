"""Cells are granted on nodes that nothing but their own failure takes away, and whatever is granted has its place there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from federations import OPEN_SITE, Facts, build, facts, node_of
from hypothesis import given
from hypothesis import strategies as st
from lendings import CALENDARS, HOUR_MS, NOW_MS, offer_of

from quota.cell_shape import Level
from quota.cells import Bound, Granted, bind, grant
from quota.packing import CellKind
from quota.refusal import Refusal
from quota.settlement import settle
from quota.topology import Topology
from scheduler.cycle.cell_topology import cell_topology, domain_name, node_name
from scheduler.cycle.snapshot import Snapshot, takes_work
from scheduler.model.ids import GroupId, NodeId, SiteId
from scheduler.model.offer import Offer, Sector
from scheduler.model.recall import Reservation
from scheduler.model.shape import DataClass
from scheduler.model.site import Node, Site, SiteState

LEAF_OF_TWO = CellKind("h100", Level.LEAF, 2)
NODES = tuple(replace(node_of(number, 8), domain=("hall", "spine", f"leaf-{number // 3}")) for number in (1, 2, 3, 4))
_depths: dict[Level, int] = {Level.SITE: 0, Level.HALL: 1, Level.SPINE: 2, Level.LEAF: 3}
_kinds = st.builds(
    CellKind, st.sampled_from(("a100", "h100")), st.sampled_from(list(_depths)), st.integers(1, 3)
) | st.builds(CellKind, st.sampled_from(("a100", "h100")), st.just(Level.NODE), st.just(1))


def seen(
    nodes: tuple[Node, ...] = NODES,
    site: Site = OPEN_SITE,
    offers: tuple[Offer, ...] = (),
    reservations: tuple[Reservation, ...] = (),
) -> Topology:
    federation = build(Facts({}, (site,), nodes, {}, ()))
    federation.set_lending(offers, (), reservations)
    federation.lend(NOW_MS)
    return cell_topology(federation.snapshot())


def granted_leaves(topology: Topology) -> int:
    """How many leaves of two nodes can be granted, of three that are asked for."""
    answer = grant(Granted(), 1, {LEAF_OF_TWO: 3}, topology)
    assert isinstance(answer, Refusal)
    return answer.numbers["limit"]


def test_a_site_that_lends_all_it_has_is_seen_whole() -> None:
    topology = seen()
    assert granted_leaves(topology) == 2
    forest = topology.of_class("h100")
    assert forest.names == (
        "#1",
        "#2",
        "#3",
        "#4",
        "1",
        "1/hall",
        "1/hall/spine",
        "1/hall/spine/leaf-0",
        "1/hall/spine/leaf-1",
    )
    assert [forest.level[forest.positions[name]] for name in forest.names[4:]] == [
        Level.SITE, Level.HALL, Level.SPINE, Level.LEAF, Level.LEAF,
    ]  # fmt: skip


@pytest.mark.parametrize("state", [SiteState.CORDONED, SiteState.DRAINING, SiteState.STOPPED])
def test_nothing_is_granted_where_no_work_may_start(state: SiteState) -> None:
    assert granted_leaves(seen(site=replace(OPEN_SITE, state=state))) == 0
    assert granted_leaves(seen(site=replace(OPEN_SITE, reachable=False))) == 0


def test_a_leaf_that_is_short_of_a_node_is_not_granted() -> None:
    assert granted_leaves(seen((replace(NODES[0], healthy=False), *NODES[1:]))) == 1
    assert granted_leaves(seen((replace(NODES[0], gpus=0), *NODES[1:]))) == 1


FIRM = offer_of(notice_seconds=None)


@pytest.mark.parametrize(
    ("offer", "leaves"),
    [
        pytest.param(FIRM, 2, id="for good and to everybody"),
        pytest.param(replace(FIRM, nodes=3), 1, id="three of the four nodes"),
        pytest.param(replace(FIRM, notice_seconds=3600), 0, id="until the lender recalls them"),
        pytest.param(replace(FIRM, calendar=CALENDARS[1]), 0, id="while a window is open"),
        pytest.param(replace(FIRM, sectors=(Sector.RESEARCH,)), 0, id="to one sector"),
        pytest.param(replace(FIRM, data_classes=(DataClass.OPEN,)), 0, id="for data of one class"),
        pytest.param(replace(FIRM, priority_floor=0), 0, id="from a priority on"),
    ],
)
def test_cells_are_granted_only_on_nodes_that_are_lent_for_good_and_to_everybody(offer: Offer, leaves: int) -> None:
    assert granted_leaves(seen(offers=(offer,))) == leaves


@pytest.mark.parametrize("group", [None, GroupId(4)], ids=["maintenance", "for a group"])
def test_a_node_that_is_reserved_is_not_granted(group: GroupId | None) -> None:
    for from_ms in (NOW_MS, NOW_MS + HOUR_MS):
        kept = Reservation(
            site=SiteId(1), from_ms=from_ms, to_ms=None, reason="", node_ids=frozenset({NodeId(3)}), group=group
        )
        assert granted_leaves(seen(reservations=(kept,))) == 1


def test_a_node_whose_path_ends_early_is_in_no_leaf() -> None:
    topology = seen((*NODES[:2], replace(NODES[2], domain=("hall",)), replace(NODES[3], domain=())))
    assert granted_leaves(topology) == 1
    assert topology.nodes["#3"].domain == "1/hall"
    assert topology.nodes["#4"].domain == "1"


@given(facts(), st.lists(st.tuples(st.sampled_from((4, 5, 6)), _kinds, st.integers(1, 2)), max_size=6))
def test_what_is_granted_has_whole_places_apart_from_each_other(
    given_facts: Facts, asked: list[tuple[GroupId, CellKind, int]]
) -> None:
    snapshot = build(given_facts).snapshot()
    topology, granted = cell_topology(snapshot), Granted()
    for group, kind, cells in asked:
        answer = grant(granted, group, {kind: cells}, topology)
        granted = granted if isinstance(answer, Refusal) else answer
    assert_held_at_once(granted, snapshot)
    assert granted.worth == granted.rights


#: Six leaves of one or two nodes in three spines, the last of these at another site; in two of them another class too.
MANY = tuple(
    replace(
        node_of(number, 8, site=1 + at // 6), domain=("hall", f"spine-{at // 3}", f"leaf-{at // 2}"), gpu_class=each
    )
    for number, (at, each) in enumerate([*((at, "h100") for at in range(1, 9)), (2, "a100"), (6, "a100")], start=1)
)
TWO_SITES = (OPEN_SITE, replace(OPEN_SITE, id=SiteId(2), name="site-2"))
_number = st.integers(1, len(MANY))
_wanted = st.sampled_from(
    (
        CellKind("h100", Level.LEAF, 1),
        LEAF_OF_TWO,
        CellKind("h100", Level.NODE, 1),
        CellKind("h100", Level.SPINE, 2),
        CellKind("a100", Level.LEAF, 1),
        CellKind("a100", Level.SPINE, 1),
    )
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("node"), _number, st.booleans()),
        st.tuples(st.just("node goes"), _number, st.none()),
        st.tuples(st.just("site"), st.integers(1, 2), st.sampled_from((SiteState.ACTIVE, SiteState.CORDONED))),
        st.tuples(st.just("ask"), st.integers(1, 3), _wanted),
        st.tuples(st.just("bind"), st.integers(1, 3), st.none()),
    ),
    min_size=4,
    max_size=16,
)


@given(_steps)
def test_whatever_happens_to_nodes_every_cell_is_held_at_once_or_told_as_missing(
    steps: list[tuple[str, int, Any]],
) -> None:
    federation, granted = build(Facts({}, TWO_SITES, MANY, {}, ())), Granted()
    for what, number, value in steps:
        match what:
            case "node":
                federation.put_node(replace(MANY[number - 1], healthy=value))
            case "node goes":
                federation.remove_node(NodeId(number))
            case "site":
                federation.put_site(replace(TWO_SITES[number - 1], state=value))
        snapshot = federation.snapshot()
        topology = cell_topology(snapshot)
        settled = settle(granted, topology)
        granted = settled.granted
        short = {each.right: each.granted - each.worth for each in settled.shortfalls}
        missing = {right: count - granted.worth.get(right, 0) for right, count in granted.rights.items()}
        assert short == {right: count for right, count in missing.items() if count}
        if what == "ask":
            answer = grant(granted, number, {value: 1}, topology)
            granted = granted if isinstance(answer, Refusal) else answer
        elif what == "bind":
            granted = _with_all_bound(granted, number, topology)
        assert_held_at_once(granted, snapshot)


def test_a_bound_cell_that_breaks_is_told_and_bound_anew_where_there_is_a_place() -> None:
    asked = grant(Granted(), 1, {LEAF_OF_TWO: 1}, seen())
    assert isinstance(asked, Granted)
    bound = _with_all_bound(asked, 1, seen())
    (place,) = bound.bound
    broken = tuple(replace(node, healthy=_lies_in(Level.LEAF)(node) != place.domain) for node in NODES)
    settled = settle(bound, seen(broken))
    assert [loosed.domain for loosed in settled.broken] == [place.domain] and not settled.shortfalls
    assert list(_with_all_bound(settled.granted, 1, seen(broken)).bound) != [place]
    nothing = settle(settled.granted, seen(tuple(replace(node, healthy=False) for node in NODES)))
    assert [(each.granted, each.worth) for each in nothing.shortfalls] == [(1, 0)]


def _with_all_bound(granted: Granted, group: int, topology: Topology) -> Granted:
    """The group binds every cell that its rights are worth, which is never refused."""
    for right, worth in granted.worth.items():
        unbound = worth - len(granted.bound_of(right))
        if right.group == group and unbound:
            bound = bind(granted, group, right.kind, topology, cells=unbound)
            assert isinstance(bound, Bound)
            granted = bound.granted
    return granted


def assert_held_at_once(granted: Granted, snapshot: Snapshot) -> None:
    """Each cell that is worth something has a place of its own, with as many nodes of its class as it declares."""
    places = [(kind, domain) for kind, domains in granted.reserved.items() for domain in domains]
    places += [(right.kind, place.domain) for place, right in granted.bound.items()]
    taken: set[NodeId] = set()
    for kind, domain in places:
        inside = [
            node
            for node in snapshot.nodes.values()
            if node.gpu_class == kind.gpu_class and _lies_in(kind.level)(node) == domain
        ]
        ready = [node for node in inside if node.healthy and node.gpus and takes_work(snapshot.sites[node.site_id])]
        assert len(ready) >= kind.nodes
        assert taken.isdisjoint(node.id for node in inside)
        taken |= {node.id for node in inside}
    worth: Counter[CellKind] = Counter()
    for right, count in granted.worth.items():
        worth[right.kind] += count
    assert Counter(kind for kind, _ in places) == worth


def _lies_in(level: Level) -> Callable[[Node], str | None]:
    """A node's domain of a level, by name; None where its path does not reach so far."""

    def name(node: Node) -> str | None:
        if level is Level.NODE:
            return node_name(node.id)
        depth = _depths[level]
        return domain_name(node.site_id, node.domain[:depth]) if len(node.domain) >= depth else None

    return name
