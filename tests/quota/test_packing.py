"""Packing against trying everything, on forests that are anything but uniform."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from cell_forests import GPU_CLASS, NODE, leaf, spine, spines, topologies, wishes
from example_count import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from quota.cell_shape import Level
from quota.errors import CellError
from quota.packing import CellKind, Packing, Unpacked, pack
from quota.packing_oracle import overlap, packs, serves
from quota.topology import Place, Topology


def packed(topology: Topology, wanted: Mapping[CellKind, int], choices_max: int = 10_000) -> Packing | Unpacked:
    """Pack, and see that places are apart, serve their kind and are as many as wanted."""
    forest = topology.of_class(GPU_CLASS)
    answer = pack(forest, forest.roots, wanted, choices_max)
    if isinstance(answer, Packing):
        places = [
            (kind, Place(GPU_CLASS, forest.names[each])) for kind, found in answer.places.items() for each in found
        ]
        assert Counter(kind for kind, _ in places) == Counter(wanted)
        assert all(serves(topology, place.domain, kind) for kind, place in places)
        for number, (_, place) in enumerate(places):
            assert not any(overlap(topology, place, other) for _, other in places[number + 1 :])
    return answer


@settings(max_examples=examples(300))
@given(topologies(), wishes())
def test_cells_are_packed_exactly_where_trying_everything_packs_them(
    topology: Topology, wanted: Mapping[CellKind, int]
) -> None:
    answer = packed(topology, wanted)
    assert isinstance(answer, Packing) == packs(topology, wanted)
    if isinstance(answer, Unpacked):
        assert answer.proven


@given(topologies(nodes_max=14), wishes(), st.sampled_from((0, 1, 2)))
def test_who_may_make_few_choices_gives_up_and_never_packs_wrongly(
    topology: Topology, wanted: Mapping[CellKind, int], choices_max: int
) -> None:
    hasty, patient = packed(topology, wanted, choices_max), packed(topology, wanted)
    assert hasty in (patient, Unpacked(proven=False))


@given(topologies(), wishes(), st.data())
def test_cells_are_packed_beside_held_domains_exactly_where_trying_everything_does(
    topology: Topology, wanted: Mapping[CellKind, int], data: st.DataObject
) -> None:
    forest = topology.of_class(GPU_CLASS)
    held: list[Place] = []
    for name in data.draw(st.lists(st.sampled_from(forest.names), max_size=3)):
        place = Place(GPU_CLASS, name)
        if not any(overlap(topology, place, other) for other in held):
            held.append(place)
    free = forest.free(forest.positions[place.domain] for place in held)
    assert isinstance(pack(forest, free, wanted, 10_000), Packing) == packs(topology, wanted, held)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 6), st.integers(0, 9), st.integers(0, 40))
def test_uniform_domains_need_one_choice_a_kind_and_follow_the_count_of_hived(
    shape: list[int], wide: int, narrow: int, single: int
) -> None:
    fanout, size = len(shape), shape[0]
    topology = spines(*[[size] * fanout] * 3)
    count = wide <= 3 and narrow <= (3 - wide) * fanout and single <= ((3 - wide) * fanout - narrow) * size
    answer = packed(topology, {spine(fanout * size): wide, leaf(size): narrow, NODE: single}, choices_max=3)
    assert isinstance(answer, Packing) == count


def test_the_wide_cell_takes_the_domain_that_the_narrow_ones_need_least() -> None:
    topology = spines([4, 1], [2, 2, 2])  # five nodes and one big leaf, or six nodes and none
    answer = packed(topology, {spine(5): 1, leaf(4): 1}, choices_max=2)
    assert isinstance(answer, Packing)
    forest = topology.of_class(GPU_CLASS)
    assert [forest.names[place] for place in answer.places[spine(5)]] == ["s1"]


def test_a_first_choice_that_does_not_work_out_is_taken_back() -> None:
    topology = spines([3, 1], [2], [4], [3])  # a leaf of 4 is worth least as a leaf of 3, and too much in nodes
    wanted = {spine(3): 2, leaf(3): 1, NODE: 3}
    assert packed(topology, wanted, choices_max=len(wanted)) == Unpacked(proven=False)
    assert isinstance(packed(topology, wanted), Packing)


def test_who_gives_up_proves_nothing() -> None:
    assert packed(spines([2, 2]), {leaf(2): 1}, choices_max=0) == Unpacked(proven=False)


def test_bad_nodes_leave_a_leaf_a_smaller_one() -> None:
    topology = spines([3, 3]).with_bad({"s0l0n0"})
    assert isinstance(packed(topology, {leaf(3): 1, leaf(2): 1}), Packing)
    assert packed(topology, {leaf(3): 2}) == Unpacked(proven=True)


@pytest.mark.parametrize(("level", "nodes"), [(Level.NODE, 2), (Level.LEAF, 0)])
def test_cells_without_nodes_and_nodes_of_several_do_not_exist(level: Level, nodes: int) -> None:
    with pytest.raises(CellError):
        CellKind(GPU_CLASS, level, nodes)
