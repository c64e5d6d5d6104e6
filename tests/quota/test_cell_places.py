"""Places of cells beside work: what has been granted keeps its place whatever starts and ends, and firm work stays out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from cell_forests import (
    COMMON_OF_BOTH,
    GPU_CLASS,
    OTHER_CLASS,
    crowded,
    leaf,
    of_both,
    spine,
    spines,
    topologies,
    with_other,
)
from hypothesis import event, given
from hypothesis import strategies as st

from quota import cell_places
from quota.cell_places import NOTHING_PLACED, Placed, Work, place_cells, stand
from quota.cells import Granted, Right, grant
from quota.packing import CellKind
from quota.packing_oracle import around, overlap
from quota.refusal import Refusal
from quota.topology import Place, Topology

ONE, TWO, THREE = 1, 2, 3
GROUPS = (ONE, TWO, THREE)  #: the third is granted nothing


def firm(group: int, gpus: int = 8) -> Work:
    return Work(frozenset({group}), gpus, firm=True)


def lent(group: int, gpus: int = 8) -> Work:
    return Work(frozenset({group}), gpus, firm=False)


def where(placed: Placed, group: int) -> list[str]:
    return sorted(place.domain for place, right in placed.places.items() if right.group == group)


def whose(**rights: Right) -> dict[Place, Right]:
    """Whose the nodes of the usual class in each domain are."""
    return {Place(GPU_CLASS, domain): right for domain, right in rights.items()}


def test_a_cell_keeps_away_from_firm_work_of_others_and_from_their_lent_work_if_it_can() -> None:
    rights = {Right(ONE, leaf(2)): 1}
    work = {"s0l0n0": [firm(TWO)], "s0l1n1": [lent(TWO)]}
    assert where(place_cells(rights, spines([2, 2, 2]), work, {}), ONE) == ["s0l2"]
    assert where(place_cells(rights, spines([2, 2]), work, {}), ONE) == ["s0l1"]


def test_a_cell_lies_around_its_group_s_own_work() -> None:
    rights = {Right(ONE, leaf(2)): 1}
    assert where(place_cells(rights, spines([2, 2]), {"s0l1n0": [lent(ONE), lent(TWO)]}, {}), ONE) == ["s0l1"]


def test_a_place_stays_while_nothing_speaks_against_it() -> None:
    rights = {Right(ONE, leaf(2)): 1}
    before = whose(s0l1=Right(ONE, leaf(2)))
    assert where(place_cells(rights, spines([2, 2]), {}, before), ONE) == ["s0l1"]
    assert where(place_cells(rights, spines([2, 2]), {"s0l1n0": [lent(TWO)]}, before), ONE) == ["s0l0"]


def test_a_place_stays_though_its_group_works_outside_of_it_on_nodes_of_another_gpu_class() -> None:
    rights, before = {Right(ONE, leaf(2)): 1}, whose(s0l1=Right(ONE, leaf(2)))
    topology = with_other(spines([2, 2]))
    assert where(place_cells(rights, topology, {"s0l0n0": [lent(ONE)]}, before), ONE) == ["s0l0"]
    assert where(place_cells(rights, topology, {"other": [lent(ONE)]}, before), ONE) == ["s0l1"]


def test_firm_work_that_was_there_before_makes_the_cells_worth_fewer() -> None:
    rights = {Right(ONE, leaf(2)): 2}
    placed = place_cells(rights, spines([2, 2]), {"s0l0n0": [firm(TWO)]}, {})
    assert placed.worth == {Right(ONE, leaf(2)): 1}


def test_a_node_with_firm_work_of_one_group_is_no_node_of_another_s_cell_though_the_place_has_a_spare() -> None:
    rights = {Right(ONE, leaf(2)): 1}
    placed = place_cells(rights, spines([3]), {"s0l0n0": [firm(TWO)]}, {})
    assert where(placed, ONE) == ["s0l0"]


def test_whose_firm_work_lies_where_is_found_out_without_any_place_of_before() -> None:
    rights = {Right(ONE, leaf(2)): 1, Right(TWO, leaf(2)): 1}
    work = {"s0l0n0": [firm(TWO)], "s0l1n0": [firm(ONE)]}
    placed = place_cells(rights, spines([2, 2]), work, {})
    assert (where(placed, ONE), where(placed, TWO)) == (["s0l1"], ["s0l0"])


def test_a_leaf_is_a_place_for_a_cell_of_each_gpu_class_that_has_nodes_in_it() -> None:
    topology = with_other(spines([2]))
    rights = {Right(ONE, leaf(2)): 1, Right(TWO, leaf(1, OTHER_CLASS)): 1}
    placed = place_cells(rights, topology, {}, {})
    assert placed.worth == rights
    assert (where(placed, ONE), where(placed, TWO)) == (["s0l0"], ["s0l0"])
    assert place_cells(rights, topology, {"s0l0n0": [firm(ONE)], "other": [firm(TWO)]}, placed.places) == placed


def test_a_cell_that_has_to_move_is_worth_nothing_rather_than_moved_onto_firm_work_of_another_group() -> None:
    rights = {Right(ONE, leaf(2)): 1, Right(TWO, spine(4)): 1}
    before = whose(s0l0=Right(ONE, leaf(2)), s1=Right(TWO, spine(4)))
    broken = spines([2, 2], [2, 2]).with_bad({"s1l0n0"})
    placed = place_cells(rights, broken, {"s0l0n0": [firm(ONE)]}, before)
    assert placed.worth == {Right(ONE, leaf(2)): 1}


def clear(topology: Topology, firm_groups: Mapping[str, frozenset[int]], place: Place, right: Right) -> bool:
    """Whether a place would serve a right: of its level, with as many healthy nodes that hold no firm work of others."""
    forest = topology.of_class(right.kind.gpu_class)
    if place not in places_of(topology, right) or forest.level[forest.positions[place.domain]] is not right.kind.level:
        return False
    nodes = topology.nodes_in(place)
    serving = [n for n in nodes if topology.nodes[n].healthy and right.group in firm_groups.get(n, {right.group})]
    return len(serving) >= right.kind.nodes


def places_of(topology: Topology, right: Right) -> list[Place]:
    """Every place of the class of a right's cells."""
    return [Place(right.kind.gpu_class, name) for name in topology.of_class(right.kind.gpu_class).names]


def can_be_placed(topology: Topology, firm_groups: Mapping[str, frozenset[int]], rights: Mapping[Right, int]) -> bool:
    """By trying everything: whether all cells have places at once, clear of firm work of others."""

    def fill(cells: Sequence[Right], held: tuple[Place, ...]) -> bool:
        if not cells:
            return True
        return any(
            fill(cells[1:], (*held, place))
            for place in places_of(topology, cells[0])
            if clear(topology, firm_groups, place, cells[0]) and not any(overlap(topology, place, h) for h in held)
        )

    return fill([right for right, number in sorted(rights.items()) for _ in range(number)], ())


@dataclass
class Story:
    """A topology in which cells are granted, work starts and ends, and nodes fail and are mended."""

    topology: Topology
    granted: Granted = field(default_factory=Granted)
    work: dict[int, tuple[str, Work]] = field(default_factory=dict)
    placed: Placed = NOTHING_PLACED
    started: int = 0

    def on_nodes(self) -> dict[str, list[Work]]:
        found: dict[str, list[Work]] = {}
        for node, each in self.work.values():
            found.setdefault(node, []).append(each)
        return found

    def firm_groups(self) -> dict[str, frozenset[int]]:
        return {
            node: frozenset.intersection(*firm_here)
            for node, here in self.on_nodes().items()
            if (firm_here := [each.groups for each in here if each.firm])
        }

    def place(self, *, remember: bool = True) -> None:
        before = self.placed.places if remember else {}
        self.placed = place_cells(self.granted.rights, self.topology, self.on_nodes(), before)

    def start(self, group: int, node: str, *, is_firm: bool) -> None:
        """As rounds do: firm work of others stays out of a place, and that of a group with cells goes nowhere else."""
        gpu_class = self.topology.nodes[node].gpu_class
        places = {Place(gpu_class, name) for name in around(self.topology, node)}
        holder = next((right.group for place, right in self.placed.places.items() if place in places), None)
        has_cells = any(right.group == group and right.kind.gpu_class == gpu_class for right in self.granted.rights)
        if is_firm and holder != group and (holder is not None or has_cells):
            return
        self.started += 1
        self.work[self.started] = (node, Work(frozenset({group}), 8, is_firm))

    def ask(self, group: int, kind: CellKind, cells: int) -> None:
        """Granted if the counting invariant allows it, and nothing that cannot be called back is in the way."""
        answer = grant(
            Granted(rights=self.granted.rights, worth=self.granted.rights), group, {kind: cells}, self.topology
        )
        if not isinstance(answer, Refusal) and can_be_placed(self.topology, self.firm_groups(), answer.rights):
            self.granted = answer


class Ask(NamedTuple):
    """A group wants more cells of a kind."""

    group: int
    kind: CellKind
    cells: int


class Begin(NamedTuple):
    """Work begins on the healthy node of a number, counted around."""

    group: int
    at: int
    is_firm: bool


class End(NamedTuple):
    """The work of a number, counted around, is over."""

    at: int


Step = Ask | Begin | End

STEPS = st.lists(
    st.one_of(
        st.builds(Ask, st.sampled_from((ONE, TWO)), COMMON_OF_BOTH, st.integers(1, 2)),
        st.builds(Begin, st.sampled_from(GROUPS), st.integers(0, 20), st.booleans()),
        st.builds(Begin, st.sampled_from(GROUPS), st.integers(0, 20), st.booleans()),
        st.builds(End, st.integers(0, 20)),
    ),
    max_size=14,
)


def tell(story: Story, step: Step) -> None:
    match step:
        case Ask(group, kind, cells):
            story.ask(group, kind, cells)
        case Begin(group, at, is_firm):
            names = sorted(name for name, node in story.topology.nodes.items() if node.healthy)
            if names:
                story.start(group, names[at % len(names)], is_firm=is_firm)
        case End(at) if story.work:
            story.work.pop(sorted(story.work)[at % len(story.work)])


@given(of_both(topologies() | crowded()), STEPS)
def test_what_has_been_granted_is_never_without_a_place(topology: Topology, steps: list[Step]) -> None:
    story = Story(topology)
    for step in steps:
        tell(story, step)
        story.place()
        assert story.placed.worth == story.granted.rights
        lawful(story)


@given(of_both(crowded()), STEPS, st.sets(st.integers(0, 20), max_size=3))
def test_when_nodes_fail_everything_has_a_place_that_could_have_one_and_nobody_has_another_s(
    topology: Topology, steps: list[Step], failing: set[int]
) -> None:
    story = Story(topology)
    for step in steps:
        tell(story, step)
        story.place()
    names = sorted(topology.nodes)
    story.topology = topology.with_bad({names[at % len(names)] for at in failing})
    story.place()
    lawful(story)
    if can_be_placed(story.topology, story.firm_groups(), story.granted.rights):
        assert story.placed.worth == story.granted.rights


@given(of_both(crowded()), STEPS)
def test_after_a_failover_the_places_are_found_from_what_runs(topology: Topology, steps: list[Step]) -> None:
    story = Story(topology)
    for step in steps:
        tell(story, step)
        story.place()
    story.place(remember=False)
    assert story.placed.worth == story.granted.rights
    lawful(story)


@given(of_both(crowded()), STEPS, STEPS, st.sets(st.integers(0, 20), max_size=2), st.booleans())
def test_places_stand_exactly_while_they_hold_all_cells_apart_and_clear(
    topology: Topology, steps: list[Step], afterwards: list[Step], failing: set[int], asks: bool
) -> None:
    story = Story(topology)
    for step in steps:
        tell(story, step)
        story.place()
    assert stand(story.granted.rights, topology, story.on_nodes(), story.placed.places)
    for step in afterwards:  # work begins anywhere: the round forgets what it may not do
        if isinstance(step, Begin):
            names = sorted(topology.nodes)
            story.started += 1
            work = Work(frozenset({step.group}), 8, step.is_firm)
            story.work[story.started] = (names[step.at % len(names)], work)
        elif asks or isinstance(step, End):
            tell(story, step)
    names = sorted(topology.nodes)
    story.topology = topology.with_bad({names[at % len(names)] for at in failing})
    places = list(story.placed.places.items())
    holds_all = Counter(right for _, right in places) == Counter(story.granted.rights)
    is_clear = all(clear(story.topology, story.firm_groups(), place, right) for place, right in places)
    event(f"all places: {holds_all}, all clear: {is_clear}")
    assert stand(story.granted.rights, story.topology, story.on_nodes(), dict(places)) == (holds_all and is_clear)


@given(of_both(topologies() | crowded()), STEPS, st.sets(st.integers(0, 20), max_size=2))
def test_places_that_may_all_stay_are_those_that_would_be_found_anew(
    topology: Topology, steps: list[Step], failing: set[int]
) -> None:
    story, names = Story(topology), sorted(topology.nodes)
    for at, step in enumerate(steps):
        if at == len(steps) - 1:
            broken = {names[each % len(names)] for each in failing}
            sick = {name for name, node in topology.nodes.items() if not node.healthy}
            story.topology = topology.with_bad(sick | broken)
        tell(story, step)
        before = story.placed.places
        story.place()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cell_places, "stand", lambda *_: False)
            anew = place_cells(story.granted.rights, story.topology, story.on_nodes(), before)
        event(f"all stay: {bool(before) and story.placed.places == before}")
        assert (story.placed.places, story.placed.worth) == (anew.places, anew.worth)


def test_places_that_lie_in_each_other_do_not_stand() -> None:
    rights = {Right(ONE, spine(1)): 1, Right(TWO, leaf(1)): 1}
    wide, narrow = rights
    assert stand(rights, spines([2], [2]), {}, whose(s0=wide, s1l0=narrow))
    assert not stand(rights, spines([2], [2]), {}, whose(s0=wide, s0l0=narrow))


def lawful(story: Story) -> None:
    """Places lie apart, serve their kinds without firm work of others, and are as many as they are said to be."""
    places = list(story.placed.places.items())
    assert Counter(right for _, right in places) == story.placed.worth
    for number, (place, right) in enumerate(places):
        assert clear(story.topology, story.firm_groups(), place, right)
        assert not any(overlap(story.topology, place, other) for other, _ in places[:number])
    assert all(story.placed.worth[right] <= story.granted.rights[right] for right in story.placed.worth)
