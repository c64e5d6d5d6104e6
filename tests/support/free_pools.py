"""Nodes with anything free in any domain, as a pool and as its oracles see them; and requests for them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from scheduler.model.shape import Topology
from scheduler.placement.oracle import FreeNode
from scheduler.placement.pool import Pool, PoolLayout, share_of
from scheduler.placement.request import Request

#: GPUs, CPUs and memory of every node, of which something may be taken.
WHOLE = (8, 16, 64)
#: (hall, spine, leaf), or a prefix.
DOMAINS = st.builds(
    lambda path, depth: path[:depth],
    st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), st.sampled_from("ef")),
    st.sampled_from((3, 3, 3, 2, 1, 0)),
)
NODES = st.lists(st.tuples(DOMAINS, st.integers(0, 8), st.integers(0, 16), st.integers(0, 64)), max_size=12)
REQUESTS = st.builds(
    Request,
    workers=st.integers(1, 6),
    gpus=st.integers(1, 4),
    cpus=st.integers(0, 8),
    memory_mib=st.integers(0, 32),
    topology=st.sampled_from(list(Topology)),
)
Facts = list[tuple[tuple[str, ...], int, int, int]]


def pool_of(facts: Facts) -> Pool:
    """A pool of such nodes, named in their order."""
    columns = [np.array([each[index] for each in facts], dtype=np.int64) for index in (1, 2, 3)]
    names = [f"node-{number:02}" for number in range(len(facts))]
    return Pool(PoolLayout.of(names, [each[0] for each in facts], [WHOLE] * len(facts)), *columns)


def free_nodes(facts: Facts) -> list[FreeNode]:
    """The same for oracles."""
    return [FreeNode(index, *each, share=share_of(*WHOLE)) for index, each in enumerate(facts)]
