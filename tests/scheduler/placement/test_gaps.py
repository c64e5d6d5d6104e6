"""Where tasks smaller than a node go by what gaps will hold: as is said, and by the quick way as by the slow one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.placement.fragmentation import Task, columns, take
from scheduler.placement.fragmentation_oracle import NodeFacts, ways
from scheduler.placement.gaps import Coming, Weights, choose_gap, coming_tasks, used_of
from scheduler.placement.gaps_oracle import choose_gap_oracle, used_oracle
from tests.support.shared_gpus import facts_of, free_of, nodes, tasks

HALF, WHOLE_ONE, CORES = Task(1, 470, 1000, 0), Task(1, 1000, 1000, 0), Task(0, 0, 4000, 0)


def listed(coming: Coming) -> list[int]:
    return [int(share) for share, number in zip(coming.share, coming.number, strict=True) for _ in range(number)]


def counted(shares: Sequence[int], step: int = 10) -> Coming:
    counts = Counter(shares)
    sizes = sorted(counts, reverse=True)
    return Coming(np.array(sizes, dtype=np.int64), np.array([counts[size] for size in sizes], dtype=np.int64), step)


@given(
    st.lists(st.sampled_from(range(10, 1000, 10)), max_size=8),
    st.lists(st.sampled_from((50, 160, 230, 320, 470, 650)), max_size=16),
)
@settings(deadline=None)
def test_what_gaps_hold_is_what_tightest_first_puts_into_them(gaps: list[int], shares: list[int]) -> None:
    sizes = np.bincount(np.array(gaps, dtype=np.int64) // 10, minlength=101).astype(np.int64)
    assert used_of(sizes, counted(shares)) == used_oracle(gaps, shares)


@given(
    st.lists(nodes(), min_size=1, max_size=6),
    st.lists(tasks(), min_size=1, max_size=14),
    st.floats(0.0, 8.0),
    st.builds(Weights, st.integers(0, 1000), st.integers(0, 20), st.integers(0, 100)),
)
@settings(deadline=None)
def test_one_task_after_another_goes_where_the_slow_way_puts_it(
    standing: list[NodeFacts], arriving: list[Task], gpus: float, weights: Weights
) -> None:
    kinds, table = columns(arriving)
    free, coming = free_of(standing), coming_tasks(Counter(arriving), gpus)
    for task in arriving:
        kind, before = kinds.index(task), facts_of(free)
        node, gpu = choose_gap(free, table, kind, coming, weights)
        assert (node, gpu) == choose_gap_oracle(before, task, listed(coming), weights)
        if node >= 0:
            take(free, table, kind, node, gpu)
            before[node] = dict(ways(before[node], task))[gpu]
        assert facts_of(free) == before


def place(standing: Sequence[NodeFacts], task: Task, coming: Sequence[int]) -> tuple[int, int]:
    kinds, table = columns([task])
    return choose_gap(free_of(standing), table, kinds.index(task), counted(coming), Weights())


def test_tasks_to_come_are_as_many_as_ask_for_so_many_gpus() -> None:
    coming = coming_tasks(
        {HALF: 20, Task(1, 160, 0, 0): 10, Task(1, 470, 9, 0): 10, WHOLE_ONE: 4, CORES: 50}, gpus=9.85
    )
    assert (coming.share.tolist(), coming.number.tolist(), coming.step) == ([470, 160], [15, 5], 10)


def test_a_gap_is_kept_for_a_better_partner_while_few_have_one() -> None:
    standing = [NodeFacts((530,), 9000, 0), NodeFacts((1000,), 9000, 0)]
    assert place(standing, HALF, coming=[470] * 2) == (1, 0)
    assert place(standing, HALF, coming=[]) == (0, 0)


def test_a_small_task_goes_where_no_other_fits() -> None:
    standing = [NodeFacts((530,), 9000, 0), NodeFacts((190,), 9000, 0)]
    assert place(standing, Task(1, 160, 1000, 0), coming=[470]) == (1, 0)


def test_cores_alone_are_taken_where_few_gpus_need_them() -> None:
    assert place([NodeFacts((1000,) * 8, 96000, 0), NodeFacts((1000,) * 2, 96000, 0)], CORES, coming=[]) == (1, 0)


def test_a_whole_gpu_is_taken_from_the_node_that_has_fewest_where_cores_are_plenty() -> None:
    standing = [NodeFacts((1000,) * 4, 10**6, 0), NodeFacts((0, 0, 1000, 1000), 10**6, 0)]
    assert place(standing, WHOLE_ONE, coming=[]) == (1, 0)


def test_a_task_that_fits_nowhere_has_no_node() -> None:
    assert place([NodeFacts((460, 460), 8000, 0), NodeFacts((1000,), 500, 0)], HALF, coming=[470]) == (-1, 0)
