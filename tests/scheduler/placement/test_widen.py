"""More places for a gang: near those that it has, as the slow oracle finds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from free_pools import DOMAINS, NODES, REQUESTS, Facts, free_nodes, pool_of
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.shape import Topology
from scheduler.placement import widen_oracle
from scheduler.placement.request import Request
from scheduler.placement.widen import more_places

ONE_GPU = Request(1, 1, 0, 0, Topology.ANY)


@given(st.data(), NODES, REQUESTS, st.sampled_from(list(Topology)), st.integers(0, 20))
def test_more_places_are_those_of_the_oracle(
    data: st.DataObject, facts: Facts, request: Request, required: Topology, workers_max: int
) -> None:
    facts = [*facts, (data.draw(DOMAINS), 0, 0, 0)]
    gang = data.draw(st.lists(st.integers(0, len(facts) - 1), min_size=1, max_size=3, unique=True))
    usable = np.array(data.draw(st.lists(st.booleans(), min_size=len(facts), max_size=len(facts))), np.bool_)
    asked, pool = replace(request, required=required), pool_of(facts)
    free = np.stack((pool.gpus, pool.cpus, pool.memory_mib))
    nodes = [replace(node, usable=bool(usable[node.index])) for node in free_nodes(facts)]
    found = more_places(pool.layout, free, asked, gang, workers_max, usable)
    assert found == widen_oracle.more_places(nodes, asked, gang, workers_max)
    everywhere = widen_oracle.more_places(free_nodes(facts), asked, gang, workers_max)
    assert more_places(pool.layout, free, asked, gang, workers_max) == everywhere


def test_its_own_nodes_come_first_then_its_leaf_its_spine_its_hall_and_the_rest() -> None:
    paths = [("a", "c", "e"), ("b", "c", "e"), ("a", "d", "e"), ("a", "c", "f"), ("a", "c", "e")]
    pool = pool_of([(path, 1, 0, 0) for path in paths])
    free = np.stack((pool.gpus, pool.cpus, pool.memory_mib))
    in_turn = [more_places(pool.layout, free, ONE_GPU, [4], many)[-1][0] for many in range(1, 6)]
    assert in_turn == [4, 0, 3, 2, 1]
