"""Reclaim and preemption: useful, minimal, finite, and never from inside a guarantee (law 4)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from example_count import examples
from federations import node_of, plain_shape, run_of
from hypothesis import given, settings
from pressed import GPU_CLASS, Applied, Pressed, assert_comes_to_rest, federation_of, pressed

from quota.admission import Admitted, Usage, admit
from quota.fair_share import fair_share
from quota.tree import Quota
from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.plan import Earmark, Plan, Start, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId


@given(pressed())
def test_no_plan_with_stops_breaks_a_law(drawn: Pressed) -> None:
    snapshot = federation_of(drawn).snapshot()
    assert check_plan(snapshot, decide(snapshot, 0)) == ()


@given(pressed())
def test_the_round_after_an_applied_plan_stops_nothing(drawn: Pressed) -> None:
    applied = Applied(drawn, federation_of(drawn))
    snapshot = applied.federation.snapshot()
    applied.apply(snapshot, decide(snapshot, 0))
    again = applied.federation.snapshot()
    after = decide(again, 0)
    assert check_plan(again, after) == ()
    assert (after.stops, after.earmarks, after.withdrawn) == ((), (), ())


@given(pressed())
def test_reclaims_come_to_an_end_and_every_earmark_is_redeemed(drawn: Pressed) -> None:
    assert_comes_to_rest(Applied(drawn, federation_of(drawn)))


@given(pressed())
def test_a_reclaim_takes_from_above_the_share_for_below_it_and_never_from_inside_a_guarantee(drawn: Pressed) -> None:
    snapshot = federation_of(drawn).snapshot()
    plan = decide(snapshot, 0)
    usage, own_share = usage_of(snapshot), shares_of(snapshot)
    lost: defaultdict[int, list[int]] = defaultdict(list)
    for stop in plan.stops:
        run = snapshot.runs[stop.run]
        if stop.cause is StopCause.RECLAIMED:
            lost[usage.tree.position(run.group)].append(run.gpus)
    for start in plan.starts:
        usage.charge(start.group, snapshot.shapes[start.shape].gpus)
    for position, gpus in lost.items():
        # In whatever order they went: before the last of them its group was above its share.
        assert usage.own[position] - sum(gpus) + max(gpus) > own_share[position]
    usage = usage_of(snapshot)
    for stop in plan.stops:
        assert snapshot.runs[stop.run].id not in inside_guarantee(snapshot, usage) or stop.cause is StopCause.PREEMPTED


@given(pressed())
def test_without_any_one_of_its_victims_a_job_would_not_be_earmarked(drawn: Pressed) -> None:
    snapshot = federation_of(drawn).snapshot()
    plan = decide(snapshot, 0)
    for stop in plan.stops:
        number = next(at for at, each in enumerate(plan.earmarks) if each.job == stop.preemptor)
        earlier = {each.job for each in plan.earmarks[:number]}
        gone = {each.run for each in plan.stops if each.preemptor in earlier or each.preemptor == stop.preemptor}
        assert could_be_earmarked(snapshot, plan, number, gone)
        assert not could_be_earmarked(snapshot, plan, number, gone - {stop.run})


@settings(max_examples=examples(200))
@given(pressed(single=True))
def test_a_group_that_asks_for_no_more_than_its_guarantee_gets_it_once_the_stopped_are_gone(drawn: Pressed) -> None:
    applied = Applied(drawn, federation_of(drawn))
    first = applied.federation.snapshot()
    usage = usage_of(first)
    applied.apply(first, decide(first, 0))
    applied.end_leaving()
    second = applied.federation.snapshot()
    plan = decide(second, 0)
    started = {start.job for start in [*plan.redeemed, *plan.starts]}
    waits = Counter(job.group for job in drawn.jobs)
    for group, jobs in waits.items():
        position = usage.tree.position(group)
        if int(usage.used[position]) + jobs <= int(usage.guaranteed[position]) and not below(usage, position, waits):
            held = sum(run.gpus for run in applied.federation.live_runs.values() if run.group == group)
            mine = {job.id for job in drawn.jobs if job.group == group}
            assert held + len(mine & started) >= int(usage.own[position]) + jobs


@given(pressed())
def test_what_runs_stays_within_every_limit_while_others_still_leave(drawn: Pressed) -> None:
    applied = Applied(drawn, federation_of(drawn))
    before = running(applied.federation.snapshot())
    for _ in range(3):
        snapshot = applied.federation.snapshot()
        applied.apply(snapshot, decide(snapshot, 0))
        now = running(applied.federation.snapshot())
        for (group, _), quota in drawn.quotas.items():
            if quota.limit is not None:
                assert now[group] <= max(quota.limit, before[group])


def test_what_leaves_for_one_job_is_held_for_no_other_that_it_would_hold_as_well() -> None:
    node, gang, single = node_of(1, gpus=2), plain_shape(2), plain_shape(1)
    run = run_of(1, JobId(1), GroupId(6), gang, SiteId(1), GPU_CLASS, ((NodeId(1), 1),))
    jobs = tuple(
        WaitingJob(id=JobId(number), group=GroupId(4), shape=ShapeId(2), priority=0, submitted_ms=0)
        for number in (2, 3)
    )
    guaranteed = {(GroupId(group), GPU_CLASS): Quota(guaranteed=2) for group in (2, 4)}
    given_facts = Pressed(guaranteed, (node,), {ShapeId(1): gang, ShapeId(2): single}, (run,), jobs)
    applied = Applied(given_facts, federation_of(given_facts))
    first = applied.federation.snapshot()
    plan = decide(first, 0)
    assert ([stop.run for stop in plan.stops], [each.job for each in plan.earmarks]) == ([1], [2])
    applied.apply(first, plan)
    applied.end_leaving()
    after = decide(applied.federation.snapshot(), 0)
    assert ([each.job for each in after.redeemed], [each.job for each in after.starts]) == ([2], [3])


def test_a_job_that_others_make_way_for_by_quota_alone_waits_until_they_are_gone() -> None:
    node = node_of(1, gpus=2)
    shape = plain_shape(1)
    run = replace(
        run_of(1, JobId(1), GroupId(4), shape, SiteId(1), GPU_CLASS, ((NodeId(1), 1),)), started_ms=0, grace_ms=30_000
    )
    job = WaitingJob(id=JobId(2), group=GroupId(4), shape=ShapeId(1), priority=100, submitted_ms=0)
    limit = {(GroupId(4), GPU_CLASS): Quota(limit=1)}
    given_facts = Pressed(limit, (node,), {ShapeId(1): shape}, (run,), (job,))
    applied = Applied(given_facts, federation_of(given_facts))
    first = applied.federation.snapshot()
    plan = decide(first, 0)
    assert ([stop.run for stop in plan.stops], [each.job for each in plan.earmarks]) == ([1], [2])
    applied.apply(first, plan)
    beside = applied.federation.snapshot()
    assert decide(beside, 0).redeemed == ()
    redeemed = Start(job.id, job.group, job.shape, SiteId(1), GPU_CLASS, ((NodeId(1), node.name, 0, 1),))
    early = replace(decide(beside, 0), redeemed=(redeemed,))
    assert [each.law for each in check_plan(beside, early)] == [Law.EARMARK]
    applied.end_leaving()
    assert decide(applied.federation.snapshot(), 0).redeemed == (redeemed,)


def running(snapshot: Snapshot) -> Counter[int]:
    """GPUs of all live runs, leaving or not, by group with all below it."""
    found: Counter[int] = Counter()
    for run in snapshot.runs.values():
        for group in snapshot.tree.path(run.group):
            found[group] += run.gpus
    return found


@given(pressed())
def test_a_round_goes_on_when_the_last_node_of_what_leaves_is_gone(drawn: Pressed) -> None:
    applied = Applied(replace(drawn, quotas={}), federation_of(replace(drawn, quotas={})))
    snapshot = applied.federation.snapshot()
    applied.apply(snapshot, decide(snapshot, 0))
    for node in drawn.nodes:
        applied.federation.remove_node(node.id)
    nothing = applied.federation.snapshot()
    plan = decide(nothing, 0)
    assert check_plan(nothing, plan) == ()
    assert set(plan.withdrawn) == set(nothing.earmarks)
    assert (len(plan.starts), plan.stops, plan.earmarks) == (0, (), ())


def below(usage: Usage, position: int, waits: Counter[int]) -> bool:
    """Whether a group has others below it that ask: their guarantee is inside its own."""
    return any(
        int(usage.tree.parent[at]) == position and (usage.used[at] or waits[int(usage.tree.group_ids[at])])
        for at in range(len(usage.tree))
    )


def usage_of(snapshot: Snapshot) -> Usage:
    tree = snapshot.tree.of_class(GPU_CLASS)
    own: Counter[int] = Counter()
    for run in snapshot.runs.values():
        own[run.group] += run.gpus
    return Usage(tree, snapshot.capacity(GPU_CLASS), tree.array(own))


def shares_of(snapshot: Snapshot) -> list[int]:
    tree = snapshot.tree.of_class(GPU_CLASS)
    asked: Counter[int] = Counter()
    for run in snapshot.runs.values():
        asked[run.group] += run.gpus
    for waiting in snapshot.waiting:
        asked[waiting.group] += snapshot.shapes[waiting.shape].gpus * len(waiting.turns)
    own: list[int] = fair_share(tree, tree.array(asked), snapshot.capacity(GPU_CLASS)).own.tolist()
    return own


def inside_guarantee(snapshot: Snapshot, usage: Usage) -> set[RunId]:
    """Runs of groups whose work is all inside their guarantee; of groups with none below them."""
    tree = usage.tree
    inner = set(tree.parent.tolist())
    within = {at for at in range(len(tree)) if at not in inner and usage.own[at] <= usage.guaranteed[at]}
    return {run.id for run in snapshot.runs.values() if tree.position(run.group) in within}


def could_be_earmarked(snapshot: Snapshot, plan: Plan, number: int, gone: set[RunId]) -> bool:
    """Whether the gang of an earmark fits beside what stays, by nodes and quotas, worked out from nothing."""
    earmark, before = plan.earmarks[number], plan.earmarks[:number]
    free: dict[NodeId, int] = {node.id: node.gpus for node in snapshot.nodes.values()}
    own: Counter[int] = Counter()
    for run in snapshot.runs.values():
        if run.id not in gone:
            own[run.group] += run.gpus
            for node, workers in run.gang:
                free[node] -= workers * run.gpus_per_worker
    held: list[Start | Earmark] = [*plan.starts, *before]
    for each in held:
        shape = snapshot.shapes[each.shape]
        own[each.group] += shape.gpus
        for node, _, _, workers in each.gang:
            free[node] -= workers * shape.gpus_per_worker
    shape = snapshot.shapes[earmark.shape]
    room = Counter[tuple[str, ...]]()
    for node, gpus in free.items():
        room[snapshot.nodes[node].domain_at(shape.required)] += max(gpus, 0) // shape.gpus_per_worker
    tree = snapshot.tree.of_class(GPU_CLASS)
    usage = Usage(tree, snapshot.capacity(GPU_CLASS), tree.array(own))
    answer = admit(usage, earmark.group, shape.gpus, inside_guarantee=not shape.preemptible)
    return max(room.values()) >= shape.workers and isinstance(answer, Admitted)
