"""Crowding: GPUs are not left where cores or memory for them are gone, and where nobody is short it is best fit."""

from __future__ import annotations

import numpy as np
from free_pools import NODES, REQUESTS, Facts, pool_of
from hypothesis import given

from scheduler.model.shape import Topology
from scheduler.placement import oracle
from scheduler.placement.board import Board
from scheduler.placement.oracle import FreeNode
from scheduler.placement.pool import Pool, PoolLayout, share_of
from scheduler.placement.request import Request

#: GPUs, cores and MiB of a node: 12 cores and 100 MiB for each GPU.
NODE = (8, 96, 800)


def one_worker(gpus: int, cpus: int, memory_mib: int) -> Request:
    """One worker that any node may have."""
    return Request(1, gpus, cpus, memory_mib, Topology.ANY)


def chosen(request: Request, *free: tuple[int, int, int]) -> int:
    """The node that gets a worker where so much is free of equal nodes."""
    names = [f"node-{number}" for number in range(len(free))]
    layout = PoolLayout.of(names, [()] * len(free), [NODE] * len(free))
    placement = Board([Pool(layout, *np.array(free, np.int64).T.copy())]).place(0, request, Topology.SITE)
    assert placement is not None
    return placement[0][0]


def test_who_asks_for_its_share_of_cores_goes_where_fewest_gpus_are_free() -> None:
    assert chosen(one_worker(1, 12, 100), NODE, (4, 48, 400), (2, 24, 200)) == 2


def test_who_asks_for_many_cores_goes_where_gpus_have_them_to_spare() -> None:
    assert chosen(one_worker(1, 24, 100), (2, 24, 200), (3, 60, 300), (4, 48, 400)) == 1


def test_who_asks_for_much_memory_goes_where_gpus_have_it_to_spare() -> None:
    assert chosen(one_worker(1, 12, 200), (2, 24, 200), (3, 36, 500), (4, 48, 400)) == 1


def test_who_asks_for_few_cores_goes_where_gpus_are_short_of_them() -> None:
    assert chosen(one_worker(1, 2, 100), (1, 12, 100), (3, 12, 300)) == 1


def test_a_whole_node_is_not_opened_for_a_few_cores() -> None:
    assert chosen(one_worker(1, 14, 100), NODE, (3, 38, 300)) == 1


def test_a_gang_of_small_workers_goes_where_it_goes_as_one() -> None:
    free = (3, 40, 300), (4, 72, 400)
    assert chosen(one_worker(2, 36, 100), *free) == 1
    assert chosen(Request(2, 1, 18, 50, Topology.ANY), *free) == 1


def test_of_nodes_that_cost_the_same_the_one_with_fewer_free_gpus_is_taken() -> None:
    alike = (4, 24, 400), (3, 36, 300)
    request = one_worker(1, 8, 0)
    costs = [oracle.cost(FreeNode(0, (), *free, share=share_of(*NODE)), request) for free in alike]
    assert costs == [500, 500]
    assert chosen(request, *alike) == 1


@given(NODES, REQUESTS)
def test_where_nobody_is_short_of_cores_or_memory_it_is_best_fit(facts: Facts, request: Request) -> None:
    ample = [(domain, gpus, 1000, 1000) for domain, gpus, _, _ in facts]
    placement = Board([pool_of(ample)]).place(0, request, Topology.NODE)
    holding = [(each[1], at) for at, each in enumerate(ample) if each[1] // request.gpus >= request.workers]
    assert placement == (((min(holding)[1], request.workers),) if holding else None)
