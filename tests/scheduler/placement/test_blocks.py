"""Racks as blocks with spares: spares stand in for what is not well, and gangs leave aligned parts whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.placement import blocks_oracle
from scheduler.placement.blocks import aligned_part, holders

#: An NVL72 rack: 18 nodes, of which 16 are a block.
RACK, BLOCK = 18, 16
FREE = st.sampled_from((1, 2, 4, 8, 16)).flatmap(lambda size: st.lists(st.booleans(), min_size=size, max_size=size))


@given(st.lists(st.booleans(), min_size=BLOCK, max_size=RACK))
def test_the_same_nodes_hold_a_block_as_the_oracle_says(well: list[bool]) -> None:
    found = [None if node < 0 else node for node in holders(np.array(well), BLOCK).tolist()]
    assert found == blocks_oracle.holders(well, BLOCK)


@given(st.sets(st.integers(0, RACK - 1)))
def test_of_a_rack_sixteen_nodes_are_had_while_no_more_than_two_are_bad(bad: set[int]) -> None:
    nodes = holders(np.array([node not in bad for node in range(RACK)]), BLOCK)
    held = nodes[nodes >= 0].tolist()
    assert len(set(held)) == len(held) == min(BLOCK, RACK - len(bad))
    assert not bad & set(held)


@given(FREE, st.integers(1, 17))
def test_a_gang_sits_where_the_oracle_puts_it(free: list[bool], nodes: int) -> None:
    found = aligned_part(np.array(free), nodes)
    assert (None if found is None else found.tolist()) == blocks_oracle.aligned_part(free, nodes)


@given(FREE, st.sampled_from((1, 2, 4, 8, 16)))
def test_a_gang_of_a_power_of_two_sits_on_a_whole_aligned_part_where_there_is_one(free: list[bool], nodes: int) -> None:
    found = aligned_part(np.array(free), nodes)
    whole = [begin for begin in range(0, len(free) - nodes + 1, nodes) if all(free[begin : begin + nodes])]
    assert (found is not None) == bool(whole)
    if found is not None:
        assert found[0] in whole
        assert found.tolist() == list(range(found[0], found[0] + nodes))


@given(st.lists(st.sampled_from((1, 2, 4, 8, 16)), max_size=24))
def test_gangs_of_powers_of_two_find_a_part_as_long_as_so_many_nodes_are_free(gangs: list[int]) -> None:
    free = np.ones(BLOCK, np.bool_)
    for nodes in gangs:
        found = aligned_part(free, nodes)
        assert (found is not None) == (nodes <= free.sum())
        if found is not None:
            free[found] = False


def test_a_small_gang_is_put_beside_another_and_not_into_a_whole_half() -> None:
    free = np.ones(BLOCK, np.bool_)
    free[12:14] = False
    found = aligned_part(free, 2)
    assert found is not None
    assert found.tolist() == [14, 15]
