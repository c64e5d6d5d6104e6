"""The production round under a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import check_history, cluster_of, clusters, row, rows

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.oracle import decide_slowly
from scheduler.cycle.plan import Earmark, GangPart, Plan, Stop, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.errors import InvariantBroken
from scheduler.model.ids import JobId, NodeId, RunId
from scheduler.simulator.cluster import Cluster, build_cluster
from scheduler.simulator.driver import Decide, Driver
from scheduler.simulator.groups import put_groups
from scheduler.simulator.history import EndCause, History
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import Policy, parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow
from scheduler.simulator.workload import build_workload

Told = list[tuple[str, int, int, tuple[tuple[int, int], ...], str, str]]


def told(history: History) -> Told:
    """A history as plain values."""
    return [
        (
            each.job.name,
            each.start_ms,
            each.end_ms,
            each.gang,
            each.cause.value,
            "" if each.preemptor is None else each.preemptor.name,
        )
        for each in history.segments
    ]


def driven(
    given_rows: Sequence[TraceRow], cluster: Cluster, round_: Decide, *, checked: bool = True, **policy: Any
) -> History:
    """What happens when ``round_`` decides; plans by lot or by hand, which break laws, go unchecked."""
    parsed = parse_policy(policy)
    workload = build_workload(given_rows, cluster)
    return Driver(cluster, workload, parsed, round_=round_, checked=checked).run()


def replayed_slowly(
    given_rows: Sequence[TraceRow], cluster: Cluster
) -> set[tuple[str, int, tuple[tuple[int, int], ...]]]:
    """Starts, worked out by looking at every millisecond that matters with a federation made anew each time."""
    workload = build_workload(given_rows, cluster)
    running: dict[int, tuple[int, LiveRun]] = {}
    over: list[tuple[int, LiveRun]] = []
    waiting = {job.id: job for job in workload.jobs}
    found = set()
    times = {job.submit_ms for job in workload.jobs}
    while times:
        now_ms = min(times)
        times.remove(now_ms)
        over += [each for each in running.values() if each[0] <= now_ms]
        running = {run: each for run, each in running.items() if each[0] > now_ms}
        federation = Federation()
        put_groups(federation, cluster, workload, Policy())
        for site in cluster.sites:
            federation.put_site(site)
        for node in cluster.nodes:
            federation.put_node(node)
        for shape_id, shape in workload.shapes.items():
            federation.put_shape(shape_id, shape)
        federation.put_waiting(
            [
                WaitingJob(
                    id=job.id,
                    group=job.group,
                    shape=job.shape,
                    priority=job.priority,
                    submitted_ms=job.submit_ms,
                    walltime_ms=job.duration_ms,
                )
                for job in waiting.values()
                if job.submit_ms <= now_ms
            ]
        )
        for end_ms, run in over:
            federation.put_run(run)
            federation.end_run(run.id, end_ms)
        for _, run in running.values():
            federation.put_run(run)
        federation.lend(now_ms)
        for start in decide_slowly(federation.snapshot()):
            job = waiting.pop(start.job)
            shape = workload.shapes[job.shape]
            fact = LiveRun(
                id=RunId(int(job.id)),
                job=job.id,
                group=job.group,
                site=start.site,
                gpu_class=start.gpu_class,
                gpus_per_worker=shape.gpus_per_worker,
                cpus_per_worker=0,
                memory_mib_per_worker=0,
                gang=tuple((node, workers) for node, _, _, workers in start.gang),
                started_ms=now_ms,
                expected_end_ms=now_ms + job.duration_ms,
            )
            running[job.id] = (now_ms + job.duration_ms, fact)
            times.add(now_ms + job.duration_ms)
            gang = tuple((node - 1, workers * shape.gpus_per_worker) for node, _, _, workers in start.gang)
            found.add((job.name, now_ms, gang))
    return found


@given(rows(), clusters())
def test_the_driver_starts_what_a_replay_that_remembers_nothing_starts(drawn: list[TraceRow], cluster: Cluster) -> None:
    history = driven(drawn, cluster, decide)
    check_history(history, cluster)
    assert len(history.ends_ms) == len(drawn)
    assert {(each.job.name, each.start_ms, each.gang) for each in history.segments} == replayed_slowly(drawn, cluster)


def restless(seed: int, stops_max: int) -> Decide:
    """The round, which on top stops runs by lot."""
    dice, left = Random(seed), [stops_max]

    def decided(snapshot: Snapshot, round_seed: int) -> Plan:
        plan = decide(snapshot, round_seed)
        stops = []
        for run in snapshot.runs.values():
            if left[0] and dice.random() < 0.4:
                left[0] -= 1
                grace_ms = dice.choice((0, 1000, 5000))
                stops.append(Stop(run.id, run.job, dice.choice(list(StopCause)), None, grace_ms))
        return Plan(starts=plan.starts, verdicts=plan.verdicts, seed=round_seed, stops=tuple(stops))

    return decided


@given(rows(), clusters(), st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 30), st.sampled_from((0, 1, 7)))
def test_stopped_jobs_lose_the_cost_alone_and_end_once(
    drawn: list[TraceRow], cluster: Cluster, seed: int, stops: int, cost_seconds: int, interval_seconds: int
) -> None:
    history = driven(
        drawn,
        cluster,
        restless(seed, stops),
        checked=False,
        preemption_cost_seconds=cost_seconds,
        round_interval_seconds=interval_seconds,
    )
    check_history(history, cluster)
    assert len(history.ends_ms) == len(drawn)
    for each in history.segments:
        assert each.lost_ms == (0 if each.cause is EndCause.FINISHED else cost_seconds * 1000)


@given(rows(), clusters(), st.integers(0, 2**32))
def test_the_same_jobs_policy_and_seed_give_the_same_history(
    drawn: list[TraceRow], cluster: Cluster, seed: int
) -> None:
    assert by_lot(drawn, cluster, seed) == by_lot(drawn, cluster, seed)


def by_lot(drawn: list[TraceRow], cluster: Cluster, seed: int) -> Told:
    return told(driven(drawn, cluster, restless(seed, 5), checked=False))


def stopping_at(at_ms: int, make: Callable[[Snapshot], dict[str, Any]]) -> Decide:
    """The round, but at one moment, once, a plan with what ``make`` says and no starts."""
    done: list[int] = []

    def decided(snapshot: Snapshot, seed: int) -> Plan:
        if snapshot.now_ms < at_ms or done:
            return decide(snapshot, seed)
        done.append(snapshot.now_ms)
        given_plan: dict[str, Any] = {"starts": (), "verdicts": decide(snapshot, seed).verdicts}
        return Plan(**given_plan | make(snapshot), seed=seed)

    return decided


def test_a_stopped_run_keeps_what_it_did_and_runs_the_cost_longer() -> None:
    def make(snapshot: Snapshot) -> dict[str, Any]:
        return {"stops": (Stop(RunId(1), JobId(1), StopCause.PREEMPTED, JobId(2), 5000),)}

    jobs = [row("long", 0, 100, 4), row("high", 10, 20, 4, qos="high")]
    history = driven(jobs, cluster_of(4), stopping_at(10_000, make), checked=False, preemption_cost_seconds=30)
    assert told(history) == [
        ("long", 0, 15_000, ((0, 4),), "preempted", "high"),
        ("high", 15_000, 35_000, ((0, 4),), "finished", ""),
        ("long", 35_000, 150_000, ((0, 4),), "finished", ""),
    ]
    assert [each.lost_ms for each in history.segments] == [30_000, 0, 0]


def test_where_preemption_is_free_a_run_is_gone_at_once_and_its_job_loses_nothing() -> None:
    def make(snapshot: Snapshot) -> dict[str, Any]:
        return {"stops": (Stop(RunId(1), JobId(1), StopCause.RECLAIMED, JobId(2), 5000),)}

    jobs = [row("long", 0, 100, 4), row("high", 10, 20, 4, qos="high")]
    history = driven(jobs, cluster_of(4), stopping_at(10_000, make), checked=False, free_preemption=True)
    assert told(history) == [
        ("long", 0, 10_000, ((0, 4),), "preempted", "high"),
        ("high", 10_000, 30_000, ((0, 4),), "finished", ""),
        ("long", 30_000, 120_000, ((0, 4),), "finished", ""),
    ]


def test_an_elastic_job_does_its_work_faster_with_more_workers_and_changes_their_number() -> None:
    wide = replace(row("wide", 0, 100, 4, walltime_ms=1_000_000), workers_max=2)
    jobs = [wide, row("other", 10, 30, 4, walltime_ms=1_000_000)]
    policy = Policy(preemption_cost_seconds=6, minimum_run_seconds=0, grace_seconds=5)
    outcome = simulate(jobs, cluster_of(4, 4), policy)
    segments = {
        (each.job.name, each.start_ms, each.end_ms, each.gpus, each.cause.value) for each in outcome.history.segments
    }
    # 15 s with two workers do 30 s of its work, of which the restart of both costs 12; the rest is done by one, then by two.
    assert segments == {
        ("wide", 0, 15_000, 8, "shrunk"),
        ("other", 15_000, 45_000, 4, "finished"),
        ("wide", 15_000, 50_000, 4, "grown"),
        ("wide", 50_000, 76_500, 8, "finished"),
    }
    assert sum(each.lost_ms for each in outcome.history.segments) == 12_000 + 6_000
    measured = measure(outcome)
    assert measured.document["preemptions"] == 2
    assert measured.document["lower_bound_mean_jct_s"] is None


def test_a_run_that_finishes_within_its_grace_is_not_preempted() -> None:
    def make(snapshot: Snapshot) -> dict[str, Any]:
        return {"stops": (Stop(RunId(1), JobId(1), StopCause.PREEMPTED, JobId(2), 5000),)}

    history = driven([row("a", 0, 14, 4), row("b", 10, 1, 4)], cluster_of(4), stopping_at(10_000, make), checked=False)
    assert told(history)[0] == ("a", 0, 14_000, ((0, 4),), "finished", "")


def test_an_earmarked_job_starts_on_its_nodes_when_the_last_run_there_is_gone_and_nobody_else_does() -> None:
    def make(snapshot: Snapshot) -> dict[str, Any]:
        waiting = next(each for each in snapshot.waiting if snapshot.shapes[each.shape].gpus == 4)
        gang: tuple[GangPart, ...] = ((NodeId(1), "node-000000", 0, 1),)
        held = Earmark(JobId(3), waiting.group, waiting.shape, next(iter(snapshot.sites)), "x", gang)
        stops = (
            Stop(RunId(1), JobId(1), StopCause.PREEMPTED, JobId(3), 1000),
            Stop(RunId(2), JobId(2), StopCause.PREEMPTED, JobId(3), 9000),
        )
        return {"stops": stops, "earmarks": (held,)}

    jobs = [row("a", 0, 100, 2), row("b", 0, 100, 2), row("gang", 10, 20, 4), row("small", 12, 5, 1)]
    history = driven(jobs, cluster_of(4), stopping_at(10_000, make), checked=False, preemption_cost_seconds=0)
    check_history(history, cluster_of(4))
    starts = sorted((each.start_ms, each.job.name) for each in history.segments)
    assert starts[:6] == [(0, "a"), (0, "b"), (19_000, "gang"), (39_000, "a"), (39_000, "b"), (120_000, "small")]
    assert ("b", 0, 19_000, ((0, 2),), "preempted", "gang") in told(history)


def test_an_earmark_is_withdrawn_when_its_node_fails() -> None:
    def make(snapshot: Snapshot) -> dict[str, Any]:
        waiting = snapshot.waiting[0]
        gang: tuple[GangPart, ...] = ((NodeId(1), "node-000000", 0, 1),)
        held = Earmark(JobId(3), waiting.group, waiting.shape, next(iter(snapshot.sites)), "x", gang)
        return {"stops": (Stop(RunId(1), JobId(1), StopCause.PREEMPTED, JobId(3), 9000),), "earmarks": (held,)}

    history = driven(
        [row("a", 0, 100, 4), row("short", 0, 12, 4), row("gang", 10, 20, 4)],
        cluster_of(4, 4),
        stopping_at(10_000, make),
        checked=False,
        failures=[{"node": 0, "at_seconds": 12, "until_seconds": 500}],
        preemption_cost_seconds=0,
        checkpoint_interval_seconds=0,
    )
    check_history(history, cluster_of(4, 4))
    assert len(history.ends_ms) == 3
    assert ("gang", 100_000, 120_000, ((1, 4),), "finished", "") in told(history)


def test_a_node_that_fails_costs_its_runs_what_came_after_the_last_checkpoint() -> None:
    history = driven(
        [row("a", 0, 100, 4)],
        cluster_of(2, 2),
        decide,
        failures=[{"node": 1, "at_seconds": 50, "until_seconds": 60}],
        checkpoint_interval_seconds=20,
        preemption_cost_seconds=5,
    )
    gang = ((0, 2), (1, 2))
    assert told(history) == [("a", 0, 50_000, gang, "failed", ""), ("a", 60_000, 125_000, gang, "finished", "")]
    assert history.segments[0].lost_ms == 15_000
    assert history.capacity == [(0, 4), (50_000, 2), (60_000, 4)]


def test_a_rack_with_spares_takes_work_on_its_block_alone_and_on_a_spare_while_a_node_is_broken() -> None:
    rack = {"count": 4, "gpus_per_node": 2, "gpu_type": "x", "leaf_nodes": 4, "block_nodes": 2}
    cluster = build_cluster({"name": "test", "nodes": [rack]})
    failures = [{"node": 0, "at_seconds": 15, "until_seconds": 35}]
    jobs = [row(name, 0, 10, 2) for name in ("a", "b", "c", "d", "e", "f")]
    history = driven(jobs, cluster, decide, failures=failures, preemption_cost_seconds=0)
    nodes = [(each.start_ms // 1000, each.gang[0][0]) for each in history.segments if each.cause is EndCause.FINISHED]
    assert sorted(nodes) == [(0, 0), (0, 1), (10, 1), (15, 2), (20, 1), (25, 2)]


def test_recalled_nodes_take_nothing_new_and_are_empty_by_the_deadline() -> None:
    history = driven(
        [row("a", 0, 100, 4), row("b", 15, 10, 4)],
        cluster_of(4, 4, sites=("company", "state")),
        decide,
        recalls=[{"site": "company", "nodes": 1, "at_seconds": 10, "by_seconds": 30, "until_seconds": 200}],
        preemption_cost_seconds=5,
    )
    assert told(history) == [
        ("b", 15_000, 25_000, ((1, 4),), "finished", ""),
        ("a", 0, 30_000, ((0, 4),), "recalled", ""),
        ("a", 30_000, 105_000, ((1, 4),), "finished", ""),
    ]


def test_an_offer_takes_work_in_its_windows_alone() -> None:
    history = driven(
        [row("a", 0, 30, 4), row("b", 55, 10, 4)],
        cluster_of(4, sites=("company",)),
        decide,
        offers=[
            {
                "site": "company", "nodes": 1, "from_seconds": 10, "to_seconds": 30, "every_seconds": 50,
                "notice_seconds": 5,
            }
        ],
        preemption_cost_seconds=0,
        minimum_run_seconds=0,
    )  # fmt: skip
    assert told(history) == [
        ("a", 10_000, 30_000, ((0, 4),), "recalled", ""),
        ("a", 60_000, 70_000, ((0, 4),), "finished", ""),
        ("b", 70_000, 80_000, ((0, 4),), "finished", ""),
    ]


def test_a_plan_that_breaks_a_law_ends_the_simulation() -> None:
    def twice(snapshot: Snapshot, seed: int) -> Plan:
        plan = decide(snapshot, seed)
        return Plan(starts=(*plan.starts, *plan.starts), verdicts=plan.verdicts, seed=seed)

    with pytest.raises(InvariantBroken, match="not_waiting"):
        driven([row("a", 0, 1)], cluster_of(4), twice)


def test_rounds_that_stop_what_they_start_are_called_a_livelock() -> None:
    def restarts(snapshot: Snapshot, seed: int) -> Plan:
        plan = decide(snapshot, seed)
        first = [Stop(run.id, run.job, StopCause.PREEMPTED, None, 0) for run in snapshot.runs.values()][:1]
        return Plan(starts=plan.starts, verdicts=plan.verdicts, seed=seed, stops=tuple(first))

    with pytest.raises(InvariantBroken, match="go on stopping"):
        driven([row(name, at, 9, 4) for at, name in enumerate("abcd")], cluster_of(4, 4), restarts, checked=False)


def test_without_draining_what_still_runs_after_the_last_arrival_is_cut_off() -> None:
    outcome = simulate([row("a", 0, 100), row("b", 10, 100)], cluster_of(4), parse_policy({"drain": False}))
    assert [(each.job.name, each.end_ms, each.cause) for each in outcome.history.segments] == [
        ("a", 10_001, EndCause.END_OF_TRACE),
        ("b", 10_001, EndCause.END_OF_TRACE),
    ]


def test_a_group_has_its_own_order() -> None:
    jobs = [row("first", 0, 10, 4), row("long", 1, 50, 4), row("short", 2, 5, 4)]
    policy = {"groups": [{"path": "one", "order": "least_work"}]}
    ends = [each.job.name for each in simulate(jobs, cluster_of(4), parse_policy(policy)).history.segments]
    assert ends == ["first", "short", "long"]
