"""The cheapest cover: arrays, bounds and the programme give what trying everything gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.placement.cover import Cover, Options, cheapest_cover, cheapest_ways
from scheduler.placement.victims_oracle import WayFacts, cover_oracle

#: Few different costs make many ties; large ones leave int64.
COSTS = st.one_of(st.integers(0, 3), st.integers(0, 100), st.integers(2**58, 2**60))
GANGS = st.lists(st.tuples(COSTS, st.integers(0, 5)), max_size=9)
WAYS = st.builds(WayFacts, freed=st.integers(0, 5), cost=COSTS, ended=st.integers(0, 2), touched=st.integers(1, 3))
CANDIDATES = st.lists(st.lists(WAYS, min_size=1, max_size=4), max_size=5)
NEEDED = st.integers(0, 14)


def cover_of(gangs: list[tuple[int, int]], needed: int) -> tuple[int, ...] | None:
    costs, freed = (np.array([each[column] for each in gangs], dtype=np.int64) for column in range(2))
    return cheapest_cover(costs, freed, needed)


def ways_of(candidates: list[list[WayFacts]], needed: int) -> Cover | None:
    flat = [(number, *way) for number, ways in enumerate(candidates) for way in ways]
    return cheapest_ways(Options(*np.array(flat, dtype=np.int64).reshape(-1, 5).T), needed)


@given(GANGS, NEEDED)
def test_gangs_are_chosen_as_by_trying_all_subsets(gangs: list[tuple[int, int]], needed: int) -> None:
    best = cover_oracle([[WayFacts(freed, cost, 1, 1)] for cost, freed in gangs], needed)
    chosen = None if best is None else tuple(index for index, pick in enumerate(best[0]) if pick is not None)
    assert cover_of(gangs, needed) == chosen


@given(CANDIDATES, NEEDED)
def test_ways_are_chosen_as_by_trying_everything(candidates: list[list[WayFacts]], needed: int) -> None:
    cover, best = ways_of(candidates, needed), cover_oracle(candidates, needed)
    assert (cover is None) == (best is None)
    if cover is not None and best is not None:
        begins = np.cumsum([0, *map(len, candidates)]).tolist()
        expected = (begin + pick for begin, pick in zip(begins, best[0], strict=False) if pick is not None)
        assert (cover.ways, cover.cost) == (tuple(expected), best[1])
        assert 0 <= cover.lower_bound <= cover.cost


@given(GANGS, NEEDED)
def test_without_any_one_victim_it_would_be_no_cover(gangs: list[tuple[int, int]], needed: int) -> None:
    chosen = cover_of(gangs, needed) or ()
    freed = sum(gangs[index][1] for index in chosen)
    assert all(freed - gangs[index][1] < needed for index in chosen)


#: Costs so near to what a node is worth that no bound settles anything.
LIKE_GANGS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 8)), min_size=30, max_size=60)


@given(LIKE_GANGS, st.integers(1, 20), st.sampled_from([37, 45, 48]))
def test_costs_beyond_int64_choose_like_small_ones(gangs: list[tuple[int, int]], needed: int, bits: int) -> None:
    small = [(extra + 1000 * freed, freed) for extra, freed in gangs]
    large = [(cost << bits, freed) for cost, freed in small]
    assert cover_of(large, needed) == cover_of(small, needed)


def test_of_equally_cheap_covers_the_one_with_fewer_victims_then_lower_indices_is_taken() -> None:
    assert cover_of([(5, 1), (5, 1), (10, 2), (10, 2)], 2) == (2,)
    assert cover_of([(5, 2), (5, 2), (5, 2)], 4) == (0, 1)


def test_what_frees_nothing_is_not_taken_even_for_nothing() -> None:
    assert cover_of([(0, 0), (7, 3)], 2) == (1,)


def test_two_ways_of_one_candidate_do_not_count_as_two_candidates() -> None:
    costs = ([4], [0, 2], [4, 2])
    cover = ways_of([[WayFacts(3, cost, 1, 1) for cost in each] for each in costs], 4)
    assert cover is not None
    assert (cover.ways, cover.cost) == ((1, 4), 2)


def test_the_bound_is_the_cost_where_gangs_are_single_nodes() -> None:
    cover = ways_of([[WayFacts(1, cost, 1, 1)] for cost in (9, 3, 5, 4)], 2)
    assert cover == Cover((1, 3), 7, 7)


def test_all_gangs_together_may_be_too_few() -> None:
    assert cover_of([(1, 2), (1, 3)], 6) is None
    assert cover_of([], 1) is None
    assert cover_of([], 0) == ()
