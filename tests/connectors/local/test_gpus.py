"""No GPU is in two runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from run_orders import node, run_order

from connectors.local.gpus import GpuIndices


def test_a_gang_gets_distinct_indices_lowest_first() -> None:
    gpus = GpuIndices([node("n-0", 8), node("n-1", 8)])
    order = run_order(1, gang=(("n-0", (0, 1)), ("n-1", (2,))), gpus_per_worker=4)
    assert gpus.take(order) == {0: (0, 1, 2, 3), 1: (4, 5, 6, 7), 2: (0, 1, 2, 3)}


def test_a_gang_that_does_not_fit_takes_nothing() -> None:
    gpus = GpuIndices([node("n-0", 8), node("n-1", 2)])
    order = run_order(1, gang=(("n-0", (0,)), ("n-1", (1,))), gpus_per_worker=4)
    assert "n-1 has 2 free GPUs, the run needs 4" in str(gpus.take(order))
    assert gpus.held("n-0") == 0


def test_unknown_nodes_and_missing_ranks_are_told() -> None:
    gpus = GpuIndices([node("n-0", 8)])
    assert "no node n-9" in str(gpus.take(run_order(1, gang=(("n-9", (0,)),))))
    assert "ranks" in str(gpus.take(run_order(1, gang=(("n-0", (1,)),))))
    assert gpus.held("n-0") == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5), st.integers(1, 5)), max_size=30))
def test_no_index_is_ever_held_twice(steps: list[tuple[bool, int, int]]) -> None:
    gpus = GpuIndices([node("n-0", 8)])
    held: dict[int, tuple[int, ...]] = {}
    for take, run_id, count in steps:
        if take and run_id not in held:
            taken = gpus.take(run_order(run_id, gang=(("n-0", (0,)),), gpus_per_worker=count))
            fits = sum(map(len, held.values())) + count <= 8
            assert isinstance(taken, dict) == fits
            if isinstance(taken, dict):
                held[run_id] = taken[0]
        elif not take:
            gpus.free(run_id)
            held.pop(run_id, None)
        indices = [index for run in held.values() for index in run]
        assert len(indices) == len(set(indices)) == gpus.held("n-0")
