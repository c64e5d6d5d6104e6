"""Cells granted and bound: the promise that what is granted can be held, whatever happened before."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from cell_forests import (
    COMMON_OF_BOTH,
    GPU_CLASS,
    NODE,
    OTHER_CLASS,
    crowded,
    kinds,
    leaf,
    of_both,
    spine,
    spines,
    topologies,
    wishes,
    with_other,
)
from example_count import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from quota.cells import Bound, Claim, Granted, Right, bind, callable_back, grant, lendable, unbind
from quota.errors import CellError
from quota.packing import CellKind
from quota.packing_oracle import overlap, packs, serves
from quota.refusal import Refusal, RefusalCode
from quota.settlement import Settled, revoke, settle
from quota.topology import Place, Topology


class Federation(RuleBasedStateMachine):
    """Groups that are granted cells, bind and unbind them and give them up, while nodes fail and come back."""

    @initialize(
        topology=of_both(crowded() | topologies(nodes_max=8)),
        wish=st.lists(st.tuples(st.integers(1, 3), COMMON_OF_BOTH), min_size=3, max_size=8),
    )
    def begin(self, topology: Topology, wish: list[tuple[int, CellKind]]) -> None:
        self.topology = topology
        self.granted = Granted()
        for group, kind in wish:
            self.a_group_asks_for_cells(group, {kind: 1})

    @rule(group=st.integers(1, 3), wish=wishes(cells_max=2, common=COMMON_OF_BOTH))
    def a_group_asks_for_cells(self, group: int, wish: dict[CellKind, int]) -> None:
        before, answer = self.granted, grant(self.granted, group, wish, self.topology)
        asked = {kind.gpu_class for kind in wish}  # what another class is short of is no reason
        mine = {right: count for right, count in before.rights.items() if right.kind.gpu_class in asked}
        wanted = self.unbound(mine) + Counter(wish)
        if isinstance(answer, Granted):
            assert packs(self.topology, wanted, before.bound)
            assert answer.bound == before.bound
            self.granted = answer
            return
        assert not packs(self.topology, wanted, before.bound)
        everything = self.all_cells(mine) + Counter(wish)
        if answer.code is RefusalCode.CELLS_EXCEEDED:
            assert not packs(self.topology, everything)
        else:
            assert answer.code is RefusalCode.CELLS_IN_THE_WAY

    @rule(group=st.integers(1, 3), kind=kinds(), cells=st.integers(1, 4))
    def a_refusal_says_how_many_would_be_granted(self, group: int, kind: CellKind, cells: int) -> None:
        answer = grant(self.granted, group, {kind: cells}, self.topology)
        if isinstance(answer, Refusal):
            limit = answer.numbers["limit"]
            assert limit < cells and answer.numbers["short"] == cells - limit
            if limit:
                assert isinstance(grant(self.granted, group, {kind: limit}, self.topology), Granted)
            assert isinstance(grant(self.granted, group, {kind: limit + 1}, self.topology), Refusal)

    @precondition(lambda self: self.granted.rights)
    @rule(data=st.data(), gangs=st.lists(st.sampled_from((1, 1, 2)), min_size=1, max_size=3))
    def groups_bind_cells(self, data: st.DataObject, gangs: list[int]) -> None:
        for cells in gangs:
            self.bind_a_gang(data, cells)

    def bind_a_gang(self, data: st.DataObject, cells: int) -> None:
        able = [right for right, worth in self.granted.worth.items() if len(self.granted.bound_of(right)) < worth]
        right = data.draw(st.sampled_from(sorted(able) or sorted(self.granted.rights)))
        nodes = st.sampled_from(sorted(self.topology.nodes))
        lent = data.draw(st.dictionaries(nodes, st.integers(0, 3)))
        before = self.granted
        answer = bind(before, right.group, right.kind, self.topology, cells=cells, lent=lent)
        may = len(before.bound_of(right)) + cells <= before.worth.get(right, 0)
        assert isinstance(answer, Bound) == may, "within the guarantee, and only there, binding succeeds"
        if isinstance(answer, Refusal):
            assert answer.code is RefusalCode.GUARANTEE_REACHED
            return
        assert len(answer.domains) == cells
        found = [Place(right.kind.gpu_class, domain) for domain in answer.domains]
        assert answer.granted.bound == {**before.bound, **dict.fromkeys(found, right)}
        at = {node: Place(self.topology.nodes[node].gpu_class, node) for node in lent}
        inside = {node for node in lent for place in found if overlap(self.topology, at[node], place)}
        assert set(answer.called_back) == inside
        self.granted = answer.granted

    @precondition(lambda self: self.granted.bound)
    @rule(data=st.data())
    def a_group_unbinds_a_cell(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(list(self.granted.bound)))
        self.granted = unbind(self.granted, place)

    @precondition(lambda self: self.granted.rights)
    @rule(data=st.data())
    def a_group_gives_cells_up(self, data: st.DataObject) -> None:
        right = data.draw(st.sampled_from(sorted(self.granted.rights)))
        cells = data.draw(st.integers(1, self.granted.rights[right]))
        self.take(revoke(self.granted, right.group, right.kind, cells, self.topology))

    @rule(data=st.data())
    def nodes_fail_or_come_back(self, data: st.DataObject) -> None:
        bad = data.draw(st.sets(st.sampled_from(sorted(self.topology.nodes)), max_size=4))
        self.topology = self.topology.with_bad(bad)
        self.take(settle(self.granted, self.topology))

    def take(self, settled: Settled) -> None:
        before, self.granted = self.granted, settled.granted
        loosed = (*settled.broken, *settled.demoted, *settled.uprooted)
        lost = {Place(cell.right.kind.gpu_class, cell.domain) for cell in loosed}
        assert before.bound.keys() - self.granted.bound.keys() == lost, "what is lost is told by name"
        for right, count in self.granted.rights.items():
            told = [each.worth for each in settled.shortfalls if each.right == right]
            assert told == ([self.granted.worth.get(right, 0)] if self.granted.worth.get(right, 0) < count else [])

    @invariant()
    def all_that_rights_are_worth_can_be_held_at_once(self) -> None:
        assert packs(self.topology, self.unbound(self.granted.worth), self.granted.bound)

    @invariant()
    def every_cell_has_a_place_of_its_own(self) -> None:
        granted = self.granted
        claims = callable_back(granted, self.topology, ())
        assert Counter(claim.kind for claim in claims) == self.unbound(granted.worth)
        places = [(right.kind, place) for place, right in granted.bound.items()]
        places += [(claim.kind, Place(claim.kind.gpu_class, claim.domain)) for claim in claims]
        assert all(serves(self.topology, place.domain, kind) for kind, place in places)
        for number, (_, place) in enumerate(places):
            assert not any(overlap(self.topology, place, other) for _, other in places[number + 1 :])

    @invariant()
    def nobody_holds_more_than_a_right_is_worth(self) -> None:
        held = Counter(self.granted.bound.values())
        assert all(count <= self.granted.worth.get(right, 0) for right, count in held.items())
        assert all(self.granted.rights[right] >= count for right, count in self.granted.worth.items())

    def unbound(self, rights: dict[Right, int]) -> Counter[CellKind]:
        return self.all_cells(rights) - Counter(right.kind for right in self.granted.bound.values())

    def all_cells(self, rights: dict[Right, int]) -> Counter[CellKind]:
        cells: Counter[CellKind] = Counter()
        for right, count in rights.items():
            cells[right.kind] += count
        return cells


TestFederation = Federation.TestCase
TestFederation.settings = settings(max_examples=examples(60), stateful_step_count=25)


@given(
    of_both(crowded() | topologies(nodes_max=8)),
    st.lists(st.tuples(st.integers(1, 3), COMMON_OF_BOTH), min_size=2, max_size=8),
    st.randoms(use_true_random=False),
)
def test_all_that_was_granted_can_be_bound_in_any_order_whatever_is_lent(
    topology: Topology, wishes: list[tuple[int, CellKind]], dice: random.Random
) -> None:
    granted = Granted()
    for group, kind in wishes:
        answer = grant(granted, group, {kind: 1}, topology)
        granted = answer if isinstance(answer, Granted) else granted
    order = [right for right, count in granted.rights.items() for _ in range(count)]
    dice.shuffle(order)
    for turn, right in enumerate(order):
        lent = {node: dice.randrange(4) for node in topology.nodes if dice.random() < 0.7}
        granted = bound_one(granted, right.group, right.kind, topology, **lent).granted
        later = Counter(each.kind for each in order[turn + 1 :])
        assert packs(topology, later, granted.bound)
    assert Counter(granted.bound.values()) == Counter(order)
    places = list(granted.bound)
    for number, place in enumerate(places):
        assert serves(topology, place.domain, granted.bound[place].kind)
        assert not any(overlap(topology, place, other) for other in places[number + 1 :])


def granted_all(topology: Topology, *wishes: tuple[int, dict[CellKind, int]]) -> Granted:
    granted = Granted()
    for group, wish in wishes:
        answer = grant(granted, group, wish, topology)
        assert isinstance(answer, Granted), answer
        granted = answer
    return granted


def bound_one(granted: Granted, group: int, kind: CellKind, topology: Topology, **lent: int) -> Bound:
    answer = bind(granted, group, kind, topology, lent=lent)
    assert isinstance(answer, Bound), answer
    return answer


def test_a_wish_of_leaves_and_nodes_is_granted_as_a_whole_or_not_at_all() -> None:
    topology = spines([4, 4], [4, 4])
    granted = granted_all(topology, (1, {leaf(4): 2, NODE: 3}))
    answer = grant(granted, 2, {leaf(4): 1, NODE: 2}, topology)
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.group, answer.field) == (RefusalCode.CELLS_EXCEEDED, 2, "h100 node of 1")
    assert answer.numbers == {"asked": 2, "limit": 1, "short": 1, "granted": 3, "bad": 0}
    assert isinstance(grant(granted, 2, {leaf(4): 1, NODE: 1}, topology), Granted)


def test_eight_free_nodes_are_no_leaf() -> None:
    # The anomaly that cells are there to prevent: enough nodes, but none of them together.
    topology = spines([2, 2], [2, 2])
    granted = granted_all(topology, (1, {NODE: 5}))
    assert isinstance(grant(granted, 2, {leaf(2): 1}, topology), Granted)
    assert isinstance(grant(granted, 2, {leaf(2): 2}, topology), Refusal)


def test_nodes_are_taken_from_the_leaf_and_the_spine_that_are_broken_already() -> None:
    topology = spines([2, 2], [2, 2])
    granted = granted_all(topology, (1, {NODE: 4}), (2, {leaf(2): 2}))
    lent = dict.fromkeys(sorted(topology.nodes.keys() - {"s1l1n1"}), 1)
    domains = []
    for _ in range(4):
        answer = bound_one(granted, 1, NODE, topology, **lent)
        domains += answer.domains
        granted, lent = answer.granted, {}
    assert domains == ["s1l1n1", "s1l1n0", "s1l0n0", "s1l0n1"]


def test_the_domain_that_loses_least_is_called_back() -> None:
    topology = spines([2, 2], [2])
    granted = granted_all(topology, (1, {leaf(2): 1}))
    answer = bound_one(granted, 1, leaf(2), topology, s0l0n0=5, s0l1n0=3, s0l1n1=1, s1l0n0=9)
    assert (answer.domains, answer.called_back) == (("s0l1",), ("s0l1n0", "s0l1n1"))


def test_a_domain_that_others_need_is_spared_though_it_would_lose_less() -> None:
    topology = spines([2, 2], [2, 1])
    granted = granted_all(topology, (1, {leaf(2): 1}), (2, {spine(4): 1}))
    answer = bound_one(granted, 1, leaf(2), topology, s1l0n0=100)
    assert (answer.domains, answer.called_back) == (("s1l0",), ("s1l0n0",))


def test_a_domain_in_which_others_have_their_place_is_taken_when_they_find_another() -> None:
    topology = spines([2], [2])
    granted = granted_all(topology, (1, {leaf(2): 1}), (2, {NODE: 1}))
    assert granted.reserved == {leaf(2): ("s0l0",), NODE: ("s1l0n0",)}
    answer = bound_one(granted, 1, leaf(2), topology, s0l0n0=1)
    assert answer.domains == ("s1l0",)
    assert answer.granted.reserved == {NODE: ("s0l0n0",)}


def test_nothing_is_bound_inside_of_what_another_has_bound() -> None:
    topology = spines([3], [3])
    granted = granted_all(topology, (1, {leaf(3): 1}), (2, {NODE: 2}))
    granted = bound_one(granted, 1, leaf(3), topology, s1l0n0=1).granted
    answer = bind(granted, 2, NODE, topology, cells=2)
    assert isinstance(answer, Bound)
    assert answer.domains == ("s1l0n0", "s1l0n1")


def test_a_domain_is_bound_once_for_each_gpu_class_in_it() -> None:
    topology = with_other(spines([2]))
    mine, theirs = Right(1, leaf(2)), Right(2, leaf(1, OTHER_CLASS))
    granted = granted_all(topology, (1, {mine.kind: 1}), (2, {theirs.kind: 1}))
    for right in (mine, theirs):
        granted = bound_one(granted, right.group, right.kind, topology).granted
    assert granted.bound == {Place(GPU_CLASS, "s0l0"): mine, Place(OTHER_CLASS, "s0l0"): theirs}
    settled = settle(granted, topology.with_bad({"other"}))
    assert [(cell.domain, cell.right) for cell in settled.broken] == [("s0l0", theirs)]
    assert unbind(settled.granted, Place(GPU_CLASS, "s0l0")).reserved == {mine.kind: ("s0l0",)}


def test_a_gang_of_cells_is_bound_at_once() -> None:
    topology = spines([2, 2], [2, 2])
    granted = granted_all(topology, (1, {leaf(2): 3}))
    answer = bind(granted, 1, leaf(2), topology, cells=3, lent={"s0l1n0": 1})
    assert isinstance(answer, Bound)
    assert sorted(answer.domains) == ["s0l0", "s1l0", "s1l1"]
    assert isinstance(bind(answer.granted, 1, leaf(2), topology), Refusal)


def test_each_cell_of_a_gang_leaves_the_others_a_place_beside_all_of_them() -> None:
    topology = spines([3], [3], [2], [2])
    granted = granted_all(topology, (1, {leaf(2): 2}), (2, {NODE: 4}))
    assert granted.reserved[leaf(2)] == ("s2l0", "s3l0")
    answer = bind(granted, 1, leaf(2), topology, cells=2, lent={"s2l0n0": 1, "s3l0n0": 1})
    assert isinstance(answer, Bound)
    assert answer.domains == ("s0l0", "s1l0")
    assert answer.granted.reserved == {NODE: ("s2l0n0", "s2l0n1", "s3l0n0", "s3l0n1")}


def test_spares_stay_with_their_cell_and_carry_it_over_a_failure() -> None:
    topology = spines([18])
    granted = bound_one(granted_all(topology, (1, {leaf(16): 1})), 1, leaf(16), topology).granted
    assert isinstance(grant(granted, 2, {NODE: 1}, topology), Refusal)
    two_bad = topology.with_bad({"s0l0n0", "s0l0n1"})
    assert settle(granted, two_bad).granted == granted
    three_bad = topology.with_bad({"s0l0n0", "s0l0n1", "s0l0n2"})
    (broken,) = settle(granted, three_bad).broken
    assert (broken.domain, broken.healthy) == ("s0l0", 15)


def test_what_bound_cells_stand_in_the_way_of_is_told_from_what_is_too_much() -> None:
    topology = spines([1, 1], [1, 1])
    granted = granted_all(topology, (1, {NODE: 2}))
    for lent in ({"s0l1n0": 9, "s1l0n0": 9, "s1l1n0": 9}, {"s0l1n0": 9, "s1l0n0": 9, "s0l0n0": 9}):
        granted = bound_one(granted, 1, NODE, topology, **lent).granted
    answer = grant(granted, 2, {spine(2): 1}, topology)
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.CELLS_IN_THE_WAY


def test_claims_say_which_lent_nodes_each_cell_calls_back() -> None:
    topology = spines([2, 2])
    granted = granted_all(topology, (1, {leaf(2): 1}), (2, {NODE: 1}))
    claims = callable_back(granted, topology, {"s0l0n0", "s0l1n1"})
    assert claims == (Claim(NODE, "s0l1n0", ()), Claim(leaf(2), "s0l0", ("s0l0n0",)))


def test_healthy_nodes_outside_of_bound_cells_may_be_lent() -> None:
    topology = spines([2, 2]).with_bad({"s0l1n0"})
    granted = bound_one(granted_all(topology, (1, {leaf(2): 1})), 1, leaf(2), topology).granted
    assert lendable(granted, topology, GPU_CLASS) == ("s0l1n1",)


def test_what_was_never_granted_or_bound_cannot_be_given_back() -> None:
    topology = spines([2])
    with pytest.raises(CellError):
        unbind(Granted(), Place(GPU_CLASS, "s0l0"))
    with pytest.raises(CellError):
        revoke(Granted(), 1, NODE, 1, topology)
    with pytest.raises(CellError):
        grant(Granted(), 1, {NODE: -1}, topology)
    with pytest.raises(CellError):
        bind(Granted(), 1, NODE, topology, cells=0)


def test_binding_on_nodes_that_failed_unnoticed_is_a_fault() -> None:
    topology = spines([2])
    granted = granted_all(topology, (1, {leaf(2): 1}))
    with pytest.raises(CellError, match="lost nodes"):
        bind(granted, 1, leaf(2), topology.with_bad({"s0l0n0"}))
