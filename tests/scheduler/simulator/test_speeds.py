"""Classes that are faster than others: what jobs take on them, and what no schedule on them could beat."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import row, rows

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.bound import lower_bound_mean_jct_seconds
from scheduler.simulator.cluster import Cluster, build_cluster
from scheduler.simulator.policy import Policy, parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow

NAMED = st.sampled_from(((), ("h100",), ("a100",), ("h100", "a100"), ("a100", "h100")))
SPEEDS = st.fixed_dictionaries({"a100": st.sampled_from((0.3, 0.5, 2.0))}, optional={"h100": st.just(1.5)})


def two_classes(gpus: int = 8) -> Cluster:
    """A node of each."""
    nodes = [{"count": 1, "gpus_per_node": gpus, "gpu_type": name} for name in ("h100", "a100")]
    return build_cluster({"name": "test", "device": "gpu", "nodes": nodes, "groups": []})


def test_a_job_takes_longer_on_a_slow_class_and_its_end_is_known() -> None:
    both = ("h100", "a100")
    jobs = [row(name, at, 100, 8, gpu_types=both) for name, at in (("first", 0), ("second", 1))]
    outcome = simulate(jobs, two_classes(), Policy(speeds={"a100": 0.4}))
    assert [(each.job.name, each.start_ms, each.end_ms) for each in outcome.history.segments] == [
        ("first", 0, 100_000),
        ("second", 1_000, 251_000),
    ]
    bound = lower_bound_mean_jct_seconds(outcome)
    assert bound is not None and bound <= (100 + 250) / 2


@given(rows(jobs_max=8), st.lists(NAMED, min_size=8, max_size=8), SPEEDS)
def test_jobs_do_their_work_at_the_speed_of_their_class_and_no_schedule_beats_the_bound(
    drawn: list[TraceRow], named: list[tuple[str, ...]], speeds: dict[str, float]
) -> None:
    jobs = [
        replace(each, gpu_types=classes, duration_ms=(each.duration_ms or 0) + 1_000)
        for each, classes in zip(drawn, named, strict=False)
    ]
    policy, cluster = Policy(speeds=speeds, minimum_run_seconds=0, preemption_cost_seconds=2), two_classes()
    outcome = simulate(jobs, cluster, policy)
    history, done_ms = outcome.history, defaultdict[int, Fraction](Fraction)
    for each in history.segments:
        classes = outcome.workload.shapes[each.job.shape].gpu_classes
        on = cluster.nodes[each.gang[0][0]].gpu_class
        logged = Fraction(str(speeds.get(classes[0], 1))) if classes else Fraction(1)
        done_ms[each.job.id] += (each.end_ms - each.start_ms) * Fraction(str(speeds.get(on, 1))) / logged - each.lost_ms
    stops = sum(job.stops for job in history.jobs) + 1
    for job in history.jobs:
        assert 0 <= done_ms[job.id] - job.duration_ms <= 8 * stops, "whole milliseconds, at most so fast"
    ends = [history.ends_ms[job.id - 1] - job.submit_ms for job in history.jobs]
    bound = lower_bound_mean_jct_seconds(outcome)
    assert bound is not None and bound <= sum(ends) / len(ends) / 1000 + 1e-6


def test_a_run_that_is_stopped_on_a_slow_class_has_done_what_it_could_there() -> None:
    jobs = [row("low", 0, 100, 8, gpu_types=("h100", "a100")), row("high", 20, 40, 8, gpu_types=("a100",), qos="high")]
    jobs.insert(0, row("firm", 0, 1_000, 8, gpu_types=("h100",), qos="high"))
    policy = Policy(speeds={"a100": 0.5}, minimum_run_seconds=0, preemption_cost_seconds=10)
    outcome = simulate(jobs, two_classes(), policy)
    # 20 s there are 10 s of its time, of which the restart costs 5.
    assert [
        (each.job.name, each.start_ms, each.end_ms) for each in outcome.history.segments if each.job.name != "firm"
    ] == [
        ("low", 0, 20_000),
        ("high", 20_000, 60_000),
        ("low", 60_000, 250_000),
    ]


def test_speeds_are_refused_where_they_would_not_be_heeded() -> None:
    for wrong in ({"speeds": {"a100": 0}}, {"speeds": {"a100": 0.5}, "baseline": "easy"}):
        with pytest.raises(ConfigurationError, match="speeds") as refused:
            parse_policy(wrong)
        assert "speeds" in refused.value.korean
