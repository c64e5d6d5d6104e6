"""Elastic gangs start as wide as there is room, grow, and give back what others need: lawfully, and it comes to an end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from elastic import elastic
from hypothesis import given
from pressed import GPU_CLASS, NOW_MS, Applied, Pressed, assert_comes_to_rest, federation_of
from scattered import NODE_GPUS, moving, node_at, shape_of

from quota.tree import Quota
from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.plan import Earmark, Plan, Start, StopCause
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId
from scheduler.model.shape import Shape, Topology

OURS, THEIRS = GroupId(4), GroupId(6)
WIDE, WHOLE, ONE, LEAFY = ShapeId(1), ShapeId(2), ShapeId(3), ShapeId(4)
SHAPES = {
    WIDE: shape_of(1, NODE_GPUS, workers_max=3),
    WHOLE: shape_of(1, NODE_GPUS),
    ONE: shape_of(1, 1),
    LEAFY: shape_of(1, NODE_GPUS, Topology.LEAF, workers_max=8),
}


def decided(given_facts: Pressed) -> tuple[Snapshot, Plan]:
    """A lawful first round."""
    federation = federation_of(given_facts)
    federation.lend(NOW_MS)
    snapshot = federation.snapshot()
    plan = decide(snapshot, NOW_MS, 0)
    assert check_plan(snapshot, plan) == ()
    return snapshot, plan


@given(elastic())
def test_whatever_is_elastic_rounds_are_lawful_and_come_to_rest(drawn: Pressed) -> None:
    assert_comes_to_rest(Applied(drawn, federation_of(drawn)))


@given(elastic())
def test_while_runs_leave_to_go_on_otherwise_nothing_starts_that_is_in_their_way(drawn: Pressed) -> None:
    federation = federation_of(drawn)
    federation.lend(NOW_MS)
    applied = Applied(drawn, federation)
    snapshot = federation.snapshot()
    applied.apply(snapshot, decide(snapshot, NOW_MS, 0))
    again = federation.snapshot()
    after = decide(again, NOW_MS, 0)
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
    plan = decide(snapshot, NOW_MS, 0)
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


def workers_by_node(placed: Start | Earmark) -> Counter[NodeId]:
    return Counter({node: workers for node, _, _, workers in placed.gang})


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


def scene(
    *runs: LiveRun, jobs: tuple[WaitingJob, ...] = (), nodes: int = 3, quotas: dict[GroupId, Quota] | None = None
) -> Pressed:
    by_class = {(group, GPU_CLASS): each for group, each in (quotas or {}).items()}
    return Pressed(by_class, tuple(node_at(number) for number in range(1, nodes + 1)), SHAPES, runs, jobs)


def waits(shape: ShapeId, number: int = 101, group: GroupId = OURS, **values: Any) -> WaitingJob:
    """A job of ours."""
    values = {"priority": 0, "submitted_ms": number, "save_ms": 30_000} | values
    return WaitingJob(id=JobId(number), group=group, shape=shape, **values)


def runs_on(number: int, group: GroupId, *nodes: int, shape: ShapeId = WIDE, **values: Any) -> LiveRun:
    """A run with one worker on each node."""
    gang = tuple((NodeId(node), 1) for node in nodes)
    return replace(moving(number, group, (shape, SHAPES[shape]), gang), **values)


def sizes(plan: Plan) -> list[tuple[int, list[int]]]:
    return [(size.job, sorted(workers_by_node(size))) for size in plan.sizes]


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
    applied.apply(first, decide(first, NOW_MS, 0))
    meanwhile = applied.federation.snapshot()
    assert meanwhile.own_use[GPU_CLASS][OURS] == 3 * NODE_GPUS
    assert not meanwhile.leaving_use[GPU_CLASS][OURS]
    applied.end_leaving()
    after = decide(applied.federation.snapshot(), NOW_MS, 0)
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
    assert applied.federation.snapshot().leaving_use[GPU_CLASS][OURS] == NODE_GPUS
    applied.end_leaving()
    after = decide(applied.federation.snapshot(), NOW_MS, 0)
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


@pytest.fixture
def shrunk() -> tuple[Snapshot, Plan]:
    return decided(scene(runs_on(1, OURS, 1, 2, 3), jobs=(waits(WHOLE),)))


@pytest.fixture
def grown() -> tuple[Snapshot, Plan]:
    return decided(scene(runs_on(1, OURS, 1), nodes=5))


def reserving(*runs: LiveRun, jobs: tuple[WaitingJob, ...] = ()) -> Pressed:
    """Nodes 1 and 2 are reserved for a gang of ours, which waits for the second. The others are free where no run is."""
    ends = replace(runs_on(9, GroupId(5), 2, shape=WHOLE), checkpoints=False, expected_end_ms=NOW_MS + 3_600_000)
    shapes = SHAPES | {LEAFY: shape_of(2, NODE_GPUS, Topology.LEAF)}
    nodes = tuple(node_at(number, "x" if number < 3 else f"leaf-{number}") for number in range(1, 6))
    return Pressed({}, nodes, shapes, (ends, *runs), (waits(LEAFY), *jobs))


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


def laws(snapshot: Snapshot, plan: Plan) -> set[Law]:
    """What a plan breaks."""
    return {each.law for each in check_plan(snapshot, plan)}


def part(node: int, rank: int = 0, workers: int = 1) -> tuple[NodeId, str, int, int]:
    return NodeId(node), f"node-{node}", rank, workers


@pytest.mark.parametrize(
    "wrong",
    [
        {"gang": ()},
        {"gang": (part(1), part(2, 1), part(3, 2))},
        {"gang": (part(2, 1),)},
        {"gang": (part(1, 0, 2),)},
        {"gang": (part(9),)},
        {"group": THEIRS},
        {"shape": WHOLE},
        {"job": JobId(2)},
        {"gpu_class": "a100"},
    ],
    ids=str,
)
def test_a_run_that_shrinks_to_what_it_may_not_be_is_told(shrunk: tuple[Snapshot, Plan], wrong: dict[str, Any]) -> None:
    snapshot, plan = shrunk
    (size,) = plan.sizes
    assert Law.SIZE in laws(snapshot, replace(plan, sizes=(replace(size, **wrong),)))


@pytest.mark.parametrize(
    "gang",
    [(part(1),), (part(2), part(3, 1)), (part(1), part(2, 1), part(3, 2), part(4, 3))],
    ids=["as it was", "elsewhere", "too many"],
)
def test_a_run_that_grows_to_what_it_may_not_be_is_told(
    grown: tuple[Snapshot, Plan], gang: tuple[tuple[NodeId, str, int, int], ...]
) -> None:
    snapshot, plan = grown
    (size,) = plan.sizes
    assert laws(snapshot, replace(plan, sizes=(replace(size, gang=gang),))) == {Law.SIZE}


def test_growth_onto_a_reserved_node_is_told() -> None:
    snapshot, plan = decided(reserving(runs_on(1, THEIRS, 4), runs_on(2, THEIRS, 5, shape=WHOLE, checkpoints=False)))
    (size,) = plan.sizes
    there = replace(size, gang=(part(4), part(1, 1)))
    assert Law.SIZE in laws(snapshot, replace(plan, sizes=(there,)))
    assert laws(snapshot, plan) == set()


def test_a_run_that_is_stopped_to_go_on_nowhere_is_told(grown: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = grown
    assert laws(snapshot, replace(plan, sizes=())) == {Law.SIZE}
    assert Law.SIZE in laws(snapshot, replace(plan, stops=()))


def test_growth_onto_nodes_that_are_full_or_above_a_bound_is_told(grown: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = grown
    full = {each: replace(node, gpus=0) if each != NodeId(1) else node for each, node in snapshot.nodes.items()}
    assert laws(replace(snapshot, nodes=full), plan) == {Law.NODE_OVERFULL}
    facts = scene(runs_on(1, OURS, 1), nodes=5, quotas={OURS: Quota(limit=8)})
    federation = federation_of(facts)
    federation.lend(NOW_MS)
    assert laws(federation.snapshot(), plan) == {Law.QUOTA}


def test_a_start_with_more_or_fewer_workers_than_its_job_takes_is_told() -> None:
    snapshot, plan = decided(scene(jobs=(waits(WIDE),), nodes=5))
    (start,) = plan.starts
    four = replace(start, gang=tuple(part(node, node - 1) for node in range(1, 5)))
    assert laws(snapshot, replace(plan, starts=(four,))) == {Law.WRONG_GANG}


def test_elastic_starts_in_two_domains_of_the_level_that_they_require_are_told() -> None:
    nodes = tuple(node_at(number, "x" if number < 2 else "y") for number in range(1, 4))
    snapshot, plan = decided(replace(scene(jobs=(waits(LEAFY),)), nodes=nodes))
    (start,) = plan.starts
    both = replace(start, gang=(part(1), part(2, 1)))
    assert laws(snapshot, replace(plan, starts=(both,))) == {Law.SIZE}


def test_a_run_that_shrinks_for_a_job_of_lower_priority_is_told(shrunk: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = shrunk
    higher = {number: replace(run, priority=1) for number, run in snapshot.runs.items()}
    assert laws(replace(snapshot, runs=higher), plan) == {Law.STOP}


def test_a_run_that_is_shrunk_for_nobody_is_told(shrunk: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = shrunk
    (stop,) = plan.stops
    assert Law.STOP in laws(snapshot, replace(plan, stops=(replace(stop, preemptor=None),)))
    assert RunId(1) == stop.run
