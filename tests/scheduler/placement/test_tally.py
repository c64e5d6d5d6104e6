"""Counts of what is free against looking at each pool and domain."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.placement.tally import tally

#: One node: free GPUs, pool, and its domains of three levels.
NODES = st.tuples(st.integers(0, 8), st.integers(0, 2), *[st.integers(0, 3)] * 3)


@given(st.lists(NODES, max_size=12))
def test_every_pool_and_domain_has_what_its_nodes_have(nodes: list[tuple[int, ...]]) -> None:
    columns = np.array(nodes, np.int64).reshape(-1, 5).T.copy()
    gpus, pool_of, domain = columns[0], columns[1], columns[2:] + np.array([[0], [4], [8]])
    pool_free, count, domain_free = tally(gpus, pool_of, domain, 3, 12)
    assert pool_free.tolist() == [sum(each[0] for each in nodes if each[1] == pool) for pool in range(3)]
    most = max((each[0] for each in nodes), default=0)
    assert count.tolist() == [
        [sum(each[:2] == (free, pool) for each in nodes) for free in range(most + 1)] for pool in range(3)
    ]
    assert domain_free.tolist() == [
        sum(each[0] for each in nodes if each[2 + number // 4] == number % 4) for number in range(12)
    ]
