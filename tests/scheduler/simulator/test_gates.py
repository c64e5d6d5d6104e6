"""Jobs that come after others, arrays with a bound, deadlines, required levels: whoever decides, they are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.cluster import build_cluster
from scheduler.simulator.gates import CancelCause
from scheduler.simulator.native import read_native
from scheduler.simulator.policy import Baseline, Policy, parse_policy
from scheduler.simulator.simulation import Outcome, simulate
from scheduler.simulator.trace import TraceRow, read_trace

LEAVES = build_cluster(
    {"nodes": [{"count": 4, "gpus_per_node": 8, "gpu_type": "x", "cpus": 64, "mem_gb": 64, "leaf_nodes": 2}]}
)
FAILING = parse_policy(
    {"failures": [{"node": node, "at_seconds": 3, "until_seconds": 8} for node in (0, 2)],
     "minimum_run_seconds": 0, "grace_seconds": 1, "preemption_cost_seconds": 2}
)  # fmt: skip
POLICIES = [parse_policy({"baseline": each.value, "minimum_run_seconds": 0}) for each in Baseline]


def job(submit_s: float, duration_s: float, **more: Any) -> dict[str, Any]:
    """A line of our own format: one node of ``LEAVES``."""
    return {"name": "j", "group": "g", "gpus_per_worker": 8, "command": ["x"], "submit_s": submit_s,
            "duration_s": duration_s} | more  # fmt: skip


def read(*documents: Mapping[str, Any]) -> list[TraceRow]:
    rows = read_native([json.dumps(each) for each in documents])
    return sorted(rows, key=lambda row: row.submit_ms)


def starts(outcome: Outcome) -> dict[str, float]:
    return {each.job.name: each.start_ms / 1000 for each in outcome.history.segments}


def cancelled(outcome: Outcome) -> dict[str, str]:
    jobs = outcome.history.jobs
    return {jobs[number - 1].name: how.cause.value for number, how in outcome.history.cancelled.items()}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.baseline.value)
def test_a_gang_waits_for_one_domain_of_the_level_that_it_requires(policy: Policy) -> None:
    singles = [job(0, 100), job(0, 30), job(0, 100)]
    anywhere, within = ([*singles, job(0, 500, workers=2, topology={"required": each})] for each in ("any", "leaf"))
    assert starts(simulate(read(*anywhere), LEAVES, policy))["4"] == 30
    assert starts(simulate(read(*within), LEAVES, policy))["4"] == 100


@pytest.mark.parametrize(("preferred", "leaves"), [("leaf", 1), ("any", 2)])
def test_a_gang_goes_to_the_site_that_has_the_level_that_it_prefers(preferred: str, leaves: int) -> None:
    nodes = [{"count": count, "gpus_per_node": 8, "gpu_type": "x", "site": site, "domain": f"hall/spine/{leaf}"}
             for site, count, leaf in (("small", 1, "a"), ("small", 1, "b"), ("large", 3, "c"))]  # fmt: skip
    cluster = build_cluster({"nodes": nodes})
    outcome = simulate(read(job(0, 5, workers=2, topology={"preferred": preferred})), cluster, Policy())
    (segment,) = outcome.history.segments
    assert len({cluster.nodes[index].domain for index, _ in segment.gang}) == leaves


def test_a_gang_that_no_domain_of_its_level_could_hold_is_left_out() -> None:
    outcome = simulate(
        read(job(0, 5, workers=3, topology={"required": "leaf"}), job(0, 5, workers=3)), LEAVES, Policy()
    )
    assert outcome.workload.left_out == {"too_large": 1}
    assert list(starts(outcome)) == ["2"]


def test_a_gang_that_only_a_rack_with_its_spares_could_hold_is_left_out() -> None:
    rack = {"count": 4, "gpus_per_node": 8, "gpu_type": "x", "leaf_nodes": 4, "block_nodes": 2}
    outcome = simulate(read(job(0, 5, workers=3), job(0, 5, workers=2)), build_cluster({"nodes": [rack]}), Policy())
    assert outcome.workload.left_out == {"too_large": 1}
    assert list(starts(outcome)) == ["2"]


def test_an_array_is_as_many_jobs_and_no_more_of_them_run_at_once_than_may() -> None:
    outcome = simulate(read(job(0, 10, array="0-3%2"), job(0, 10, array="5")), LEAVES, Policy())
    assert starts(outcome) == {"1_0": 0, "1_1": 0, "1_2": 10, "1_3": 10, "2_5": 0}


def test_a_job_comes_after_others_and_an_array_is_all_its_jobs() -> None:
    documents = [
        job(0, 10, array="0-2"), job(0, 20), job(1, 5, after_ok=[1]), job(1, 5, after=[2]), job(2, 5, after=[3], after_ok=[2]),
    ]  # fmt: skip
    found = starts(simulate(read(*documents), LEAVES, Policy()))
    assert (found["3"], found["5"]) == (10, 20)
    assert found["4"] == 10  # when a node is free


def test_what_a_start_lets_go_is_looked_at_a_moment_later_however_long_the_chain() -> None:
    chain = [job(0, 50, gpus_per_worker=1)] + [job(0, 50, gpus_per_worker=1, after=[number]) for number in range(1, 30)]
    found = starts(simulate(read(*chain), LEAVES, Policy()))
    assert [found[str(number)] for number in range(1, 31)] == [number / 1000 for number in range(30)]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.baseline.value)
def test_what_has_to_follow_a_success_is_cancelled_with_all_that_follows_it(policy: Policy) -> None:
    documents = [
        job(0, 10, state="failed"), job(1, 5, after_ok=[1]), job(1, 5, after_ok=[2]), job(1, 5, after=[2]),
        job(20, 5, after_ok=[3]),
    ]  # fmt: skip
    outcome = simulate(read(*documents), LEAVES, policy)
    assert cancelled(outcome) == {"2": "dependency_failed", "3": "dependency_failed", "5": "dependency_failed"}
    assert starts(outcome) == {"1": 0, "4": 10}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.baseline.value)
def test_what_cannot_be_over_by_its_deadline_is_cancelled(policy: Policy) -> None:
    documents = [
        job(0, 100, workers=4), job(1, 5, deadline=99), job(2, 5, deadline=100), job(2, 5, deadline=100, walltime=10),
        job(3, 5, deadline=5, walltime=10), job(4, 5, deadline="2024-01-01T09:01:40"),
    ]  # fmt: skip
    outcome = simulate(read(*documents), LEAVES, policy)
    assert starts(outcome) == {"1": 0, "2": 100, "3": 100, "6": 100}
    assert cancelled(outcome) == {"4": "deadline_missed"}
    assert outcome.workload.left_out == {"deadline_too_soon": 1}


def test_what_is_let_go_when_its_deadline_has_passed_is_cancelled_all_the_same() -> None:
    outcome = simulate(read(job(0, 10), job(0, 0, deadline=9, after_ok=[1])), LEAVES, Policy())
    assert cancelled(outcome) == {"2": "deadline_missed"}
    outcome = simulate(read(job(0, 9.001), job(0, 0, deadline=9, after_ok=[1])), LEAVES, Policy())
    assert (cancelled(outcome), list(starts(outcome))) == ({"2": "deadline_missed"}, ["1"])


def test_what_comes_after_a_job_that_is_none_here_is_none_either_and_a_window_cuts_what_came_before() -> None:
    rows = read(job(0, 5, workers=5), job(1, 5, after=[1]), job(2, 5, after_ok=[2]), job(3, 5))
    assert simulate(rows, LEAVES, Policy()).workload.left_out == {"too_large": 1, "dependency_not_found": 2}
    assert list(starts(simulate(rows[2:], LEAVES, Policy()))) == ["3", "4"]


@pytest.mark.parametrize(
    ("documents", "english", "korean"),
    [
        ([job(0, 5, retries=2)], "line 1: retries: .*leave it out", "1행: retries: .*빼십시오"),
        ([job(0, 5, speeds={"x": 2})], "line 1: speeds: .*the policy", "1행: speeds: .*정책의 speeds"),
        ([job(0, 5), job(0, 5, after=[7])], "line 2: after: no job 7", "2행: after: .*작업 7이"),
        ([job(1, 5), job(0, 5, after_ok=[1])], "line 2: after_ok: no job 1", "2행: after_ok"),
        ([job(0, 5, after=[1])], "line 1: after: no job 1", "1행: after"),
        ([job(0, 5, state="lost")], "state: write completed or failed", "state"),
    ],
)
def test_what_cannot_be_simulated_is_refused_by_line_and_field(
    tmp_path: Path, documents: list[dict[str, Any]], english: str, korean: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=english) as told:
        read_trace(path)
    with pytest.raises(ConfigurationError, match=korean):
        raise ConfigurationError(told.value.korean)


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A few jobs in order, with whatever they ask for of one another."""
    found: list[dict[str, Any]] = []
    submit_s = 0
    for number in range(1, draw(st.integers(2, 9)) + 1):
        more: dict[str, Any] = {"state": draw(st.sampled_from(("completed", "completed", "failed")))}
        earlier = st.lists(st.integers(1, number - 1), max_size=2, unique=True) if number > 1 else st.just([])
        more |= {"after": draw(earlier), "after_ok": draw(earlier)}
        if draw(st.booleans()):
            more["array"] = draw(st.sampled_from(("0-2", "0-3%1", "1,5%2")))
        if draw(st.booleans()):
            more |= {"deadline": draw(st.integers(1, 30)), "walltime": draw(st.integers(1, 9))}
        more |= {"workers": draw(st.integers(1, 2)), "topology": {"required": draw(st.sampled_from(("any", "leaf")))}}
        more["priority_class"] = draw(st.sampled_from(("low", "normal", "high")))
        submit_s += draw(st.integers(0, 2))
        found.append(job(submit_s, draw(st.integers(0, 9)), **more))
    return found


@given(documents(), st.sampled_from([*POLICIES, FAILING]))
def test_whatever_jobs_ask_of_one_another_is_kept(drawn: list[dict[str, Any]], policy: Policy) -> None:
    outcome = simulate(read(*drawn), LEAVES, policy)
    history, jobs = outcome.history, {each.name: each for each in outcome.history.jobs}
    rows = {each.job_id: each for each in read(*drawn) if each.job_id in jobs}
    first_ms = {
        name: min((each.start_ms for each in history.segments if each.job.name == name), default=None) for name in jobs
    }
    end_ms = {name: history.ends_ms.get(each.id - 1) for name, each in jobs.items()}
    why = {name: history.cancelled.get(each.id) for name, each in jobs.items()}
    failed = {name for name, each in rows.items() if end_ms[name] is not None and not each.terms.succeeds}

    def named(numbers: tuple[str, ...]) -> list[str]:
        return [name for name, each in rows.items() if name in numbers or each.terms.array in numbers]

    for name, row in rows.items():
        assert (end_ms[name] is None) == (why[name] is not None)
        by_ms = row.terms.start_by_ms(row.submit_ms, row.walltime_ms, policy.begins_ms)
        started_ms = first_ms[name]
        how = why[name]
        if started_ms is None:
            late = how is not None and how.cause is CancelCause.DEADLINE
            spoiled = [each for each in named(row.terms.after_ok) if each in failed or why[each] is not None]
            assert late or spoiled
            assert by_ms is not None or not late
            continue
        assert by_ms is None or started_ms <= by_ms
        for each in named(row.terms.after_ok):
            its_ms = end_ms[each]
            assert its_ms is not None and its_ms <= started_ms and each not in failed
        for each in named(row.terms.after):
            its_ms = first_ms[each]
            assert (its_ms is not None and its_ms <= started_ms) or why[each] is not None
    for each in history.segments:
        terms = rows[each.job.name].terms
        beside = [
            other for other in history.segments
            if other.start_ms <= each.start_ms < other.end_ms and rows[other.job.name].terms.array == terms.array
        ]  # fmt: skip
        assert terms.running_max is None or len(beside) <= terms.running_max
        leaves = {LEAVES.nodes[index].domain for index, _ in each.gang}
        assert len(leaves) == 1 or rows[each.job.name].required.value == "any"
