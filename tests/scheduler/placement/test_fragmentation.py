"""Where tasks smaller than a node go: as fragmentation gradient descent says, and by the quick way as by the slow one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.placement.fragmentation import Task, Tasks, choose, columns, fragment, nothing_known, take
from scheduler.placement.fragmentation_oracle import NodeFacts, choose_oracle, fragment_of, ways
from tests.support.shared_gpus import facts_of, free_of, nodes, tasks


def expected_of(kinds: Sequence[Task], table: Tasks) -> list[tuple[Task, int]]:
    return [(kind, int(weight)) for kind, weight in zip(kinds, table.weight, strict=True)]


@given(st.lists(nodes(), min_size=1, max_size=6), st.lists(tasks(), min_size=1, max_size=14), st.floats(0.1, 1.0))
@settings(deadline=None)
def test_one_task_after_another_goes_where_the_slow_way_puts_it(
    standing: list[NodeFacts], coming: list[Task], common: float
) -> None:
    kinds, table = columns(coming, common)
    free, known = free_of(standing), nothing_known(len(kinds), len(standing))
    for task in coming:
        kind, before = kinds.index(task), facts_of(free)
        node, gpu = choose(free, known, table, kind)
        assert (node, gpu) == choose_oracle(before, expected_of(kinds, table), task)
        if node >= 0:
            take(free, table, kind, node, gpu)
            before[node] = dict(ways(before[node], task))[gpu]
        assert facts_of(free) == before


@given(nodes(), st.lists(tasks(), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_nodes_fragment_is_what_each_expected_kind_could_not_use(node: NodeFacts, coming: list[Task]) -> None:
    kinds, table = columns(coming, 1.0)
    said = sum(weight * fragment_of(node, kind) for kind, weight in expected_of(kinds, table))
    assert fragment(np.array(node.share, dtype=np.int64), node.cpus, table) == said


@pytest.mark.parametrize(
    ("task", "useless"),
    [
        (Task(1, 470, 1000, 0), 300),  # too little on one GPU
        (Task(1, 1000, 1000, 0), 800),  # neither shared GPU is whole
        (Task(3, 1000, 1000, 0), 1800),  # one whole GPU is not three
        (Task(1, 470, 9000, 0), 1800),  # no cores
        (Task(0, 0, 1000, 0), 1800),  # wants no GPU
        (Task(1, 160, 1000, 10**6), 0),  # memory is no matter of fragments
    ],
)
def test_free_gpus_are_a_fragment_for_whoever_cannot_use_them(task: Task, useless: int) -> None:
    assert fragment_of(NodeFacts((300, 500, 1000), 8000, 64000), task) == useless


@pytest.mark.parametrize(("common", "weights"), [(0.5, [3, 0, 0]), (0.51, [3, 2, 0]), (0.84, [3, 2, 1])])
def test_kinds_are_expected_from_the_most_common_on_until_they_make_up_enough(
    common: float, weights: list[int]
) -> None:
    small, half, cores = Task(1, 160, 1000, 0), Task(1, 500, 1000, 0), Task(0, 0, 1000, 0)
    kinds, table = columns([half, small, half, cores, half, small], common)
    assert kinds == (half, small, cores)
    assert table.weight.tolist() == weights
    assert table.share.tolist() == [500, 160, 0]


def place(standing: Sequence[NodeFacts], expected: list[Task], task: Task) -> tuple[int, int]:
    kinds, table = columns(expected, common=1.0)
    return choose(free_of(standing), nothing_known(len(kinds), len(standing)), table, kinds.index(task))


def test_a_task_shares_a_gpu_that_is_broken_already_rather_than_break_a_whole_one() -> None:
    half, whole = Task(1, 500, 1000, 0), Task(1, 1000, 1000, 0)
    assert place([NodeFacts((1000, 500), 8000, 0)], [half, whole], half) == (0, 1)


def test_between_equal_nodes_the_first_is_taken() -> None:
    half = Task(1, 500, 1000, 0)
    assert place([NodeFacts((0,), 8000, 0), *[NodeFacts((1000,), 8000, 0)] * 2], [half], half) == (1, 0)


def test_falls_that_differ_by_less_than_the_published_step_are_equal() -> None:
    half, almost = Task(1, 500, 1000, 0), Task(1, 490, 1000, 0)
    leaves_30, leaves_20, leaves_none = (NodeFacts((share,), 8000, 0) for share in (530, 520, 500))
    assert place([leaves_30, leaves_20], [half, almost], half) == (0, 0)
    assert place([leaves_30, leaves_none], [half, almost], half) == (1, 0)


def test_a_task_that_fits_nowhere_has_no_node() -> None:
    half = Task(1, 500, 1000, 0)
    assert place([NodeFacts((490, 490), 8000, 0), NodeFacts((1000,), 500, 0)], [half], half) == (-1, 0)
