"""Runs are moved together for a gang that has room in no one place: lawful, needed, and come to an end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from pressed import GPU_CLASS, MINIMUM_RUN_MS, NOW_MS, Applied, Pressed, assert_comes_to_rest, federation_of
from scattered import NODE_GPUS, SITE, moving, node_at, scattered, shape_of
from used_gpus import leaving_gpus, own_gpus

from quota.tree import Quota
from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Earmark, Plan, Reservation, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId
from scheduler.model.shape import Topology
from scheduler.placement import oracle
from scheduler.placement.oracle import FreeNode
from scheduler.placement.request import Request

ONE, WHOLE, PAIR = ShapeId(1), ShapeId(2), ShapeId(3)
SHAPES = {ONE: shape_of(1, 1), WHOLE: shape_of(1, NODE_GPUS), PAIR: shape_of(2, NODE_GPUS)}
OURS, THEIRS = GroupId(4), GroupId(6)


@given(scattered())
def test_moves_are_lawful_come_to_an_end_and_all_that_is_held_is_taken(drawn: Pressed) -> None:
    assert_comes_to_rest(Applied(drawn, federation_of(drawn)))


def lent(drawn: Pressed) -> Federation:
    """The federation as of now."""
    federation = federation_of(drawn)
    federation.lend(NOW_MS)
    return federation


@given(scattered())
def test_while_the_moved_leave_the_next_round_starts_none_of_them_and_takes_nothing_that_is_held(
    drawn: Pressed,
) -> None:
    applied = Applied(drawn, lent(drawn))
    snapshot = applied.federation.snapshot()
    applied.apply(snapshot, decide(snapshot, 0))
    again = applied.federation.snapshot()
    after = decide(again, 0)
    assert check_plan(again, after) == ()
    assert after.withdrawn == ()
    assert not {start.job for start in after.redeemed} & {run.job for run in again.runs.values()}


@given(scattered(jobs_max=1))
def test_without_any_one_of_the_moved_the_gang_would_have_no_room(drawn: Pressed) -> None:
    snapshot = lent(drawn).snapshot()
    plan = decide(snapshot, 0)
    moved = {stop.run for stop in plan.stops if stop.cause is StopCause.MOVED}
    for earmark in plan.earmarks if moved else ():
        assert has_room(snapshot, earmark, moved)
        for run in moved:
            assert not has_room(snapshot, earmark, moved - {run})


@given(scattered(jobs_max=1))
def test_in_a_small_pool_no_run_is_overlooked_whose_move_alone_would_do(drawn: Pressed) -> None:
    snapshot = lent(drawn).snapshot()
    plan = decide(snapshot, 0)
    if plan.starts or plan.stops or plan.reservations:
        return
    (job,) = drawn.jobs
    for run in drawn.runs:
        over = run.expected_end_ms is not None and run.expected_end_ms <= NOW_MS + run.grace_ms
        old = run.started_ms <= NOW_MS - MINIMUM_RUN_MS
        if run.checkpoints and run.preemptible and old and not over and run.gpus <= drawn.shapes[job.shape].gpus:
            assert not both_fit(snapshot, job, run), run


def both_fit(snapshot: Snapshot, job: WaitingJob, run: LiveRun) -> bool:
    """Whether a job and then a run's own, placed as the oracle does, have room once the run is gone."""
    free = free_nodes(snapshot, {run.id})
    assert run.returns_as is not None
    for each in (job, run.returns_as):
        request = Request.of(snapshot.shapes[each.shape])
        found = (oracle.place(free, request, level) for level in request.levels())
        placement = next((place for place in found if place is not None), None)
        if placement is None:
            return False
        for at, workers in placement:
            free[at] = replace(free[at], gpus=free[at].gpus - workers * request.gpus)
    return True


def has_room(snapshot: Snapshot, earmark: Earmark, gone: set[RunId]) -> bool:
    """Whether the pool has room for a gang once these runs are gone, wherever what else runs leaves any."""
    return oracle.workers_max(free_nodes(snapshot, gone), Request.of(snapshot.shapes[earmark.shape])) >= (
        snapshot.shapes[earmark.shape].workers
    )


def free_nodes(snapshot: Snapshot, gone: set[RunId]) -> list[FreeNode]:
    """What is free on each node without these runs."""
    found = []
    for at, node in enumerate(sorted(snapshot.nodes.values(), key=lambda each: each.name)):
        used = sum(
            workers * run.gpus_per_worker
            for run in snapshot.runs.values()
            for each, workers in run.gang
            if each == node.id and run.id not in gone
        )
        found.append(FreeNode(at, node.domain, node.gpus - used, node.cpus, node.memory_mib))
    return found


def scene(*runs: LiveRun, job: WaitingJob, nodes: int = 2, quota: Quota | None = None) -> Pressed:
    """One job that waits, in a pool of nodes."""
    quotas = {} if quota is None else {(job.group, GPU_CLASS): quota}
    return Pressed(quotas, tuple(node_at(number) for number in range(1, nodes + 1)), SHAPES, runs, (job,))


def waits(shape: ShapeId, number: int = 101) -> WaitingJob:
    """A job of ours."""
    return WaitingJob(id=JobId(number), group=OURS, shape=shape, priority=0, submitted_ms=0)


def small(number: int, node: int, workers: int = 1, shape: ShapeId = ONE) -> LiveRun:
    """Somebody else's run on one node."""
    return moving(number, THEIRS, (shape, SHAPES[shape]), ((NodeId(node), workers),))


def decided(given_facts: Pressed) -> tuple[Snapshot, Plan]:
    """A lawful first round."""
    snapshot = lent(given_facts).snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    return snapshot, plan


def nodes_of(earmark: Earmark) -> list[int]:
    """Where a gang is to go."""
    return [part[0] for part in earmark.gang]


def test_a_small_run_goes_on_beside_another_so_that_a_whole_node_is_free() -> None:
    given_facts = scene(small(1, node=1), small(2, node=2), job=waits(WHOLE))
    applied = Applied(given_facts, federation_of(given_facts))
    first = applied.federation.snapshot()
    plan = decide(first, 0)
    assert [(stop.run, stop.cause, stop.preemptor, stop.grace_ms) for stop in plan.stops] == [
        (1, StopCause.MOVED, 101, 30_000)
    ]
    assert [(each.job, nodes_of(each)) for each in plan.earmarks] == [(101, [1])]
    assert [(each.job, nodes_of(each)) for each in plan.moves] == [(1, [2])]
    applied.apply(first, plan)
    applied.end_leaving()
    after = decide(applied.federation.snapshot(), 0)
    assert sorted(start.job for start in after.redeemed) == [1, 101]


def test_an_elastic_run_that_is_moved_keeps_its_size() -> None:
    wide = ShapeId(9)
    shapes = SHAPES | {wide: shape_of(1, 1, workers_max=2)}
    runs = [moving(number, THEIRS, (wide, shapes[wide]), ((NodeId(number), 2),)) for number in (1, 2)]
    _, plan = decided(replace(scene(*runs, job=waits(WHOLE)), shapes=shapes))
    assert [part[3] for each in plan.moves for part in each.gang] == [2]


def test_the_run_that_loses_less_is_moved() -> None:
    dear, cheap = small(1, node=1), replace(small(2, node=2), grace_ms=1_000)
    _, plan = decided(scene(dear, cheap, job=waits(WHOLE)))
    assert [stop.run for stop in plan.stops] == [2]


def test_two_nodes_are_emptied_for_a_gang_of_two() -> None:
    _, plan = decided(scene(small(1, 1), small(2, 2), small(3, 3), job=waits(PAIR), nodes=3))
    assert len(plan.moves) == 2
    assert len({node for each in plan.moves for node in nodes_of(each)}) == 1


THREE, TWO = ShapeId(4), ShapeId(5)
MORE = SHAPES | {THREE: shape_of(1, 3), TWO: shape_of(1, 2)}


def single(number: int, node: int, shape: ShapeId, **values: Any) -> LiveRun:
    """Somebody else's run of one worker."""
    run = moving(number, THEIRS, (shape, MORE[shape]), ((NodeId(node), 1),))
    return replace(run, **values)


def test_a_run_on_the_same_node_that_need_not_go_stays() -> None:
    stuck = single(3, 2, THREE, checkpoints=False)
    _, plan = decided(replace(scene(single(1, 1, ONE), single(2, 1, ONE), stuck, job=waits(THREE)), shapes=MORE))
    assert (len(plan.stops), [nodes_of(each) for each in plan.moves]) == (1, [[2]])


def test_where_the_cheapest_has_no_place_to_go_another_is_moved() -> None:
    cheap, dear = single(1, 1, THREE, grace_ms=1_000), single(2, 2, TWO)
    stuck = single(3, 3, TWO, checkpoints=False)
    _, plan = decided(replace(scene(cheap, dear, stuck, job=waits(WHOLE), nodes=3), shapes=MORE))
    assert ([stop.run for stop in plan.stops], [nodes_of(each) for each in plan.moves]) == ([2], [[3]])


def test_a_group_uses_no_more_while_its_run_is_moved() -> None:
    given_facts = scene(small(1, 1), small(2, 2), job=waits(WHOLE))
    applied = Applied(given_facts, federation_of(given_facts))
    first = applied.federation.snapshot()
    applied.apply(first, decide(first, 0))
    beside = applied.federation.snapshot()
    assert not leaving_gpus(beside, GPU_CLASS)
    assert own_gpus(beside, GPU_CLASS) == {THEIRS: 2, OURS: NODE_GPUS}


def test_nobody_is_moved_for_a_group_that_would_be_above_its_share() -> None:
    mine = moving(1, OURS, (THREE, MORE[THREE]), ((NodeId(1), 1),))
    theirs = replace(waits(WHOLE, 102), group=THEIRS)
    given_facts = scene(replace(mine, checkpoints=False), small(2, 2), job=waits(WHOLE))
    alone = replace(given_facts, shapes=MORE)
    assert [stop.run for stop in decided(alone)[1].stops] == [2]
    assert decided(replace(alone, jobs=(*alone.jobs, theirs)))[1].stops == ()


def test_nobody_is_moved_for_a_job_that_starts_as_soon_without_that() -> None:
    ends = {"checkpoints": False, "expected_end_ms": NOW_MS + 30_000}
    facts = replace(scene(single(1, 1, ONE, **ends), small(2, 2), job=waits(WHOLE)), shapes=MORE)
    assert decided(facts)[1].stops == ()
    later = replace(facts, runs=(replace(facts.runs[0], expected_end_ms=NOW_MS + 30_001), facts.runs[1]))
    assert [stop.run for stop in decided(later)[1].stops] == [2]


def reserving(group: GroupId) -> Pressed:
    """Nodes 1 and 2 are reserved for a gang of ours. For another job a run could be moved from node 3 to any but those."""
    ends = {"checkpoints": False, "expected_end_ms": NOW_MS + 3_600_000}
    runs = (single(1, 1, TWO, **ends), single(2, 2, TWO, **ends), small(3, 3), single(4, 4, ONE, checkpoints=False))
    jobs = (waits(PAIR), replace(waits(WHOLE, 102), group=group, submitted_ms=1))
    return Pressed({}, tuple(node_at(number) for number in range(1, 5)), MORE, runs, jobs)


def test_a_moved_run_goes_nowhere_that_is_reserved() -> None:
    _, plan = decided(reserving(GroupId(5)))
    assert [[part[0] for part in each.gang] for each in plan.reservations] == [[1, 2]]
    assert [nodes_of(each) for each in plan.moves] == [[4]]


def test_nobody_is_moved_for_a_job_whose_group_has_nodes_reserved_for_another() -> None:
    _, plan = decided(reserving(OURS))
    assert [each.job for each in plan.reservations] == [101]
    assert plan.stops == ()


@pytest.mark.parametrize(
    "unfit",
    [
        {"checkpoints": False},
        {"preemptible": False},
        {"returns_as": None},
        {"started_ms": NOW_MS - 1},
        {"expected_end_ms": NOW_MS + 30_000},
    ],
    ids=lambda unfit: next(iter(unfit)),
)
def test_runs_that_cannot_or_need_not_go_are_left_where_they_are(unfit: dict[str, Any]) -> None:
    runs = [replace(small(number, node=number), **unfit) for number in (1, 2)]
    _, plan = decided(scene(*runs, job=waits(WHOLE)))
    assert (plan.stops, plan.earmarks, plan.moves) == ((), (), ())


def test_nobody_is_moved_for_a_job_that_its_quota_keeps_back() -> None:
    _, plan = decided(scene(small(1, 1), small(2, 2), job=waits(WHOLE), quota=Quota(limit=3)))
    assert plan.stops == ()


def test_no_more_is_moved_than_the_gang_gets() -> None:
    shapes = SHAPES | {ShapeId(4): shape_of(3, 1), ShapeId(5): shape_of(1, 2)}
    big = [moving(number, THEIRS, (ShapeId(4), shapes[ShapeId(4)]), ((NodeId(number), 3),)) for number in (1, 2)]
    given_facts = replace(scene(*big, job=waits(ShapeId(5)), nodes=3), shapes=shapes)
    filled = moving(3, THEIRS, (ShapeId(4), shapes[ShapeId(4)]), ((NodeId(3), 3),))
    _, plan = decided(replace(given_facts, runs=(*big, filled)))
    assert plan.stops == ()


def test_nobody_is_moved_where_only_leaving_is_waited_for() -> None:
    leaving = replace(small(1, 1), leaving=True, expected_end_ms=NOW_MS + 30_000)
    _, plan = decided(scene(leaving, small(2, 2), job=waits(WHOLE)))
    assert plan.stops == ()


def test_a_moved_run_keeps_within_the_domain_that_it_requires() -> None:
    shapes = SHAPES | {ShapeId(4): shape_of(2, 2, Topology.LEAF)}
    gang = moving(1, THEIRS, (ShapeId(4), shapes[ShapeId(4)]), ((NodeId(1), 1), (NodeId(2), 1)))
    nodes = (node_at(1, "x"), node_at(2, "x"), node_at(3, "y"), node_at(4, "z"))
    fill = [small(2, 3, 2), small(3, 4, 2)]
    shapes[ShapeId(6)] = shape_of(2, 1)
    fill = [moving(number, THEIRS, (ShapeId(6), shapes[ShapeId(6)]), ((NodeId(number + 1), 2),)) for number in (2, 3)]
    _, plan = decided(Pressed({}, nodes, shapes, (gang, *fill), (waits(WHOLE),)))
    assert [stop.run for stop in plan.stops] == [2]


@pytest.fixture
def moved() -> tuple[Snapshot, Plan]:
    return decided(scene(small(1, 1), small(2, 2), job=waits(WHOLE)))


def laws(snapshot: Snapshot, plan: Plan) -> set[Law]:
    """What a plan breaks."""
    return {each.law for each in check_plan(snapshot, plan)}


def test_a_move_to_nowhere_is_told(moved: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = moved
    assert laws(snapshot, replace(plan, moves=())) == {Law.STOP}


def test_a_move_onto_nodes_that_are_full_is_told(moved: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = moved
    (move,) = plan.moves
    there = replace(move, gang=((NodeId(1), "node-1", 0, 1),))
    assert laws(snapshot, replace(plan, moves=(there,))) == {Law.NODE_OVERFULL}


@pytest.mark.parametrize(
    "wrong",
    [
        {"gang": ()},
        {"gang": ((NodeId(2), "node-2", 1, 1),)},
        {"gang": ((NodeId(9), "node-9", 0, 1),)},
        {"group": OURS},
        {"shape": WHOLE},
        {"job": JobId(2)},
        {"gpu_class": "a100"},
    ],
    ids=str,
)
def test_a_move_of_another_kind_than_the_run_is_told(moved: tuple[Snapshot, Plan], wrong: dict[str, Any]) -> None:
    snapshot, plan = moved
    (move,) = plan.moves
    assert Law.MOVE in laws(snapshot, replace(plan, moves=(replace(move, **wrong),)))


def test_a_move_of_a_run_that_writes_no_checkpoint_is_told(moved: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = moved
    runs = {run.id: replace(run, checkpoints=False) for run in snapshot.runs.values()}
    assert laws(replace(snapshot, runs=runs), plan) == {Law.MOVE}


def test_a_moved_job_that_starts_beside_its_own_run_is_told() -> None:
    given_facts = scene(small(1, 1), small(2, 2), job=waits(WHOLE))
    applied = Applied(given_facts, federation_of(given_facts))
    snapshot = applied.federation.snapshot()
    plan = decide(snapshot, 0)
    applied.apply(snapshot, plan)
    beside = applied.federation.snapshot()
    waiting = decide(beside, 0)
    assert waiting.redeemed == ()
    applied.end_leaving()
    redeemed = decide(applied.federation.snapshot(), 0).redeemed
    early = tuple(start for start in redeemed if start.job == 1)
    assert laws(beside, replace(waiting, redeemed=early)) == {Law.EARMARK}


def test_what_is_moved_goes_nowhere_that_is_reserved(moved: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = moved
    (move,) = plan.moves
    other = replace(move, job=JobId(77))
    parts = other.job, other.group, other.shape, SITE, GPU_CLASS, other.gang
    reserved = Reservation(*parts, start_ms=NOW_MS + 1)
    assert Law.MOVE in laws(snapshot, replace(plan, reservations=(reserved,)))
