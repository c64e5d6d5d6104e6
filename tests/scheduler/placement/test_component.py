"""Ways of a component: each does what it says, and the greedy ones grow."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.placement.component import (
    EVERYWHERE,
    Standing,
    Way,
    components,
    exact_ways,
    greedy_ways,
    relaxed_costs,
)
from scheduler.placement.occupancy import Leaving

RUNS = 4
STANDING = st.dictionaries(
    st.integers(0, 5),
    st.dictionaries(st.integers(0, RUNS - 1), st.integers(1, 3), min_size=1).map(lambda runs: sorted(runs.items())),
    min_size=1,
)
NUMBERS = st.lists(st.integers(0, 9), min_size=RUNS, max_size=RUNS)
LEAVING = st.builds(Leaving, NUMBERS, NUMBERS, NUMBERS)


def assert_does_what_it_says(way: Way, standing: Standing, leaving: Leaving) -> None:
    actions = set(way.actions[: way.steps])
    ended = {run for run, node in actions if node == EVERYWHERE}
    dropped: dict[int, int] = {}
    for node, runs in standing.items():
        for run, workers in runs:
            if run not in ended and (run, node) in actions:
                dropped[run] = dropped.get(run, 0) + workers
    gone = [all(run in ended or (run, node) in actions for run, _ in runs) for node, runs in standing.items()]
    assert all(workers <= leaving.droppable[run] for run, workers in dropped.items())
    cost = sum(leaving.cost[run] for run in ended)
    cost += sum(leaving.shrink_cost[run] * workers for run, workers in dropped.items())
    assert (cost, len(ended), len(ended) + len(dropped)) == (way.cost, way.ended, way.touched)
    assert sum(gone) >= way.freed


@given(STANDING, LEAVING)
def test_exact_ways_do_what_they_say_and_cost_more_the_more_they_free(standing: Standing, leaving: Leaving) -> None:
    ways = exact_ways(standing, leaving, 10_000)
    assert ways is not None
    assert [way.freed for way in ways] == sorted({way.freed for way in ways})
    assert [way[1:4] for way in ways] == sorted(way[1:4] for way in ways)
    for way in ways:
        assert_does_what_it_says(way, standing, leaving)


@given(STANDING, LEAVING, st.integers(1, 6))
@example({0: [(0, 1)], 1: [(0, 1)]}, Leaving([9] * 4, [2] * 4, [1] * 4), 2)
def test_greedy_ways_do_what_they_say_and_each_goes_on_from_the_one_before(
    standing: Standing, leaving: Leaving, needed: int
) -> None:
    ways = greedy_ways(standing, leaving, needed)
    assert ways[-1].freed >= min(needed, len(standing))
    assert [way.freed for way in ways] == sorted({way.freed for way in ways})
    for way in ways:
        assert_does_what_it_says(way, standing, leaving)
        assert list(way.actions[: way.steps]) == list(ways[-1].actions[: way.steps])


@given(STANDING, LEAVING)
def test_no_way_costs_less_than_the_relaxed_prices_of_as_many_nodes(standing: Standing, leaving: Leaving) -> None:
    prices = sorted(relaxed_costs(standing, leaving))
    for way in exact_ways(standing, leaving, 10_000) or ():
        assert sum(prices[: way.freed]) <= way.cost


@given(STANDING)
def test_no_run_stands_in_two_components(standing: Standing) -> None:
    parts = components(standing)
    runs = [{run for on_node in part.values() for run, _ in on_node} for part in parts]
    assert sorted(node for part in parts for node in part) == sorted(standing)
    assert sum(map(len, runs)) == len(set().union(*runs))
    assert [min(part) for part in parts] == sorted(min(part) for part in parts)


def test_too_many_choices_are_left_to_others() -> None:
    assert exact_ways({0: [(0, 1)], 1: [(0, 1), (1, 1)]}, Leaving([1, 1], [0, 0], [0, 0]), 3) is None
