"""Elastic gangs give back what others need, and no more."""

from __future__ import annotations

from dataclasses import replace

from elastic_scenes import (
    LEAFY,
    ONE,
    OURS,
    SHAPES,
    THEIRS,
    WHOLE,
    WIDE,
    decided,
    runs_on,
    scene,
    sizes,
    waits,
    workers_by_node,
)
from pressed import GPU_CLASS, NOW_MS, Applied, Pressed, federation_of
from scattered import NODE_GPUS, moving, node_at, shape_of
from used_gpus import leaving_gpus

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import StopCause
from scheduler.model.ids import GroupId, NodeId, ShapeId
from scheduler.model.shape import Topology


def test_a_run_gives_its_own_group_what_it_does_not_need() -> None:
    facts = scene(runs_on(1, OURS, 1, 2, 3), jobs=(waits(WHOLE),))
    _, plan = decided(facts)
    assert [(stop.run, stop.cause, stop.preemptor) for stop in plan.stops] == [(1, StopCause.SHRUNK, 101)]
    ((job, left),) = sizes(plan)
    (earmark,) = plan.earmarks
    assert (job, len(left)) == (1, 2)
    assert not set(left) & set(workers_by_node(earmark))
    applied = Applied(facts, federation_of(facts))
    first = applied.federation.snapshot()
    applied.apply(first, plan)
    assert leaving_gpus(applied.federation.snapshot(), GPU_CLASS)[OURS] == NODE_GPUS
    applied.end_leaving()
    after = decide(applied.federation.snapshot(), 0)
    assert sorted((start.job, start.workers) for start in after.redeemed) == [(1, 2), (101, 1)]


def test_a_run_gives_nothing_to_a_job_of_lower_priority_in_its_group() -> None:
    run = runs_on(1, OURS, 1, 2, 3, priority=100)
    assert decided(scene(run, jobs=(waits(WHOLE),)))[1].stops == ()
    assert len(decided(scene(run, jobs=(waits(WHOLE, priority=100),)))[1].stops) == 1


def test_a_group_above_its_share_gives_another_no_more_than_that_one_needs() -> None:
    _, plan = decided(scene(runs_on(1, THEIRS, 1, 2, 3), jobs=(waits(WHOLE), waits(WHOLE, 102))))
    assert [(stop.cause, stop.preemptor) for stop in plan.stops] == [(StopCause.SHRUNK, 101)]
    assert [len(left) for _, left in sizes(plan)] == [2]


def test_a_guarantee_protects_the_least_workers_and_no_others() -> None:
    quotas = {THEIRS: Quota(guaranteed=12), GroupId(3): Quota(guaranteed=12)}
    run = runs_on(1, THEIRS, 1, 2, 3)
    rigid = replace(run, workers_min=None, workers_max=None)
    assert decided(scene(rigid, jobs=(waits(WHOLE),), quotas=quotas))[1].stops == ()
    assert decided(scene(run, jobs=(waits(WHOLE),), quotas=quotas))[1].stops == ()
    lower = {THEIRS: Quota(guaranteed=4), GroupId(3): Quota(guaranteed=4)}
    first = scene(run, jobs=(waits(WHOLE), waits(WHOLE, 102), waits(WHOLE, 103)), quotas=lower)
    assert [stop.cause for stop in decided(first)[1].stops] == [StopCause.SHRUNK]
    least = scene(
        runs_on(1, THEIRS, 1), *(runs_on(n, GroupId(5), n) for n in (2, 3)), jobs=(waits(WHOLE),), quotas=lower
    )
    assert not [stop for stop in decided(least)[1].stops if stop.run == 1]


def test_what_a_run_has_beyond_its_least_workers_costs_it_no_more_than_that() -> None:
    """Theirs is above its share by what it was widened with: the rest of its work is inside."""
    young = runs_on(1, THEIRS, 1, 2, 3, started_ms=NOW_MS - 1)
    jobs = (waits(WHOLE), waits(WHOLE, 102))
    assert decided(scene(young, runs_on(2, THEIRS, 4, shape=WHOLE), jobs=jobs, nodes=4))[1].stops == ()
    rigid = replace(young, workers_min=None, workers_max=None)
    assert decided(scene(rigid, runs_on(2, THEIRS, 4, shape=WHOLE), jobs=jobs, nodes=4))[1].stops != ()


def test_one_run_shrinks_rather_than_two() -> None:
    two = (runs_on(1, THEIRS, 1, 2), runs_on(2, THEIRS, 3, 4, 5))
    shapes = SHAPES | {WHOLE: shape_of(2, NODE_GPUS)}
    _, plan = decided(replace(scene(*two, jobs=(waits(WHOLE),), nodes=5), shapes=shapes))
    assert [stop.run for stop in plan.stops] == [2]


def test_a_run_that_would_give_in_vain_keeps_everything() -> None:
    """The first run's workers stand beside others' that stay; the second one's are all that is on node 4."""
    three = ShapeId(9)
    shapes = SHAPES | {WIDE: shape_of(1, 1, workers_max=4), three: shape_of(1, 3)}

    def beside(number: int, node: int) -> LiveRun:
        return replace(moving(number, OURS, (three, shapes[three]), ((NodeId(node), 1),)), checkpoints=False)

    vain = moving(1, OURS, (WIDE, shapes[WIDE]), tuple((NodeId(node), 1) for node in (1, 2, 3)))
    useful = moving(2, OURS, (WIDE, shapes[WIDE]), ((NodeId(4), 2), (NodeId(5), 1)))
    runs = (vain, useful, *(beside(number + 10, number) for number in (1, 2, 3, 5)))
    _, plan = decided(replace(scene(*runs, jobs=(waits(WHOLE),), nodes=5), shapes=shapes))
    assert [(stop.run, stop.cause) for stop in plan.stops] == [(2, StopCause.SHRUNK)]
    assert sizes(plan) == [(2, [5])]


def test_where_quota_is_in_the_way_and_not_nodes_a_run_shrinks_for_that() -> None:
    quotas = {OURS: Quota(limit=12)}
    _, plan = decided(scene(runs_on(1, OURS, 1, 2, 3), jobs=(waits(WHOLE),), nodes=6, quotas=quotas))
    assert [stop.cause for stop in plan.stops] == [StopCause.SHRUNK]
    assert [len(left) for _, left in sizes(plan)] == [2]


def test_a_group_gives_no_more_than_brings_it_to_its_share() -> None:
    """The gang wants both nodes of a leaf; theirs is above its share by one."""
    nodes = tuple(node_at(number, leaf) for number, leaf in enumerate(("x", "x", "y", "z", "w"), 1))
    shapes = SHAPES | {WIDE: shape_of(1, NODE_GPUS, workers_max=4), LEAFY: shape_of(2, NODE_GPUS, Topology.LEAF)}
    gang = moving(1, THEIRS, (WIDE, shapes[WIDE]), tuple((NodeId(node), 1) for node in (1, 2, 3, 4)))
    facts = replace(scene(gang, jobs=(waits(LEAFY),)), nodes=nodes, shapes=shapes)
    assert decided(facts)[1].stops == ()
    above = {GroupId(2): Quota(weight=9)}
    by_class = {(group, GPU_CLASS): each for group, each in above.items()}
    extra = replace(facts, jobs=(waits(LEAFY), waits(WHOLE, 102)), quotas=by_class)
    assert [stop.cause for stop in decided(extra)[1].stops] == [StopCause.SHRUNK]


def test_below_a_group_that_is_above_its_share_nobody_gets_anything_from_beside_it() -> None:
    full = replace(runs_on(2, GroupId(5), 4, 5, 6, shape=WHOLE), preemptible=False, checkpoints=False)
    facts = scene(runs_on(1, THEIRS, 1, 2, 3), full, jobs=(waits(WHOLE),), nodes=6)
    weights = {(GroupId(2), GPU_CLASS): Quota(weight=7), (GroupId(3), GPU_CLASS): Quota(weight=5)}
    assert decided(replace(facts, quotas=weights))[1].stops == ()
    heavier = weights | {(GroupId(2), GPU_CLASS): Quota(weight=11)}
    assert [stop.cause for stop in decided(replace(facts, quotas=heavier))[1].stops] == [StopCause.SHRUNK]


def test_a_run_whose_least_workers_are_inside_its_groups_guarantee_is_not_ended() -> None:
    nodes = tuple(node_at(number, "x" if number < 4 else "y") for number in range(1, 5))
    shapes = SHAPES | {LEAFY: shape_of(3, NODE_GPUS, Topology.LEAF)}
    younger = runs_on(2, THEIRS, 4, shape=WHOLE)
    older = runs_on(1, THEIRS, 1, 2, 3, started_ms=0)
    quotas = {(group, GPU_CLASS): Quota(guaranteed=4) for group in (THEIRS, GroupId(3))}
    quotas |= {(GroupId(2), GPU_CLASS): Quota(weight=99)}
    facts = Pressed(quotas, nodes, shapes, (older, younger), (waits(LEAFY),))
    assert decided(facts)[1].stops == ()
    unprotected = replace(facts, quotas={(GroupId(2), GPU_CLASS): Quota(weight=99)})
    assert [stop.run for stop in decided(unprotected)[1].stops] == [1]


def test_a_gang_shrinks_once_in_a_round_and_is_not_ended_for_another_then() -> None:
    high = {"priority": 100}
    jobs = (waits(WHOLE, **high), waits(WHOLE, 102, **high), waits(WHOLE, 103, **high))
    _, plan = decided(scene(runs_on(1, OURS, 1, 2, 3), jobs=jobs))
    assert [(stop.run, stop.cause) for stop in plan.stops] == [(1, StopCause.SHRUNK)]


def test_a_gang_that_is_ended_for_one_gives_nothing_to_another() -> None:
    """The first wants every node; what is left of the run when it has gone is not there for the second."""
    shapes = SHAPES | {LEAFY: shape_of(3, NODE_GPUS)}
    jobs = (waits(LEAFY, priority=100), waits(ONE, 102, priority=50))
    _, plan = decided(replace(scene(runs_on(1, OURS, 1, 2, 3), jobs=jobs), shapes=shapes))
    assert [(stop.run, stop.cause) for stop in plan.stops] == [(1, StopCause.PREEMPTED)]


def test_shares_count_what_a_run_has_given_already() -> None:
    """Theirs keeps what it has inside its share: what the first of ours got is not taken a second time."""
    runs = (runs_on(1, THEIRS, 1, 2, 3), *(runs_on(n, THEIRS, n, shape=WHOLE) for n in (4,)))
    jobs = tuple(waits(WHOLE, number) for number in (101, 102, 103))
    _, plan = decided(scene(*runs, jobs=jobs, nodes=4))
    taken = 4 - len(sizes(plan)[0][1]) - 1
    assert [stop.cause for stop in plan.stops] == [StopCause.SHRUNK]
    assert taken == 1


def test_quota_is_charged_for_what_is_given_only_when_it_has_gone() -> None:
    """Behind the job that gets it nothing else of the group starts by the quota that is given up."""
    facts = scene(
        runs_on(1, OURS, 1, 2, 3), jobs=(waits(WHOLE), waits(ONE, 102)), nodes=4, quotas={OURS: Quota(limit=12)}
    )
    _, plan = decided(facts)
    assert (plan.starts, [stop.cause for stop in plan.stops]) == ((), [StopCause.SHRUNK])
    (verdict,) = plan.verdicts
    assert (verdict.shape, verdict.reason.numbers["used"]) == (ONE, 16)


def test_workers_elsewhere_go_only_as_far_as_its_least_workers_stay() -> None:
    quotas = {(OURS, GPU_CLASS): Quota(limit=12)}
    shapes = SHAPES | {WIDE: shape_of(2, NODE_GPUS, workers_max=3), LEAFY: shape_of(2, NODE_GPUS, Topology.LEAF)}
    gang = moving(1, OURS, (WIDE, shapes[WIDE]), tuple((NodeId(node), 1) for node in (1, 2, 3)))
    nodes = tuple(node_at(number, "x" if number in (1, 4, 5) else "y") for number in range(1, 6))
    facts = Pressed(quotas, nodes, shapes, (gang,), (waits(LEAFY),))
    assert decided(facts)[1].stops == ()
