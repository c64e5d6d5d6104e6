"""Rounds with elastic gangs are lawful and come to rest, and give extra workers to nobody in front of others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from elastic import elastic
from elastic_scenes import (
    decided,
    workers_by_node,
)
from hypothesis import given
from pressed import GPU_CLASS, NOW_MS, Applied, Pressed, assert_comes_to_rest, federation_of

from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Earmark, Plan, StopCause
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import NodeId
from scheduler.model.shape import Shape


@given(elastic())
def test_whatever_is_elastic_rounds_are_lawful_and_come_to_rest(drawn: Pressed) -> None:
    assert_comes_to_rest(Applied(drawn, federation_of(drawn)))


@given(elastic())
def test_while_runs_leave_to_go_on_otherwise_nothing_starts_that_is_in_their_way(drawn: Pressed) -> None:
    federation = federation_of(drawn)
    federation.lend(NOW_MS)
    applied = Applied(drawn, federation)
    snapshot = federation.snapshot()
    applied.apply(snapshot, decide(snapshot, 0))
    again = federation.snapshot()
    after = decide(again, 0)
    assert check_plan(again, after) == ()
    assert after.withdrawn == ()
    assert not {start.job for start in after.redeemed} & {run.job for run in again.runs.values()}


@given(elastic())
def test_jobs_start_that_would_start_were_nobody_elastic(drawn: Pressed) -> None:
    rigid = replace(drawn, shapes={number: replace(shape, workers_max=None) for number, shape in drawn.shapes.items()})
    rigid = replace(rigid, runs=tuple(replace(run, workers_min=None, workers_max=None) for run in drawn.runs))
    (_, plain), (_, wide) = decided(rigid), decided(drawn)
    assert [start.job for start in plain.starts] == [start.job for start in wide.starts]
    for narrow, wider in zip(plain.starts, wide.starts, strict=True):
        assert workers_by_node(narrow) <= workers_by_node(wider)


@given(elastic(with_quotas=False))
def test_no_start_could_have_one_worker_more_on_a_node_that_is_left_free(drawn: Pressed) -> None:
    snapshot, plan = decided(drawn)
    if plan.reservations or plan.earmarks:
        return
    free = left_free(snapshot, plan)
    if sum(free.values()) and any(run.leaving for run in snapshot.runs.values()):
        return
    for start in plan.starts:
        shape = snapshot.shapes[start.shape]
        if start.workers == shape.workers_most or not shape.preemptible:
            continue
        domain = snapshot.nodes[start.gang[0][0]].domain_at(shape.required)
        room = [node for node in free if snapshot.nodes[node].domain_at(shape.required) == domain]
        assert all(free[node] < shape.gpus_per_worker for node in room), start


@given(elastic(jobs_max=1))
def test_a_run_that_shrinks_keeps_every_worker_that_the_gang_can_do_without(drawn: Pressed) -> None:
    snapshot, plan = decided(drawn)
    if not any(stop.cause is StopCause.SHRUNK for stop in plan.stops):
        return
    (earmark,) = plan.earmarks
    shape, usage_bound = snapshot.shapes[earmark.shape], bool(drawn.quotas)
    before = {run.job: run for run in snapshot.runs.values()}
    for size in plan.sizes:
        dropped = Counter(dict(before[size.job].gang)) - workers_by_node(size)
        each = before[size.job].gpus_per_worker
        for node in dropped:
            # With one worker back on this node the gang would have no place, or its group no quota.
            others = Counter(room_after(snapshot, plan, earmark))
            others[node] -= each
            fits = room_for(snapshot, shape, others) >= shape.workers
            assert not fits or usage_bound, (size, node)


@given(elastic())
def test_another_group_gets_only_what_shares_give_it_of_what_runs_do_not_need(drawn: Pressed) -> None:
    federation = federation_of(drawn)
    federation.lend(NOW_MS)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    round_ = Round(snapshot)
    usage, shares = round_.usages[GPU_CLASS], round_.shares(GPU_CLASS)
    for start in plan.starts:
        usage.charge(start.group, snapshot.shapes[start.shape].gpus)
    owner = {earmark.job: earmark.group for earmark in plan.earmarks}
    for stop in plan.stops:
        run = snapshot.runs[stop.run]
        if stop.cause is not StopCause.SHRUNK or stop.preemptor is None or owner[stop.preemptor] == run.group:
            continue
        taker, giver = usage.tree.position(owner[stop.preemptor]), usage.tree.position(run.group)
        got = sum(snapshot.shapes[each.shape].gpus for each in plan.earmarks if each.group == owner[stop.preemptor])
        assert usage.own[taker] + got <= shares.own[taker]
        assert usage.own[giver] > shares.own[giver]


def left_free(snapshot: Snapshot, plan: Plan) -> dict[NodeId, int]:
    """Free GPUs of each node once the plan is applied, while what it stops is still there."""
    free = {node.id: node.gpus for node in snapshot.nodes.values()}
    for run in snapshot.runs.values():
        for node, workers in run.gang:
            free[node] -= workers * run.gpus_per_worker
    before = {run.job: dict(run.gang) for run in snapshot.runs.values()}
    for placed in [*plan.starts, *plan.sizes]:
        for node, _, _, workers in placed.gang:
            added = workers - before.get(placed.job, {}).get(node, 0)
            free[node] -= added * snapshot.shapes[placed.shape].gpus_per_worker
    return free


def room_after(snapshot: Snapshot, plan: Plan, without: Earmark) -> dict[NodeId, int]:
    """Free GPUs of each node once all is applied and gone, but for what is held for one job."""
    free = {node.id: node.gpus for node in snapshot.nodes.values()}
    gone = {stop.run for stop in plan.stops}
    for run in snapshot.runs.values():
        for node, workers in run.gang if run.id not in gone else ():
            free[node] -= workers * run.gpus_per_worker
    held = [*plan.starts, *plan.sizes, *plan.moves, *(each for each in plan.earmarks if each != without)]
    for placed in held:
        for node, _, _, workers in placed.gang:
            free[node] -= workers * snapshot.shapes[placed.shape].gpus_per_worker
    return free


def room_for(snapshot: Snapshot, shape: Shape, free: Counter[NodeId]) -> int:
    """Workers that fit in the best domain."""
    by_domain: Counter[tuple[str, ...]] = Counter()
    for node, gpus in free.items():
        domain = snapshot.nodes[node].domain_at(shape.required) if shape.workers > 1 else ()
        by_domain[domain] += max(gpus, 0) // shape.gpus_per_worker
    return max(by_domain.values())
