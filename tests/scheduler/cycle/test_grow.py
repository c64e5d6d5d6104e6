"""Elastic gangs start as wide as there is room, and grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from elastic_scenes import (
    LEAFY,
    ONE,
    OURS,
    SHAPES,
    THEIRS,
    WHOLE,
    WIDE,
    decided,
    reserving,
    runs_on,
    scene,
    sizes,
    waits,
    workers_by_node,
)
from pressed import GPU_CLASS, NOW_MS, Applied, federation_of
from scattered import NODE_GPUS, moving, node_at, shape_of
from used_gpus import leaving_gpus, own_gpus

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.plan import StopCause
from scheduler.model.ids import GroupId, NodeId
from scheduler.model.shape import Topology


def test_a_start_takes_all_that_is_free_up_to_its_most() -> None:
    _, plan = decided(scene(jobs=(waits(WIDE),), nodes=5))
    assert [start.workers for start in plan.starts] == [3]


def test_others_that_wait_start_before_anybody_gets_more_than_it_needs() -> None:
    _, plan = decided(scene(jobs=(waits(WIDE), waits(WHOLE, 102), waits(WIDE, 103)), nodes=4))
    assert [(start.job, start.workers) for start in plan.starts] == [(101, 2), (102, 1), (103, 1)]


def test_a_start_takes_no_more_than_its_quota() -> None:
    _, plan = decided(scene(jobs=(waits(WIDE),), nodes=5, quotas={OURS: Quota(limit=8)}))
    assert [start.workers for start in plan.starts] == [2]


def test_work_that_may_not_be_preempted_grows_inside_its_guarantee() -> None:
    facts = scene(jobs=(waits(WIDE),), nodes=5, quotas={OURS: Quota(guaranteed=8), GroupId(2): Quota(guaranteed=8)})
    firm = replace(facts, shapes=SHAPES | {WIDE: replace(SHAPES[WIDE], preemptible=False)})
    assert [start.workers for start in decided(firm)[1].starts] == [2]


def test_a_start_stays_within_the_domain_that_it_requires() -> None:
    nodes = tuple(node_at(number, "x" if number < 4 else "y") for number in range(1, 6))
    _, plan = decided(replace(scene(jobs=(waits(LEAFY),)), nodes=nodes))
    (start,) = plan.starts
    assert len({node_at(node, "x" if node < 4 else "y").domain for node in workers_by_node(start)}) == 1


def test_a_run_grows_onto_what_is_free() -> None:
    _, plan = decided(scene(runs_on(1, OURS, 1), nodes=5))
    assert [(stop.run, stop.cause, stop.preemptor) for stop in plan.stops] == [(1, StopCause.GROWN, None)]
    assert [(job, len(nodes)) for job, nodes in sizes(plan)] == [(1, 3)]


def test_what_has_grown_goes_on_with_all_its_workers() -> None:
    facts = scene(runs_on(1, OURS, 1))
    applied = Applied(facts, federation_of(facts))
    first = applied.federation.snapshot()
    applied.apply(first, decide(first, 0))
    meanwhile = applied.federation.snapshot()
    assert own_gpus(meanwhile, GPU_CLASS)[OURS] == 3 * NODE_GPUS
    assert OURS not in leaving_gpus(meanwhile, GPU_CLASS)
    applied.end_leaving()
    after = decide(applied.federation.snapshot(), 0)
    assert [(start.job, start.workers) for start in after.redeemed] == [(1, 3)]


@pytest.mark.parametrize(
    "unfit",
    [
        {"checkpoints": False, "workers_min": None, "workers_max": None},
        {"started_ms": NOW_MS - 1},
        {"expected_end_ms": NOW_MS + 60_000},
        {"returns_as": None},
        {"workers_max": 1},
    ],
    ids=lambda unfit: next(iter(unfit)),
)
def test_a_run_that_would_not_gain_is_left_alone(unfit: dict[str, Any]) -> None:
    assert decided(scene(replace(runs_on(1, OURS, 1), **unfit)))[1].stops == ()


def test_a_run_is_not_stopped_for_less_than_a_quarter_more() -> None:
    shapes = SHAPES | {WIDE: shape_of(1, 1, workers_max=9)}
    five = moving(1, OURS, (WIDE, shapes[WIDE]), ((NodeId(1), 4), (NodeId(2), 1)))
    three = replace(moving(2, THEIRS, (ONE, shapes[ONE]), ((NodeId(2), 2),)), checkpoints=False)
    facts = replace(scene(five, three, nodes=2), shapes=shapes)
    assert decided(facts)[1].stops == ()
    assert [stop.cause for stop in decided(replace(facts, runs=(five,)))[1].stops] == [StopCause.GROWN]


def test_nothing_grows_onto_what_is_reserved() -> None:
    rigid = runs_on(2, THEIRS, 5, shape=WHOLE, checkpoints=False)
    _, plan = decided(reserving(runs_on(1, THEIRS, 4), rigid))
    assert [[part[0] for part in each.gang] for each in plan.reservations] == [[1, 2]]
    assert sizes(plan) == [(1, [3, 4])]
    _, plan = decided(reserving(rigid, jobs=(waits(WIDE, 102, THEIRS),)))
    assert [[part[0] for part in each.gang] for each in plan.reservations] == [[1, 2]]
    assert [sorted(workers_by_node(start)) for start in plan.starts] == [[3, 4]]


def test_a_group_for_whose_job_nodes_are_reserved_grows_nowhere() -> None:
    _, plan = decided(reserving(runs_on(1, OURS, 4), jobs=()))
    assert [each.job for each in plan.reservations] == [101]
    assert plan.sizes == ()


def test_nothing_grows_onto_what_is_held_for_another_or_is_yet_to_be_free() -> None:
    """Two nodes are held for a gang of ours: one that is free, and one that a run of lower priority leaves."""
    goes = runs_on(1, OURS, 1, shape=WHOLE, priority=-100, checkpoints=False)
    shapes = SHAPES | {ONE: shape_of(2, NODE_GPUS)}
    leaves = runs_on(3, GroupId(5), 3, shape=WHOLE, leaving=True)
    facts = replace(scene(goes, leaves, runs_on(2, THEIRS, 4), jobs=(waits(ONE),), nodes=6), shapes=shapes)
    _, plan = decided(replace(facts, quotas={(GroupId(2), GPU_CLASS): Quota(limit=8)}))
    assert [stop.run for stop in plan.stops if stop.cause is StopCause.PREEMPTED] == [1]
    assert [(job, len(nodes), set(nodes) & {1, 3}) for job, nodes in sizes(plan)] == [(2, 2, set())]
    (held,) = plan.earmarks
    assert not {node for _, nodes in sizes(plan) for node in nodes} & set(workers_by_node(held))


def test_a_start_gets_more_on_its_own_nodes_first() -> None:
    shapes = SHAPES | {WIDE: shape_of(1, 1, workers_max=3)}
    snapshot, plan = decided(replace(scene(jobs=(waits(WIDE), waits(ONE, 102))), shapes=shapes))
    assert [(start.job, [part[3] for part in start.gang]) for start in plan.starts] == [(101, [3]), (102, [1])]
    assert snapshot.shapes[WIDE].workers == 1


def test_the_group_whose_turn_it_is_grows_first() -> None:
    much = runs_on(3, THEIRS, 3, 4, shape=WHOLE, checkpoints=False)
    runs = (runs_on(1, THEIRS, 1, started_ms=0), runs_on(2, OURS, 2), much)
    assert [job for job, _ in sizes(decided(scene(*runs, nodes=6))[1])] == [2]


def test_a_run_is_not_stopped_where_its_domain_has_too_little_for_a_quarter_more() -> None:
    nodes = tuple(node_at(number, "x" if number < 3 else "y") for number in range(1, 5))
    shapes = SHAPES | {LEAFY: shape_of(1, 1, Topology.LEAF, workers_max=9)}
    five = moving(1, OURS, (LEAFY, shapes[LEAFY]), ((NodeId(1), 4), (NodeId(2), 1)))
    filled = moving(2, THEIRS, (ONE, shapes[ONE]), ((NodeId(2), 2),))
    facts = replace(scene(five, replace(filled, checkpoints=False)), nodes=nodes, shapes=shapes)
    assert decided(facts)[1].stops == ()


@pytest.mark.parametrize("cause", ["grown", "shrunk"])
def test_a_run_on_a_broken_node_is_not_stopped_to_go_on_there(cause: str) -> None:
    wide = runs_on(1, OURS, 1, 2) if cause == "shrunk" else runs_on(1, OURS, 1)
    facts = scene(wide, jobs=(waits(WHOLE),) if cause == "shrunk" else (), nodes=2 if cause == "shrunk" else 4)
    sick = replace(facts, nodes=(replace(facts.nodes[0], healthy=False), *facts.nodes[1:]))
    assert [stop.cause for stop in decided(facts)[1].stops] == [StopCause(cause)]
    assert decided(sick)[1].stops == ()


@pytest.mark.parametrize("jobs", [(), (waits(WHOLE),)], ids=["it could grow", "it could shrink"])
def test_a_run_with_a_node_that_is_not_there_any_more_keeps_its_size(jobs: tuple[WaitingJob, ...]) -> None:
    facts = scene(runs_on(1, OURS, 1, 2), jobs=jobs, nodes=5 - 3 * len(jobs))
    assert decided(facts)[1].stops != ()
    assert decided(replace(facts, nodes=facts.nodes[1:]))[1].stops == ()
