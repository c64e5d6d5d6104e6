"""Figures of a schedule, against sums done by hand and by loops."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import cluster_of, clusters, row, rows

from quota.fair_share_oracle import fair_share_oracle
from quota.tree import Group, QuotaTree
from scheduler.simulator.bound import sentence, within_percent
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.decisions import COLUMNS, seconds_text, write_decisions
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import Policy, parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.timeline import Steps, timeline
from scheduler.simulator.trace import TraceRow

NAMED = {
    "jobs", "completed", "mean_jct_s", "p50_jct_s", "p99_jct_s", "mean_wait_s", "p99_wait_s", "bounded_slowdown_mean",
    "utilisation", "allocation_share_max", "preemptions", "gpu_seconds_lost", "lower_bound_mean_jct_s", "wall_s", "rounds",
}  # fmt: skip


def test_figures_are_those_of_the_definitions() -> None:
    jobs = [row("a", 0, 100, 4), row("b", 50, 20, 2, group="two"), row("c", 200, 5, 1)]
    figures = measure(simulate(jobs, cluster_of(4), Policy()), bound=False).document
    assert figures.keys() >= NAMED
    assert (figures["jobs"], figures["completed"], figures["lower_bound_mean_jct_s"]) == (3, 3, None)
    assert figures["mean_jct_s"] == pytest.approx((100 + 70 + 5) / 3)
    assert figures["p50_jct_s"] == 70
    assert figures["mean_wait_s"] == pytest.approx(50 / 3)
    assert figures["bounded_slowdown_mean"] == pytest.approx((1 + 70 / 20 + 1) / 3)
    assert figures["bounded_slowdown_600_mean"] == 1
    assert figures["utilisation"] == pytest.approx((400 + 40) / 800)
    assert figures["allocation_share_max"] == 1
    assert figures["by_size"]["2-8"]["completed"] == 2
    assert figures["by_group"]["two"]["mean_wait_s"] == 50
    assert (figures["preemptions"], figures["gpu_seconds_lost"]) == (0, 0)


def test_a_job_that_never_starts_is_counted() -> None:
    policy = parse_policy({"groups": [{"path": "one", "quota": {"x": {"limit": 2}}}]})
    figures = measure(simulate([row("a", 0, 10, 2), row("b", 0, 10, 4)], cluster_of(4), policy), bound=False).document
    assert (figures["jobs"], figures["completed"], figures["not_started"]) == (2, 1, 1)


def test_a_recall_counts_as_a_preemption_and_its_cost_as_lost() -> None:
    policy = {
        "recalls": [{"site": "b", "nodes": 1, "at_seconds": 10, "by_seconds": 20, "until_seconds": 30}],
        "preemption_cost_seconds": 7,
    }
    outcome = simulate([row("a", 0, 100, 4)], cluster_of(2, 4, sites=("a", "b")), parse_policy(policy))
    figures = measure(outcome, bound=False).document
    assert figures["preemptions"] == 1
    assert figures["gpu_seconds_lost"] == 28
    assert figures["mean_wait_s"] == 17
    assert figures["allocation_share_max"] <= 1


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(-5, 5)), max_size=12), st.integers(0, 20), st.integers(21, 60)
)
def test_steps_add_up_as_a_loop_does(changes: list[tuple[int, int]], begin: int, end: int) -> None:
    times = np.array([at for at, _ in changes], dtype=np.int64)
    steps = Steps.of_changes(times, np.array([by for _, by in changes], dtype=np.int64))
    slow = [sum(by for at, by in changes if at <= moment) for moment in range(70)]
    assert steps.at(np.arange(70)).tolist() == slow
    assert steps.integral(begin, end) == sum(slow[begin:end])


@given(rows(), clusters())
def test_curves_are_what_counting_at_each_moment_says(drawn: list[TraceRow], cluster: Cluster) -> None:
    outcome = simulate(drawn, cluster, Policy())
    measured, line = measure(outcome, bound=False), timeline(outcome)
    history, paths = outcome.history, outcome.workload.groups
    tree = QuotaTree.build(
        [Group(number, path, None if number == 1 else 1) for number, path in enumerate(paths, 1)], {}
    )
    for sample in range(0, len(line.times_ms), 37):
        at = line.times_ms[sample]
        running = [each for each in history.segments if each.start_ms <= at < each.end_ms]
        used: defaultdict[int, int] = defaultdict(int)
        for each in running:
            for index, devices in each.gang:
                used[index] += devices
        assert line.partly_used[sample] == sum(0 < held < cluster.nodes[index].gpus for index, held in used.items())
        asked = [0] * len(paths)
        for job in history.jobs:
            if job.submit_ms <= at < history.ends_ms[job.id - 1]:
                asked[job.group - 1] += job.gpus
        assert line.asked[:, sample].tolist() == asked
        slow = fair_share_oracle(tree, "all", dict(enumerate(asked, 1)), cluster.devices)
        for number in range(len(paths)):
            held = sum(each.job.gpus for each in running if each.job.group == number + 1)
            assert line.held[number, sample] == held
            assert measured.entitlement.share[number, sample] == slow.own[number + 1]


@given(rows(), clusters())
def test_the_worst_lag_is_the_worst_of_all_spans(drawn: list[TraceRow], cluster: Cluster) -> None:
    measured = measure(simulate(drawn, cluster, Policy()), bound=False)
    line, share = measured.line, measured.entitlement
    hours = np.diff(line.times_ms, append=line.end_ms) / 3.6e6
    for number, lag in enumerate(share.worst_lag_hours):
        behind = ((share.share[number] - line.held[number]) * hours).tolist()
        worst, running = 0.0, 0.0
        for each in behind:  # Kadane's walk
            running = max(0.0, running + each)
            worst = max(worst, running)
        assert lag == pytest.approx(worst, abs=1e-9)


@given(rows(), clusters())
def test_decisions_can_be_checked_by_anyone(drawn: list[TraceRow], cluster: Cluster) -> None:
    path = Path("decisions.csv")
    written = _written(drawn, cluster, path)
    assert tuple(written[0].keys()) == COLUMNS
    ran: defaultdict[str, float] = defaultdict(float)
    for each in written:
        nodes = [part.split(":") for part in each["nodes"].split("|")]
        assert sum(int(devices) for _, devices in nodes) == int(each["gpus"])
        ran[each["job_id"]] += float(each["end_s"]) - float(each["start_s"])
        assert each["cause"] == "finished"
    assert ran == {each.job_id: (each.duration_ms or 0) / 1000 for each in drawn}


def _written(drawn: list[TraceRow], cluster: Cluster, path: Path) -> list[dict[str, str]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_decisions(simulate(drawn, cluster, Policy()), Path(folder) / path)
        with (Path(folder) / path).open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))


@given(st.integers(0, 10**12))
def test_times_are_written_exactly(at_ms: int) -> None:
    assert round(float(seconds_text(at_ms)) * 1000) == at_ms
    assert not seconds_text(at_ms).endswith(".")


def test_no_schedule_beats_the_bound_and_one_job_alone_meets_it() -> None:
    alone = simulate([row("a", 0, 100, 4)], cluster_of(4), Policy())
    figures = measure(alone, bound=True).document
    assert figures["times_the_bound"] == pytest.approx(1)
    english, korean = sentence("dure", figures) or ("", "")
    assert "within 0.0 % of what any schedule could do: none could have had less than 100 s" in english
    assert "0.0 % 이내" in korean
    crowded = simulate([row(str(number), 0, 100, 4) for number in range(5)], cluster_of(4), Policy())
    assert measure(crowded, bound=True).document["times_the_bound"] >= 1


@pytest.mark.parametrize(("times", "percent"), [(1.0, 0), (1.031, 3.1), (1.03101, 3.2), (2.5, 150), (0.9999999, 0)])
def test_a_distance_is_rounded_up(times: float, percent: float) -> None:
    assert within_percent(times) == percent


def test_the_bound_is_one_of_the_jobs_that_completed() -> None:
    policy = parse_policy({"groups": [{"path": "one", "quota": {"x": {"limit": 2}}}]})
    outcome = simulate([row("a", 0, 10, 2), row("never", 0, 1000, 4)], cluster_of(4), policy)
    assert measure(outcome).document["times_the_bound"] == pytest.approx(1)
