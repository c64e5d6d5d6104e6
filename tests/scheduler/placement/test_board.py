"""Placement: the compiled board and the slow oracle give the same nodes."""

from __future__ import annotations

from free_pools import DOMAINS, NODES, REQUESTS, Facts, free_nodes, pool_of
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


def leaves(*free_nodes_of_leaf: int, spine: str = "spine") -> Facts:
    """Whole nodes by leaf, of which so many are free; each leaf has four."""
    return [
        (("hall", spine, f"leaf-{number}"), 8 if node < free else 0, 16, 64)
        for number, free in enumerate(free_nodes_of_leaf)
        for node in range(4)
    ]


def nodes_by_leaf(facts: Facts, workers: int, topology: Topology = Topology.ANY) -> list[str]:
    """Where a gang of whole nodes goes: by rank the leaf, and below which spine."""
    request = Request(workers, 8, 0, 0, topology)
    placement = Board([pool_of(facts)]).place(0, request, request.levels()[-1])
    assert placement is not None
    return [f"{facts[index][0][1]} {facts[index][0][2]}" for index, _ in placement]


def test_a_gang_that_prefers_no_level_goes_into_the_fullest_leaf_that_holds_it_all_the_same() -> None:
    assert nodes_by_leaf(leaves(1, 4, 2, 3), 2) == ["spine leaf-2"] * 2


def test_a_gang_of_two_leaves_takes_two_whole_ones_and_leaves_those_in_use_alone() -> None:
    assert nodes_by_leaf(leaves(3, 4, 2, 4), 8) == ["spine leaf-1"] * 4 + ["spine leaf-3"] * 4


def test_what_whole_leaves_do_not_hold_goes_to_the_fullest_leaf_that_does() -> None:
    assert nodes_by_leaf(leaves(4, 3, 2, 4), 6) == ["spine leaf-0"] * 4 + ["spine leaf-2"] * 2


def test_a_gang_goes_into_one_spine_before_it_goes_into_leaves_of_several() -> None:
    facts = leaves(4, 1, spine="a") + leaves(3, 3, spine="b")
    assert nodes_by_leaf(facts, 6) == ["b leaf-0"] * 3 + ["b leaf-1"] * 3


def test_a_gang_that_no_spine_holds_takes_the_one_with_most_room_whole() -> None:
    facts = leaves(2, 3, spine="a") + leaves(4, 3, spine="b")
    assert nodes_by_leaf(facts, 9) == ["b leaf-0"] * 4 + ["b leaf-1"] * 3 + ["a leaf-0"] * 2


WHOLE_NODES = st.lists(
    st.tuples(DOMAINS, st.sampled_from((0, 8, 8)), st.just(16), st.just(64)), min_size=8, max_size=24
)


@given(WHOLE_NODES, st.lists(st.integers(1, 16), max_size=6))
def test_gangs_of_many_whole_nodes_go_where_the_oracle_puts_them(facts: Facts, gangs: list[int]) -> None:
    board, nodes = Board([pool_of(facts)]), free_nodes(facts)
    for workers in gangs:
        request = Request(workers, 8, 0, 0, Topology.ANY)
        placement = board.place(0, request, Topology.SITE)
        assert placement == oracle.place(nodes, request, Topology.SITE)
        if placement is not None:
            board.take(0, request, placement)
            for index, _ in placement:
                nodes[index].gpus -= 8


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
