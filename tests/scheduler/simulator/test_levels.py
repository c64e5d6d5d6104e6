"""Orders that count as priority: at one instant a job has one level, so that the rounds of an instant come to an end."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from simulations import cluster_of, row

from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Plan, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import JobId
from scheduler.simulator.driver import Driver
from scheduler.simulator.history import EndCause, History
from scheduler.simulator.policy import parse_policy
from scheduler.simulator.trace import TraceRow
from scheduler.simulator.workload import build_workload


@st.composite
def unlike(draw: st.DrawFn) -> list[TraceRow]:
    """Jobs of two people that take anything from half a minute to an hour, which nobody could predict."""
    found = [
        row(
            f"job-{number}",
            60 * draw(st.integers(0, 60)),
            draw(st.sampled_from((30, 120, 600, 3600))),
            draw(st.sampled_from((1, 1, 1, 2))),
            user=draw(st.sampled_from(("kim", "lee"))),
        )
        for number in range(draw(st.integers(4, 16)))
    ]
    return sorted(found, key=lambda each: each.submit_ms)


def watched(given_rows: list[TraceRow], **policy: object) -> History:
    """What happens by predicted remaining work; at each instant every round knows a job by the same priority."""
    known: defaultdict[int, dict[JobId, int]] = defaultdict(dict)

    def look(snapshot: Snapshot, seed: int) -> Plan:
        now_ms = snapshot.now_ms
        here = [(run.job, run.priority) for run in snapshot.runs.values()]
        here += [(job.id, job.priority) for job in snapshot.table.jobs()]
        for job, priority in here:
            assert known[now_ms].setdefault(job, priority) == priority
        plan = decide(snapshot, seed)
        for stop in (each for each in plan.stops if each.cause is StopCause.PREEMPTED):
            assert stop.preemptor is not None
            assert known[now_ms][stop.job] < known[now_ms][stop.preemptor]
        return plan

    cluster = cluster_of(2, 2)
    parsed = parse_policy({"durations": "predicted", "order": "least_work", **policy})
    return Driver(cluster, build_workload(given_rows, cluster), parsed, round_=look).run()


@given(unlike(), st.integers(1, 8), st.sampled_from((0, 60)), st.sampled_from((0, 300)))
def test_at_one_instant_a_job_keeps_its_level_and_each_stop_is_for_a_job_in_front(
    drawn: list[TraceRow], levels: int, minimum_run: int, cost: int
) -> None:
    history = watched(drawn, levels_per_doubling=levels, minimum_run_seconds=minimum_run, preemption_cost_seconds=cost)
    assert len(history.ends_ms) == len(drawn)


def test_a_job_that_is_stopped_does_not_come_back_in_front_of_others_since_less_is_predicted_of_it_by_now() -> None:
    """Jobs of kim's were thought to take an hour until two short ones had ended. Each long one that was stopped was then known
    to be short, and ended the next one, of which that had not been told yet."""
    given_rows = [
        row("first", 0, 3600, user="kim"),
        *[row(f"long-{number}", 3600, 7200, user="kim") for number in range(3)],
        row("short-1", 3700, 30, user="kim"),
        row("short-2", 3800, 30, user="kim"),
        row("filling", 4499, 3600, user="lee"),
        row("last", 4510, 30, user="lee"),
    ]
    history = watched(given_rows, levels_per_doubling=1, minimum_run_seconds=600)
    preempted = [each for each in history.segments if each.cause is EndCause.PREEMPTED]
    assert [each.job.name for each in preempted if each.end_ms == 4_510_000] == ["long-0"]
