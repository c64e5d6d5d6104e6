"""What nodes that fail take from granted cells: in proportion, by name, and no more than they must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

from cell_forests import COMMON_OF_BOTH, NODE, crowded, kinds, leaf, of_both, spine, spines, topologies
from hypothesis import given
from hypothesis import strategies as st

from quota.cells import Bound, Granted, Right, bind, grant
from quota.packing import CellKind
from quota.packing_oracle import packs
from quota.refusal import Refusal, RefusalCode
from quota.settlement import Shortfall, revoke, settle
from quota.topology import Place, Topology

RIGHTS = st.dictionaries(
    st.builds(Right, st.integers(1, 3), COMMON_OF_BOTH | kinds()), st.integers(1, 4), min_size=1, max_size=4
)


def handed_out(rights: Mapping[Right, int], topology: Topology) -> dict[Right, int]:
    """The sentence as a loop: one cell at a time, each time trying whether all can be held."""
    worth = dict.fromkeys(rights, 0)
    closed: set[Right] = set()

    def key(right: Right) -> tuple[Fraction, int, int, int]:
        turn = Fraction(2 * worth[right] + 1, rights[right])
        return turn, -right.kind.level, -right.kind.nodes, right.group

    while waiting := [right for right in rights if right not in closed and worth[right] < rights[right]]:
        right = min(waiting, key=key)
        cells: Counter[CellKind] = Counter({right.kind: 1})
        for each, count in worth.items():
            cells[each.kind] += count
        if packs(topology, cells):
            worth[right] += 1
        else:
            closed.add(right)
    return {right: count for right, count in worth.items() if count}


def granted_all(topology: Topology, *wishes: tuple[int, dict[CellKind, int]]) -> Granted:
    granted = Granted()
    for group, wish in wishes:
        answer = grant(granted, group, wish, topology)
        assert isinstance(answer, Granted), answer
        granted = answer
    return granted


def bound(granted: Granted, group: int, kind: CellKind, topology: Topology, *, cells: int = 1, **lent: int) -> Granted:
    answer = bind(granted, group, kind, topology, cells=cells, lent=lent)
    assert isinstance(answer, Bound), answer
    return answer.granted


@given(of_both(crowded() | topologies(nodes_max=8)), RIGHTS)
def test_rights_are_worth_what_handing_out_one_cell_at_a_time_gives(
    topology: Topology, rights: dict[Right, int]
) -> None:
    assert settle(Granted(rights=rights), topology).granted.worth == handed_out(rights, topology)


@given(of_both(crowded() | topologies(nodes_max=8)), RIGHTS, st.data())
def test_settling_twice_changes_nothing_the_second_time_and_uproots_nobody_for_nothing(
    sound: Topology, rights: dict[Right, int], data: st.DataObject
) -> None:
    topology = sound.with_bad(data.draw(st.sets(st.sampled_from(sorted(sound.nodes)), max_size=3)))
    sound = sound.with_bad(())
    granted = Granted()
    for right, cells in rights.items():
        answer = grant(granted, right.group, {right.kind: cells}, sound)
        granted = answer if isinstance(answer, Granted) else granted
    for right in data.draw(st.lists(st.sampled_from(sorted(rights)), max_size=5)):
        lent = data.draw(st.dictionaries(st.sampled_from(sorted(topology.nodes)), st.integers(0, 3)))
        cell = bind(granted, right.group, right.kind, sound, lent=lent)
        granted = cell.granted if isinstance(cell, Bound) else granted
    settled = settle(granted, topology)
    again = settle(settled.granted, topology)
    assert again.granted == settled.granted
    assert again.shortfalls == settled.shortfalls
    assert (again.broken, again.demoted, again.uprooted) == ((), (), ())
    for cell in settled.uprooted:
        stay = [*settled.granted.bound, Place(cell.right.kind.gpu_class, cell.domain)]
        left: Counter[CellKind] = Counter()
        for right, count in settled.granted.worth.items():
            left[right.kind] += count
        left -= Counter([*(right.kind for right in settled.granted.bound.values()), cell.right.kind])
        assert not packs(topology, left, stay), "where it lay, the rest could not have been held"


def test_a_lost_leaf_is_shared_between_leaves_and_nodes_in_proportion() -> None:
    topology = spines([4] * 4, [4] * 4)
    granted = granted_all(topology, (1, {leaf(4): 4}), (2, {NODE: 16}))
    settled = settle(granted, topology.with_bad({f"s0l0n{number}" for number in range(4)}))
    # The fourth leaf's turn comes after 14 nodes, which need the fourth leaf of the seven that are left.
    assert settled.granted.worth == {Right(1, leaf(4)): 3, Right(2, NODE): 16}
    assert settled.shortfalls == (Shortfall(Right(1, leaf(4)), 4, 3),)


def test_a_bad_node_costs_a_node_where_leaves_can_move() -> None:
    topology = spines([4, 4])
    granted = bound(granted_all(topology, (1, {leaf(4): 1}), (2, {NODE: 4})), 1, leaf(4), topology)
    settled = settle(granted, topology.with_bad({"s0l0n0"}))
    assert [(cell.domain, cell.healthy) for cell in settled.broken] == [("s0l0", 3)]
    assert settled.granted.worth == {Right(1, leaf(4)): 1, Right(2, NODE): 3}
    assert settled.granted.reserved == {leaf(4): ("s0l1",), NODE: ("s0l0n1", "s0l0n2", "s0l0n3")}


def test_two_groups_of_one_kind_lose_in_proportion_and_those_bound_last_are_demoted() -> None:
    topology = spines([1] * 9)
    granted = granted_all(topology, (1, {leaf(1): 6}), (2, {leaf(1): 3}))
    granted = bound(granted, 1, leaf(1), topology, cells=6)
    settled = settle(granted, topology.with_bad({"s0l6n0", "s0l7n0", "s0l8n0"}))
    assert settled.granted.worth == {Right(1, leaf(1)): 4, Right(2, leaf(1)): 2}
    assert [cell.domain for cell in settled.demoted] == ["s0l4", "s0l5"]
    back = settle(settled.granted, topology)
    assert back.granted.worth == granted.rights
    assert back.shortfalls == ()


def test_the_order_of_binding_outlives_a_settlement_that_takes_nothing() -> None:
    topology = spines([1, 1, 1])
    granted = bound(granted_all(topology, (1, {NODE: 2})), 1, NODE, topology, s0l0n0=1, s0l1n0=1)
    granted = bound(granted, 1, NODE, topology)
    settled = settle(granted, topology.with_bad({"s0l1n0"})).granted
    assert settled.bound_of(Right(1, NODE)) == ("s0l2n0", "s0l0n0")


def test_a_cell_is_uprooted_when_another_cannot_be_held_beside_it() -> None:
    topology = spines([1, 1], [1, 1], [1, 1])
    granted = granted_all(topology, (1, {spine(2): 1}), (2, {NODE: 2}))
    granted = bound(granted, 2, NODE, topology, s0l0n0=9, s0l1n0=9, s1l0n0=9, s1l1n0=9)
    granted = bound(granted, 2, NODE, topology, s0l0n0=9, s0l1n0=9, s1l1n0=9, s2l0n0=9, s2l1n0=9)
    assert sorted(granted.bound_of(Right(2, NODE))) == ["s1l0n0", "s2l0n0"]
    settled = settle(granted, topology.with_bad({"s0l0n0"}))
    assert settled.shortfalls == ()
    assert [cell.domain for cell in settled.uprooted] == ["s1l0n0"]
    assert settled.granted.reserved == {spine(2): ("s1",), NODE: ("s0l1n0",)}


def test_only_the_cell_that_is_in_the_way_is_uprooted_though_it_was_bound_first() -> None:
    topology = spines([1, 1], [1, 1], [1])
    granted = granted_all(topology, (1, {spine(2): 1}), (2, {NODE: 2}))
    granted = bound(granted, 2, NODE, topology, s0l1n0=1, s1l0n0=1, s1l1n0=1, s2l0n0=1)
    granted = bound(granted, 2, NODE, topology, s0l1n0=1, s1l0n0=1, s1l1n0=1)
    assert granted.bound_of(Right(2, NODE)) == ("s0l0n0", "s2l0n0")
    settled = settle(granted, topology.with_bad({"s1l0n0"}))
    assert [cell.domain for cell in settled.uprooted] == ["s0l0n0"]
    assert settled.granted.bound_of(Right(2, NODE)) == ("s2l0n0",)


def test_of_cells_whose_turn_comes_at_once_the_larger_is_held() -> None:
    topology = spines([2], [1])
    granted = granted_all(topology, (1, {NODE: 1}), (2, {leaf(2): 1}))
    settled = settle(granted, topology.with_bad({"s1l0n0"}))
    assert settled.shortfalls == (Shortfall(Right(1, NODE), 1, 0),)


def test_what_one_group_gives_up_heals_the_short_rights_of_another() -> None:
    topology = spines([1] * 4)
    granted = granted_all(topology, (1, {NODE: 2}), (2, {NODE: 2}))
    ailing = topology.with_bad({"s0l0n0"})
    short = settle(granted, ailing)
    assert short.shortfalls == (Shortfall(Right(2, NODE), 2, 1),)
    healed = revoke(short.granted, 1, NODE, 1, ailing)
    assert healed.shortfalls == ()
    assert healed.granted.rights == {Right(1, NODE): 1, Right(2, NODE): 2}


def test_a_short_right_binds_what_it_is_worth_and_no_more() -> None:
    topology = spines([1] * 3)
    ailing = topology.with_bad({"s0l0n0"})
    short = settle(granted_all(topology, (1, {NODE: 3})), ailing).granted
    refusal = bind(short, 1, NODE, ailing, cells=3)
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.GUARANTEE_REACHED
    assert refusal.numbers == {"asked": 3, "used": 0, "reserved": 0, "limit": 2, "free": 2, "short": 1}
    assert sorted(bound(short, 1, NODE, ailing, cells=2).bound_of(Right(1, NODE))) == ["s0l1n0", "s0l2n0"]


def test_groups_that_give_up_everything_have_no_rights_left() -> None:
    topology = spines([1])
    granted = bound(granted_all(topology, (1, {NODE: 1})), 1, NODE, topology)
    settled = revoke(granted, 1, NODE, 1, topology)
    assert settled.granted == Granted()
    assert [cell.domain for cell in settled.demoted] == ["s0l0n0"]
