"""Nodes are reserved for blocked gangs, and whoever would be in their way does not start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from blocked import HOUR_MS, blocked_facts, blocked_federations, ended_by
from example_count import examples
from federations import OPEN_SITE, Facts, build, node_of, plain_shape, run_of
from hypothesis import given, settings
from hypothesis import strategies as st
from lendings import NOW_MS, offer_of

from quota.tree import Quota
from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.oracle import decide_and_reserve_slowly
from scheduler.cycle.plan import Plan
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.reason import ReasonCode


@settings(max_examples=examples(200))
@given(blocked_federations())
def test_the_fast_round_reserves_and_starts_what_the_slow_one_does(federation: Federation) -> None:
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    starts, reservations = decide_and_reserve_slowly(snapshot)
    assert plan.starts == starts
    assert plan.reservations == reservations


@given(blocked_federations())
def test_no_plan_with_reservations_breaks_a_law(federation: Federation) -> None:
    snapshot = federation.snapshot()
    assert check_plan(snapshot, decide(snapshot, 0)) == ()


@given(blocked_federations(), st.integers(1, 8 * HOUR_MS))
def test_a_round_is_lawful_however_long_ago_it_was_worked_out_what_is_lent(federation: Federation, ms: int) -> None:
    later = replace(federation.snapshot(), now_ms=NOW_MS + ms)
    assert check_plan(later, decide(later, 0)) == ()


def start_all(federation: Federation, plan: Plan, now_ms: int) -> set[JobId]:
    """Apply a plan's starts; each run ends at its job's walltime."""
    snapshot = federation.snapshot()
    waiting = {job.id: job for job in snapshot.table.jobs()}
    for number, start in enumerate(plan.starts, max(federation.live_runs, default=0) + 1):
        gang = tuple((node, workers) for node, _, _, workers in start.gang)
        run = run_of(number, start.job, start.group, snapshot.shapes[start.shape], start.site, start.gpu_class, gang)
        walltime_ms = waiting[start.job].walltime_ms
        federation.drop_waiting(start.job)
        end_ms = None if walltime_ms is None else now_ms + walltime_ms
        federation.put_run(replace(run, started_ms=now_ms, preemptible=False, expected_end_ms=end_ms))
    return {start.job for start in plan.starts}


@given(blocked_facts(groups=(4,), endless=False), st.data())
def test_a_gang_starts_at_its_moment_whatever_comes_after_it(facts: Facts, data: st.DataObject) -> None:
    federation = build(replace(facts, quotas={}))
    federation.lend(NOW_MS)
    plan, now_ms = decide(federation.snapshot(), 0), NOW_MS
    started = start_all(federation, plan, now_ms)
    if not plan.reservations:
        return
    first, number = plan.reservations[0], 100
    left = federation.snapshot()
    turn = left.table.turn_of(first.job)
    assert turn is not None
    several = [each for each in left.waiting if len(left.shapes[each.shape].gpu_classes) > 1]
    if any(each.turns[0] < turn for each in several):
        return  # what comes before it has another GPU class to try, and may have these nodes
    if first.gpu_class != left.candidates(left.shapes[first.shape])[0]:
        return  # it is tried there after all jobs that would rather have that class
    while True:
        ended_by(federation, now_ms)
        for _ in range(data.draw(st.integers(0, 3))):
            number += 1
            shape, hours = data.draw(st.sampled_from((1, 2, 3, 5))), data.draw(st.integers(1, 5))
            later = WaitingJob(
                id=JobId(number), group=GroupId(4), shape=ShapeId(shape), priority=0, submitted_ms=number,
                walltime_ms=hours * HOUR_MS,
            )  # fmt: skip
            federation.put_waiting([later])
        federation.lend(now_ms)
        started |= start_all(federation, decide(federation.snapshot(), 0), now_ms)
        if first.job in started or now_ms >= first.start_ms:
            break
        ends = [run.expected_end_ms or 0 for run in federation.live_runs.values()]
        now_ms = min((end for end in ends if end > now_ms), default=first.start_ms)
    assert first.job in started


def gang_of_four(
    *, first_ends: tuple[int | None, ...], offers: int | None = None, limit: int | None = None, **small: int | None
) -> Plan:
    """A gang of four nodes waits before a job of one node; runs hold as many of four nodes as ``first_ends`` has."""
    shapes = {ShapeId(1): plain_shape(8, workers=4), ShapeId(2): plain_shape(8)}
    given: dict[str, int | None] = {"walltime_ms": HOUR_MS} | small
    jobs = (
        WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0, walltime_ms=HOUR_MS),
        WaitingJob(id=JobId(2), group=GroupId(4), shape=ShapeId(2), priority=0, submitted_ms=1, **given),  # type: ignore[arg-type]
    )
    runs = tuple(
        replace(
            run_of(at, JobId(900 + at), GroupId(6), shapes[ShapeId(2)], SiteId(1), "h100", ((NodeId(at), 1),)),
            expected_end_ms=None if end is None else NOW_MS + end,
            preemptible=False,
        )
        for at, end in enumerate(first_ends, 1)
    )
    nodes = tuple(node_of(number, 8) for number in range(1, 5))
    quotas = {(GroupId(2), "h100"): Quota(limit=limit)}
    federation = build(Facts(quotas, (OPEN_SITE,), nodes, shapes, jobs, runs))
    if offers is not None:
        federation.set_lending([offer_of(closes_ms=NOW_MS + offers)], [], [])
    federation.lend(NOW_MS)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    return plan


def test_a_job_that_is_gone_in_time_is_backfilled_and_one_that_is_not_waits() -> None:
    (reservation,) = gang_of_four(first_ends=(2 * HOUR_MS,), walltime_ms=2 * HOUR_MS).reservations
    assert (reservation.job, reservation.start_ms) == (1, NOW_MS + 2 * HOUR_MS)
    assert [part[0] for part in reservation.gang] == [1, 2, 3, 4]
    assert {each.job for each in gang_of_four(first_ends=(2 * HOUR_MS,), walltime_ms=2 * HOUR_MS).starts} == {2}
    assert {each.job for each in gang_of_four(first_ends=(2 * HOUR_MS,), walltime_ms=3 * HOUR_MS).starts} == set()
    assert {each.job for each in gang_of_four(first_ends=(2 * HOUR_MS,), walltime_ms=None).starts} == set()


def test_where_nobody_knows_when_a_run_ends_nothing_is_reserved() -> None:
    plan = gang_of_four(first_ends=(None,), walltime_ms=None)
    assert plan.reservations == () and {each.job for each in plan.starts} == {2}


def test_nothing_is_reserved_for_a_job_that_its_quota_would_keep_from_starting() -> None:
    assert gang_of_four(first_ends=(HOUR_MS,), limit=32).reservations
    assert not gang_of_four(first_ends=(HOUR_MS,), limit=31).reservations


def test_nothing_is_reserved_for_when_the_window_is_too_short() -> None:
    assert gang_of_four(first_ends=(HOUR_MS,), offers=2 * HOUR_MS).reservations
    assert not gang_of_four(first_ends=(HOUR_MS,), offers=2 * HOUR_MS - 1).reservations


def test_a_start_in_the_way_of_a_reservation_is_found() -> None:
    long = gang_of_four(first_ends=(None,), walltime_ms=3 * HOUR_MS)
    shapes = {ShapeId(1): plain_shape(8, workers=4), ShapeId(2): plain_shape(8)}
    jobs = tuple(
        WaitingJob(
            id=JobId(at), group=GroupId(4), shape=ShapeId(at), priority=0, submitted_ms=at, walltime_ms=3 * HOUR_MS
        )
        for at in (1, 2)
    )
    run = run_of(1, JobId(901), GroupId(6), shapes[ShapeId(2)], SiteId(1), "h100", ((NodeId(1), 1),))
    run = replace(run, expected_end_ms=NOW_MS + HOUR_MS, preemptible=False)
    nodes = tuple(node_of(number, 8) for number in range(1, 5))
    federation = build(Facts({}, (OPEN_SITE,), nodes, shapes, jobs, (run,)))
    federation.lend(NOW_MS)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert plan.reservations and not plan.starts
    assert {each.law for each in check_plan(snapshot, replace(plan, starts=tuple(long.starts)))} == {Law.RESERVED}


def test_of_a_node_that_is_reserved_twice_others_have_what_both_leave() -> None:
    shapes = {ShapeId(gpus): plain_shape(gpus) for gpus in (1, 4, 6)}
    runs = tuple(
        replace(
            run_of(hours, JobId(900 + hours), GroupId(6), shapes[ShapeId(4)], SiteId(1), "h100", ((NodeId(1), 1),)),
            expected_end_ms=NOW_MS + hours * HOUR_MS,
            preemptible=False,
        )
        for hours in (1, 3)
    )
    jobs = tuple(
        WaitingJob(id=JobId(group), group=GroupId(group), shape=ShapeId(gpus), priority=0, submitted_ms=0)
        for group, gpus in ((4, 6), (5, 1), (6, 1))
    )
    federation = build(Facts({}, (OPEN_SITE,), (node_of(1, 10),), shapes, jobs, runs))
    federation.lend(NOW_MS)
    plan = decide(federation.snapshot(), 0)
    assert [(each.job, each.start_ms) for each in plan.reservations] == [
        (4, NOW_MS + HOUR_MS),
        (5, NOW_MS + 3 * HOUR_MS),
    ]
    assert plan.starts == ()


@given(blocked_federations())
def test_with_the_walltime_that_a_verdict_names_the_job_starts_in_the_same_round(federation: Federation) -> None:
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    waiting = {job.id: job for job in snapshot.table.jobs()}
    started = {start.job for start in plan.starts}
    for verdict in plan.verdicts:
        wanted = verdict.counterfactual
        if (
            wanted is None
            or wanted.walltime_seconds is None
            or replace(wanted, walltime_seconds=None).asks_for_anything
        ):
            continue
        turns = next(each.turns for each in snapshot.waiting if each.key == verdict.key)
        head = waiting[next(job for _, _, job in turns if job not in started)]
        twin = federation.copy()
        twin.put_waiting([replace(head, walltime_ms=wanted.walltime_seconds * 1000)])
        assert head.id in {start.job for start in decide(twin.snapshot(), 0).starts}


def test_a_job_behind_a_reservation_is_told_the_walltime_with_which_it_would_start() -> None:
    plan = gang_of_four(first_ends=(2 * HOUR_MS,), walltime_ms=3 * HOUR_MS)
    told = {verdict.shape: verdict for verdict in plan.verdicts}[ShapeId(2)]
    assert told.reason.code is ReasonCode.RESERVED_FOR_OTHERS
    assert told.reason.numbers == {"free": 24, "gpu_class": "h100", "seconds_max": 7200}
    assert told.counterfactual is not None and told.counterfactual.walltime_seconds == 7200


def test_what_a_group_starts_behind_its_reservation_stays_within_what_is_left_of_its_share() -> None:
    shapes = {ShapeId(gpus): plain_shape(gpus) for gpus in (2, 3, 8)} | {ShapeId(9): plain_shape(8, workers=5)}
    runs = [run_of(1, JobId(901), GroupId(4), shapes[ShapeId(8)], SiteId(1), "h100", ((NodeId(1), 1),))]
    runs[0] = replace(runs[0], expected_end_ms=NOW_MS + HOUR_MS, preemptible=False)
    for node in (2, 3, 4):
        runs.append(
            run_of(node, JobId(900 + node), GroupId(6), shapes[ShapeId(2)], SiteId(1), "h100", ((NodeId(node), 1),))
        )
    head = WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(8), priority=0, submitted_ms=0)
    small = [replace(head, id=JobId(number), shape=ShapeId(3)) for number in (2, 3, 4)]
    other = replace(head, id=JobId(5), group=GroupId(6), shape=ShapeId(9))
    nodes = tuple(node_of(number, 8) for number in range(1, 5))
    federation = build(Facts({}, (OPEN_SITE,), nodes, shapes, (head, *small, other), tuple(runs)))
    federation.lend(NOW_MS)
    plan = decide(federation.snapshot(), 0)
    assert [(each.job, each.start_ms) for each in plan.reservations] == [(1, NOW_MS + HOUR_MS)]
    assert {start.job for start in plan.starts} == {2, 3}


def small_job(priority: int) -> WaitingJob:
    """One node for ten minutes."""
    return WaitingJob(
        id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=priority, submitted_ms=1, walltime_ms=600_000
    )


def gang_and(small: WaitingJob, run: LiveRun | None = None, *, nodes: int) -> Plan:
    """What a round decides, lawfully, where a gang of all nodes waits with a small job."""
    shapes = {ShapeId(1): plain_shape(8), ShapeId(2): plain_shape(8, workers=nodes)}
    gang = WaitingJob(id=JobId(2), group=GroupId(4), shape=ShapeId(2), priority=0, submitted_ms=2, walltime_ms=HOUR_MS)
    there = tuple(node_of(number, 8) for number in range(1, nodes + 1))
    federation = build(Facts({}, (OPEN_SITE,), there, shapes, (small, gang), () if run is None else (run,)))
    federation.lend(NOW_MS)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    return plan


def run_on_the_first_node(**values: Any) -> LiveRun:
    """Of another group, which nobody may end."""
    run = run_of(9, JobId(9), GroupId(6), plain_shape(8), SiteId(1), "h100", ((NodeId(1), 1),))
    return replace(run, preemptible=False, **values)


def test_nodes_are_reserved_for_the_very_moment_at_which_what_the_same_round_starts_is_over() -> None:
    plan = gang_and(small_job(priority=0), nodes=4)
    assert [start.job for start in plan.starts] == [1]
    assert [(each.job, each.start_ms) for each in plan.reservations] == [(2, NOW_MS + 600_000)]


def test_nodes_are_reserved_for_when_the_grace_of_a_run_that_leaves_would_be_over_if_it_began_now() -> None:
    run = run_on_the_first_node(leaving=True, grace_ms=60_000)
    plan = gang_and(small_job(priority=-100), run, nodes=2)
    assert [(each.job, each.start_ms) for each in plan.reservations] == [(2, NOW_MS + 60_000)]
    assert plan.starts == ()


def test_nodes_are_reserved_for_now_where_the_run_on_them_should_be_over_already() -> None:
    run = run_on_the_first_node(expected_end_ms=NOW_MS - 1_000)
    plan = gang_and(small_job(priority=-100), run, nodes=2)
    assert [(each.job, each.start_ms) for each in plan.reservations] == [(2, NOW_MS)]
    assert plan.starts == ()
