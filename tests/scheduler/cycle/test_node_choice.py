"""Which nodes a lender takes back where only their number is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from federations import node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.node_choice import choose_nodes
from scheduler.model.ids import GroupId, JobId, NodeId, SiteId

NOW_MS, DEADLINE_MS = 100_000, 200_000
NODES = [node_of(number, 4) for number in range(1, 6)]


def running(number: int, on: list[int], **facts: object) -> LiveRun:
    """A gang with a worker of one GPU on each node of ``on``."""
    gang = tuple((NodeId(node), 1) for node in on)
    run = run_of(number, JobId(number), GroupId(4), plain_shape(1, workers=len(on)), SiteId(1), "h100", gang)
    return replace(run, **facts)  # type: ignore[arg-type]


@st.composite
def occupied(draw: st.DrawFn) -> list[LiveRun]:
    return [
        running(
            number,
            sorted(draw(st.sets(st.integers(1, 5), min_size=1, max_size=3))),
            started_ms=draw(st.integers(0, 9)) * 10_000,
            checkpoints=draw(st.booleans()),
            preemptible=draw(st.sampled_from((True, True, False))),
            expected_end_ms=draw(st.sampled_from((None, DEADLINE_MS, DEADLINE_MS + 1))),
            leaving=draw(st.sampled_from((False, False, True))),
            grace_ms=draw(st.sampled_from((0, 5000))),
        ).elastic_as(plain_shape(1, workers=1, workers_max=draw(st.sampled_from((None, None, 3)))))
        for number in range(1, draw(st.integers(0, 5)) + 1)
    ]


def loss(nodes: frozenset[NodeId], runs: list[LiveRun]) -> tuple[int, int]:
    """How many runs that may not be preempted have to go, and the GPU-milliseconds that are lost."""
    firm = lost = 0
    for run in runs:
        over = run.leaving or (run.expected_end_ms is not None and run.expected_end_ms <= DEADLINE_MS)
        leaves = sum(workers for node, workers in run.gang if node in nodes)
        if leaves and not over:
            firm += not run.preemptible
            each = run.grace_ms if run.checkpoints else NOW_MS - run.started_ms
            lost += each * (leaves if run.workers_min is not None and run.workers - leaves >= 1 else run.gpus)
    return firm, lost


@given(occupied(), st.integers(1, 5))
def test_no_other_nodes_would_cost_less_work(runs: list[LiveRun], needed: int) -> None:
    chosen = choose_nodes(NODES, runs, needed, deadline_ms=DEADLINE_MS, now_ms=NOW_MS)
    assert len(chosen) == needed
    every = (frozenset(node.id for node in each) for each in combinations(NODES, needed))
    assert loss(chosen, runs) == min(loss(each, runs) for each in every)


def test_idle_nodes_go_by_name_and_sick_ones_where_there_are_too_few_others() -> None:
    nodes = [replace(NODES[0], healthy=False), *NODES[1:3]]
    for needed, expected in ((1, {3}), (2, {2, 3}), (3, {1, 2, 3})):
        chosen = choose_nodes(nodes, [running(1, [2])], needed, deadline_ms=DEADLINE_MS, now_ms=NOW_MS)
        assert chosen == expected


def test_an_elastic_gang_leaves_one_node_sooner_than_a_rigid_run_ends() -> None:
    gang = running(1, [1, 2, 3], checkpoints=True, grace_ms=5000)
    rigid = running(2, [4], checkpoints=True, grace_ms=6000)
    wide = gang.elastic_as(plain_shape(1, workers=1, workers_max=4))
    for first, expected in ((gang, {4}), (wide, {1})):
        assert choose_nodes(NODES[:4], [first, rigid], 1, deadline_ms=DEADLINE_MS, now_ms=NOW_MS) == expected
