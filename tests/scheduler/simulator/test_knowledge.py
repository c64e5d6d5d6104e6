"""What the scheduler is told of a job, and orders that count as priority."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import check_history, cluster_of, clusters, row, rows

from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.simulator import driver
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.driver import Driver
from scheduler.simulator.history import EndCause, History
from scheduler.simulator.knowledge import LEVEL_LEAST, Knowledge
from scheduler.simulator.policy import Durations, Order, parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow
from scheduler.simulator.workload import SimJob, build_workload

COUNTING = (Order.LEAST_WORK, Order.SHORTEST, Order.LEAST_SERVED)


def a_job(duration_s: float, gpus: int = 1, **more: Any) -> SimJob:
    """A job as it begins to wait."""
    return build_workload([row("it", 0, duration_s, gpus, **more)], cluster_of(8)).jobs[0]


def spells(history: History) -> list[tuple[str, int, int, str]]:
    """Runs as (job, start s, end s, cause)."""
    return [(each.job.name, each.start_ms // 1000, each.end_ms // 1000, each.cause.value) for each in history.segments]


@given(
    st.sampled_from(COUNTING),
    st.sampled_from(Durations),
    st.integers(1, 8),
    st.integers(1, 30_000),
    st.none() | st.integers(1, 30_000),
    st.sampled_from((1, 2, 4)),
    st.integers(1, 4),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5),
)
def test_a_run_keeps_its_level_for_as_long_as_is_said_and_not_for_ever(
    order: Order,
    durations: Durations,
    gpus: int,
    seconds: int,
    walltime: int | None,
    levels: int,
    ran_parts: int,
    parts: list[float],
) -> None:
    job = a_job(seconds, gpus, walltime_ms=None if walltime is None else walltime * 1000)
    knowledge = Knowledge(durations, order, {}, levels)
    knowledge.ended(a_job(300, gpus))
    knowledge.tell(job)
    ran_ms, changed = 0, [job.level]
    for _ in range(200):
        holds_ms = knowledge.level_holds_ms(job, ran_ms)
        if holds_ms is None:
            break
        assert holds_ms >= 1
        for part in parts:
            assert not knowledge.relevel(job, ran_ms + int(holds_ms * part))
        ran_ms += holds_ms
        knowledge.relevel(job, ran_ms)
        changed.append(job.level)
        if ran_ms > seconds * 1000 * ran_parts:
            break
    if ran_ms <= seconds * 1000:
        for part in parts:
            assert not knowledge.relevel(job, ran_ms + int((seconds * 1000 - ran_ms) * part))
    assert all(abs(a - b) <= 1 or durations is Durations.PREDICTED for a, b in pairwise(changed))


def test_levels_follow_what_the_order_counts_and_stay_inside_the_priority_class() -> None:
    knowledge = Knowledge(Durations.KNOWN, Order.LEAST_WORK, {}, 1)
    found = []
    for job in (a_job(59), a_job(60), a_job(119), a_job(120), a_job(120, 2), a_job(10**7, 8), a_job(59, qos="low")):
        knowledge.tell(job)
        found.append(knowledge.priority(job))
    assert found[:5] == [0, -1, -1, -2, -3]
    assert found == sorted(found, reverse=True)
    assert LEVEL_LEAST == 60_000


def test_a_job_that_outran_its_prediction_is_thought_to_run_as_long_again() -> None:
    knowledge = Knowledge(Durations.PREDICTED, Order.SHORTEST, {})
    knowledge.ended(a_job(100))
    job = a_job(1000)
    for ran_s, told_s in ((40, 60), (60, 0), (300, 400)):
        job.ran(ran_s * 1000, 0)
        knowledge.tell(job)
        assert job.expected_ms == told_s * 1000


LONG_AND_SHORT = [row("long", 0, 1000), row("short", 10, 100)]


def test_with_levels_what_counts_less_ends_the_run_of_what_counts_more() -> None:
    def run(**policy: Any) -> list[tuple[str, int, int, str]]:
        parsed = parse_policy({"order": "least_work", "minimum_run_seconds": 0, "preemption_cost_seconds": 7, **policy})
        return spells(simulate(LONG_AND_SHORT, cluster_of(1), parsed).history)

    assert run() == [("long", 0, 1000, "finished"), ("short", 1000, 1100, "finished")]
    assert run(levels_per_doubling=1) == [
        ("long", 0, 10, "preempted"),
        ("short", 10, 110, "finished"),
        ("long", 110, 1107, "finished"),
    ]
    assert run(levels_per_doubling=1, order="fifo") == run()


def test_a_run_nearly_done_is_not_ended_for_what_has_more_left() -> None:
    late = [row("long", 0, 1000), row("short", 950, 100), row("other", 960, 30)]
    policy = parse_policy({"order": "least_work", "minimum_run_seconds": 0, "levels_per_doubling": 4})
    assert spells(simulate(late, cluster_of(1), policy).history)[0] == ("long", 0, 1000, "finished")


@pytest.mark.parametrize("durations", Durations)
@given(rows(), clusters(), st.sampled_from(COUNTING), st.sampled_from((1, 4)), st.booleans())
def test_with_levels_every_round_is_lawful_and_every_job_ends(
    durations: Durations, drawn: list[TraceRow], cluster: Cluster, order: Order, levels: int, free: bool
) -> None:
    longer = [replace(each, duration_ms=(each.duration_ms or 0) * 100, submit_ms=each.submit_ms * 20) for each in drawn]
    policy = parse_policy(
        {
            "order": order.value,
            "durations": durations.value,
            "levels_per_doubling": levels,
            "minimum_run_seconds": 0,
            "free_preemption": free,
            "preemption_cost_seconds": 20,
        }
    )
    history = simulate(longer, cluster, policy).history
    check_history(history, cluster)
    assert len(history.ends_ms) == len(drawn)


class SlowRounds:
    """A clock that only rounds move: each takes so long."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        return self.now

    def decide(self, snapshot: Snapshot, seed: int) -> Plan:
        """The round."""
        self.now += self.seconds
        return decide(snapshot, seed)


@pytest.mark.parametrize(("cost", "clock"), [("wall", "perf_counter"), ("processor", "process_time")])
def test_what_a_round_takes_passes_before_its_starts_begin(
    monkeypatch: pytest.MonkeyPatch, cost: str, clock: str
) -> None:
    slow = SlowRounds(2.0)
    monkeypatch.setattr(driver, clock, slow)
    arriving = [row("first", 1, 10, 1), row("second", 2, 10, 1), row("last", 30, 5, 1)]

    def starts(**policy: Any) -> list[tuple[str, int]]:
        cluster = cluster_of(4)
        run = Driver(cluster, build_workload(arriving, cluster), parse_policy(policy), round_=slow.decide).run()
        assert {each.cause for each in run.segments} == {EndCause.FINISHED}
        return [(name, start) for name, start, _, _ in spells(run)]

    assert starts() == [("first", 1), ("second", 2), ("last", 30)]
    assert starts(round_cost=cost) == [("first", 3), ("second", 5), ("last", 32)]


def test_a_run_that_ends_while_a_round_decides_to_stop_it_has_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowRounds(2.0)
    monkeypatch.setattr(driver, "perf_counter", slow)
    arriving, cluster = [row("long", 0, 130), row("short", 131, 1)], cluster_of(1)
    policy = {"order": "least_served", "levels_per_doubling": 1, "minimum_run_seconds": 0, "round_cost": "wall"}
    run = Driver(cluster, build_workload(arriving, cluster), parse_policy(policy), round_=slow.decide).run()
    assert spells(run) == [("long", 2, 132, "finished"), ("short", 135, 136, "finished")]
