"""Placement: the fast pool and the slow oracle give the same nodes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.shape import Topology
from scheduler.placement import oracle
from scheduler.placement.oracle import FreeNode
from scheduler.placement.pool import Pool
from scheduler.placement.request import Request

DOMAINS = st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), st.sampled_from("ef"))
NODES = st.lists(st.tuples(DOMAINS, st.integers(0, 8), st.integers(0, 16), st.integers(0, 64)), max_size=12)
REQUESTS = st.builds(
    Request,
    workers=st.integers(1, 6),
    gpus=st.integers(1, 4),
    cpus=st.integers(0, 8),
    memory_mib=st.integers(0, 32),
    topology=st.sampled_from(list(Topology)),
)
Facts = list[tuple[tuple[str, str, str], int, int, int]]


def pool_of(facts: Facts) -> Pool:
    columns = [np.array([each[index] for each in facts], dtype=np.int64) for index in (1, 2, 3)]
    names = [f"node-{number:02}" for number in range(len(facts))]
    return Pool(names, [each[0] for each in facts], *columns)


def free_nodes(facts: Facts) -> list[FreeNode]:
    return [FreeNode(index, *each) for index, each in enumerate(facts)]


@given(NODES, st.lists(REQUESTS, max_size=8))
def test_gang_after_gang_goes_where_the_oracle_puts_it(facts: Facts, requests: list[Request]) -> None:
    pool, nodes = pool_of(facts), free_nodes(facts)
    for request in requests:
        for level in request.levels():
            placement = pool.place(request, level)
            assert placement == oracle.place(nodes, request, level)
            if placement is not None:
                pool.take(request, placement)
                for index, workers in placement:
                    nodes[index].gpus -= workers * request.gpus
                    nodes[index].cpus -= workers * request.cpus
                    nodes[index].memory_mib -= workers * request.memory_mib
                break
        assert [pool.free_of(node.index) for node in nodes] == [(n.gpus, n.cpus, n.memory_mib) for n in nodes]
        assert pool.free_gpus == sum(node.gpus for node in nodes)


@given(NODES, REQUESTS)
def test_what_a_copy_takes_does_not_reach_the_original(facts: Facts, request: Request) -> None:
    pool = pool_of(facts)
    twin = pool.copy()
    placement = twin.place(request, Topology.SITE)
    if placement is not None:
        twin.take(request, placement)
    assert [pool.free_of(index) for index in range(len(facts))] == [each[1:] for each in facts]


@given(NODES, REQUESTS)
def test_workers_max_is_the_largest_gang_that_a_site_holds(facts: Facts, request: Request) -> None:
    most = pool_of(facts).workers_max(request)
    fits = Request(most, request.gpus, request.cpus, request.memory_mib, Topology.ANY)
    more = Request(most + 1, request.gpus, request.cpus, request.memory_mib, Topology.ANY)
    if most:
        assert pool_of(facts).place(fits, Topology.SITE) is not None
    assert pool_of(facts).place(more, Topology.SITE) is None
