"""Placement: the compiled board and the slow oracle give the same nodes."""

from __future__ import annotations

from free_pools import NODES, REQUESTS, Facts, free_nodes, pool_of
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.shape import Topology
from scheduler.placement import oracle
from scheduler.placement.board import Board
from scheduler.placement.request import Request


@given(NODES, NODES, st.lists(st.tuples(st.integers(0, 1), REQUESTS), max_size=8))
def test_gang_after_gang_goes_where_the_oracle_puts_it(
    one: Facts, other: Facts, requests: list[tuple[int, Request]]
) -> None:
    board, nodes = Board([pool_of(one), pool_of(other)]), [free_nodes(one), free_nodes(other)]
    for number, request in requests:
        for level in request.levels():
            placement = board.place(number, request, level)
            assert placement == oracle.place(nodes[number], request, level)
            if placement is not None:
                board.take(number, request, placement)
                for index, workers in placement:
                    nodes[number][index].gpus -= workers * request.gpus
                    nodes[number][index].cpus -= workers * request.cpus
                    nodes[number][index].memory_mib -= workers * request.memory_mib
                break
        for pool, known in enumerate(nodes):
            assert [board.free_of(pool, n.index) for n in known] == [(n.gpus, n.cpus, n.memory_mib) for n in known]
            assert board.free_gpus(pool) == sum(node.gpus for node in known)


def test_of_nodes_with_equally_many_free_gpus_the_first_by_name_is_taken_whichever_came_to_have_so_many_last() -> None:
    board = Board([pool_of([(("a", "c", "e"), gpus, 16, 64) for gpus in (2, 3)])])
    placements = []
    for gpus in (1, 2, 1):
        request = Request(1, gpus, 0, 0, Topology.ANY)
        placement = board.place(0, request, Topology.SITE)
        assert placement is not None
        board.take(0, request, placement)
        placements.append(placement)
    assert placements == [((0, 1),), ((1, 1),), ((0, 1),)]


@given(NODES, REQUESTS)
def test_what_a_board_takes_does_not_reach_the_pool_it_was_made_of(facts: Facts, request: Request) -> None:
    pool = pool_of(facts)
    board = Board([pool])
    placement = board.place(0, request, Topology.SITE)
    if placement is not None:
        board.take(0, request, placement)
    assert [(pool.gpus[at], pool.cpus[at], pool.memory_mib[at]) for at in range(len(facts))] == [f[1:] for f in facts]


@given(NODES, REQUESTS)
def test_workers_max_is_the_largest_gang_that_a_site_holds(facts: Facts, request: Request) -> None:
    most = Board([pool_of(facts)]).workers_max(0, request)
    fits = Request(most, request.gpus, request.cpus, request.memory_mib, Topology.ANY)
    more = Request(most + 1, request.gpus, request.cpus, request.memory_mib, Topology.ANY)
    if most:
        assert Board([pool_of(facts)]).place(0, fits, Topology.SITE) is not None
    assert Board([pool_of(facts)]).place(0, more, Topology.SITE) is None
