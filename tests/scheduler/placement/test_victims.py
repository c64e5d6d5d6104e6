"""Victims: the cheapest whole nodes, nobody ended in vain, and an honest word on how good the choice is."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.placement.occupancy import NEVER, Occupancy
from scheduler.placement.victims import (
    CHOICES_MAX,
    Shrunk,
    Victims,
    cheapest_nodes,
    lost_work,
)
from scheduler.placement.victims_oracle import emptied_by, nodes_oracle

#: A run: workers by node, cost to end it, workers it can drop, cost of each.
Facts = tuple[dict[int, int], int, int, int]
STANDING = st.dictionaries(st.integers(0, 5), st.integers(1, 3), min_size=1, max_size=3)
COSTS = st.one_of(st.integers(0, 4), st.integers(0, 1000), st.just(NEVER))
DROPPABLE = st.one_of(st.just(0), st.integers(0, 6))
RUNS = st.lists(st.tuples(STANDING, COSTS, DROPPABLE, st.integers(0, 3)), max_size=5)


def occupancy_of(runs: list[Facts], nodes: int = 6) -> Occupancy:
    entries = [(run, node, workers) for run, facts in enumerate(runs) for node, workers in facts[0].items()]
    run_of, node_of, workers_of = np.array(entries, dtype=np.int64).reshape(-1, 3).T
    costs, droppable, shrink_costs = (np.array([facts[each] for facts in runs], dtype=np.int64) for each in (1, 2, 3))
    return Occupancy(nodes, run_of, node_of, workers_of, costs, droppable, shrink_costs)


def assert_is_lawful_and_minimal(runs: list[Facts], victims: Victims, needed: int) -> None:
    occupancy = occupancy_of(runs)
    left = [(each.run, node) for each in victims.shrunk for node in each.nodes]
    empty = emptied_by(occupancy, victims.ended, left)
    was_empty = emptied_by(occupancy, (), ())
    assert set(victims.emptied) == empty - was_empty
    assert len(empty) >= needed
    assert all(runs[run][1] != NEVER for run in victims.ended)
    for each in victims.shrunk:
        assert each.workers == sum(runs[each.run][0][node] for node in each.nodes) <= runs[each.run][2]
    cost = sum(runs[run][1] for run in victims.ended) + sum(runs[each.run][3] * each.workers for each in victims.shrunk)
    assert victims.cost == cost >= victims.lower_bound >= 0
    for run in victims.ended:
        assert len(emptied_by(occupancy, set(victims.ended) - {run}, left)) < needed
    for pair in left:
        assert len(emptied_by(occupancy, victims.ended, set(left) - {pair})) < needed


@given(RUNS, st.integers(0, 6))
def test_small_components_are_emptied_as_by_trying_everything(runs: list[Facts], needed: int) -> None:
    best, victims = nodes_oracle(occupancy_of(runs), needed), cheapest_nodes(occupancy_of(runs), needed)
    assert (victims is None) == (best is None)
    if victims is not None:
        assert_is_lawful_and_minimal(runs, victims, needed)
        assert victims.optimal
        assert (victims.cost, len(victims.ended), len(victims.ended) + len(victims.shrunk)) == best


@given(RUNS, st.integers(0, 6))
@example([({0: 1, 2: 1}, 8, 0, 3), ({0: 1}, 0, 0, 1)], 5)  # the greedy rule ends one run too many
@example([({3: 1, 4: 2}, 8, 0, 1), ({1: 2, 3: 1}, 2, 4, 0)], 5)  # it shrinks one too much
def test_large_components_are_emptied_without_an_idle_victim_between_honest_bounds(
    runs: list[Facts], needed: int
) -> None:
    best, victims = nodes_oracle(occupancy_of(runs), needed), cheapest_nodes(occupancy_of(runs), needed, choices_max=1)
    if victims is None:
        assert best is None or any(facts[1] == NEVER for facts in runs)
    else:
        assert best is not None
        assert_is_lawful_and_minimal(runs, victims, needed)
        assert victims.lower_bound <= best.cost <= victims.cost
        assert victims.cost == best.cost or not victims.optimal


@given(RUNS, st.integers(0, 6), st.sampled_from([1, CHOICES_MAX]), st.randoms(use_true_random=False))
def test_the_order_in_which_entries_come_does_not_matter(
    runs: list[Facts], needed: int, choices_max: int, dice: Random
) -> None:
    whole = occupancy_of(runs)
    order = list(range(len(whole.run_of)))
    dice.shuffle(order)
    columns = (column[order] for column in (whole.run_of, whole.node_of, whole.workers_of))
    shuffled = Occupancy(whole.nodes, *columns, whole.costs, whole.droppable, whole.shrink_costs)
    assert cheapest_nodes(shuffled, needed, choices_max) == cheapest_nodes(whole, needed, choices_max)


def test_a_gang_frees_all_its_nodes_and_small_runs_only_together() -> None:
    gang: Facts = ({0: 8, 1: 8}, 100, 0, 0)
    small: list[Facts] = [({2: 1}, 20, 0, 0), ({2: 4}, 15, 0, 0)]
    occupancy = occupancy_of([gang, *small], nodes=3)
    assert cheapest_nodes(occupancy, 1) == Victims((1, 2), (), (2,), 35, 35, True)
    assert cheapest_nodes(occupancy, 2) == Victims((0,), (), (0, 1), 100, 85, True)


def test_shrinking_comes_before_ending() -> None:
    elastic: Facts = ({0: 2, 1: 2, 2: 2, 3: 2}, 100, 4, 0)
    rigid: Facts = ({4: 8}, 0, 0, 0)
    victims = cheapest_nodes(occupancy_of([elastic, rigid], nodes=5), 2)
    assert victims == Victims((), (Shrunk(0, (0, 1), 4),), (0, 1), 0, 0, True)


def test_a_run_shrinks_no_more_than_is_needed_even_if_that_costs_nothing() -> None:
    elastic: Facts = ({0: 1, 1: 1, 2: 1}, 9, 3, 0)
    beside: Facts = ({2: 1}, 5, 0, 0)
    victims = cheapest_nodes(occupancy_of([elastic, beside], nodes=3), 1)
    assert victims == Victims((), (Shrunk(0, (0,), 1),), (0,), 0, 0, True)


def test_a_run_that_shares_nodes_shrinks_where_ending_it_costs_as_much() -> None:
    elastic: Facts = ({0: 2, 1: 2}, 4, 2, 2)
    beside: Facts = ({1: 1}, 5, 0, 0)
    victims = cheapest_nodes(occupancy_of([elastic, beside], nodes=2), 1)
    assert victims == Victims((), (Shrunk(0, (0,), 2),), (0,), 4, 4, True)


def test_a_run_is_ended_where_shrinking_it_would_cost_more() -> None:
    victims = cheapest_nodes(occupancy_of([({0: 1}, 1, 5, 3)], nodes=1), 1)
    assert victims == Victims((0,), (), (0,), 1, 1, True)


def test_of_equally_good_choices_the_one_on_the_lowest_nodes_is_taken() -> None:
    tied: list[Facts] = [({0: 1, 1: 1}, 5, 0, 0), ({1: 1}, 5, 0, 0)]
    alone: Facts = ({2: 1}, 5, 0, 0)
    assert cheapest_nodes(occupancy_of([*tied, alone], nodes=3), 1) == Victims((0,), (), (0,), 5, 5, True)


def test_a_run_that_may_not_be_ended_may_still_shrink() -> None:
    victims = cheapest_nodes(occupancy_of([({0: 2, 1: 2}, NEVER, 2, 1)], nodes=2), 1)
    assert victims == Victims((), (Shrunk(0, (0,), 2),), (0,), 2, 2, True)


def test_nodes_of_runs_that_may_not_be_ended_are_left_alone() -> None:
    protected: Facts = ({0: 4, 1: 4}, NEVER, 0, 0)
    beside: Facts = ({1: 4, 2: 8}, 7, 0, 0)
    assert cheapest_nodes(occupancy_of([protected, beside], nodes=3), 1) == Victims((1,), (), (2,), 7, 7, True)
    assert cheapest_nodes(occupancy_of([protected, beside], nodes=3), 2) is None


def test_empty_nodes_count_and_cost_nothing() -> None:
    assert cheapest_nodes(occupancy_of([({0: 1}, 5, 0, 0)], nodes=3), 2) == Victims((), (), (), 0, 0, True)


def test_lost_work_counts_from_the_last_checkpoint_on_every_gpu() -> None:
    assert lost_work(90_000, 60_000, False, 16) == 16 * 30_000
    assert lost_work(90_000, None, False, 16) == 16 * 90_000
    assert lost_work(90_000, 95_000, False, 16) == 0


def test_a_run_that_checkpoints_on_the_signal_loses_only_what_it_declares() -> None:
    assert lost_work(90_000, None, True, 16) == 0
    assert lost_work(90_000, None, True, 16, checkpoint_cost_ms=500) == 16 * 500
