"""Job logs, clusters and policies as they are read: what is understood, and how the rest is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import cluster_of, row, rows

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.cluster import build_cluster, read_cluster
from scheduler.simulator.knowledge import Knowledge
from scheduler.simulator.policy import Durations, Order, parse_policy, read_policy
from scheduler.simulator.prediction import Prediction
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow, Window, cut, read_trace
from scheduler.simulator.workload import build_workload, shape_of

HEADER = (
    "job_id,user,group,submit_s,duration_s,gpus,gpu_milli,gpu_type,gpus_per_node,nodes,cpus,mem_gb,walltime_req_s,state,qos,"
    "orig_wait_s,site,constraints,resident\n"
)


def test_a_csv_is_read_sorted_with_what_it_leaves_out_unknown(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write(HEADER + "b,u1,g1,10,3.5,2,,A|B,,1,12,1.5,60,completed,LS,,s1,,0\na,,,2,,1,,,,,,,,,,,,,2\n")
    first, second = read_trace(path)
    assert first == TraceRow(
        job_id="a", user="", group="", submit_ms=2000, duration_ms=None, gpus=1, resident=2
    )  # fmt: skip
    assert second == TraceRow(
        job_id="b", user="u1", group="g1", submit_ms=10_000, duration_ms=3500, gpus=2, gpu_types=("A", "B"), nodes=1,
        cpus=12, memory_mib=1536, walltime_ms=60_000, state="completed", qos="LS", site="s1",
    )  # fmt: skip


def test_an_swf_is_read_with_the_larger_number_of_processors(tmp_path: Path) -> None:
    path = tmp_path / "log.swf"
    path.write_text("; comment\n1 5 0 100 8 -1 -1 16 200 1024 1 7 3 -1 2 1 -1 -1\n", encoding="utf-8")
    (read,) = read_trace(path)
    assert read == TraceRow(
        job_id="1", user="u7", group="g3", submit_ms=5000, duration_ms=100_000, gpus=0, cpus=16, memory_mib=16,
        walltime_ms=200_000, state="completed", qos="q2", site="site-1",
    )  # fmt: skip


def test_our_own_format_is_job_files_with_times(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    job = {"name": "train", "group": "a.b", "workers": 2, "gpus_per_worker": 8, "gpu_classes": ["h100"], "command": ["x"],
           "walltime": "1h", "priority_class": "high", "preemptible": False}  # fmt: skip
    path.write_text(json.dumps(job | {"submit_s": 1.5, "duration_s": 60}) + "\n", encoding="utf-8")
    (read,) = read_trace(path)
    assert (read.submit_ms, read.duration_ms, read.gpus, read.gpus_per_node, read.nodes) == (1500, 60_000, 16, 8, 2)
    assert (read.walltime_ms, read.qos, read.preemptible, read.group) == (3_600_000, "high", False, "a.b")


def test_an_elastic_job_of_our_own_format_has_the_time_of_its_least_workers(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    job = {"name": "train", "group": "a.b", "workers": {"min": 2, "max": 6}, "gpus_per_worker": 4, "command": ["x"]}
    path.write_text(json.dumps(job | {"submit_s": 0, "duration_s": 60}) + "\n", encoding="utf-8")
    (read,) = read_trace(path)
    assert (read.gpus, read.nodes, read.workers_max) == (8, 2, 6)
    shape = shape_of(read, cluster_of(8, 8, 8))
    assert not isinstance(shape, str) and (shape.workers, shape.workers_max) == (2, 6)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("t.csv", "job_id,submit_s\n", "duration_s"),
        ("t.csv", "job_id,submit_s,duration_s,gpus\na,x,1,1\n", "not a trace"),
        ("t.swf", "1 2 3\n", "3 of 18"),
        ("t.jsonl", '{"name": "x"}\n', "submit_s is missing"),
        ("t.jsonl", '{"name": "x", "submit_s": 1, "duration_s": 1, "command": ["x"], "group": "a", "gpu": 1}\n', "gpu"),
        ("t.txt", "", "a trace is"),
        ("t.csv.gz", "not gzip", "cannot be read"),
    ],
)
def test_what_is_no_trace_is_refused_by_name(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=told):
        read_trace(path)


@given(rows(), st.integers(0, 2**32), st.floats(0.5, 4.0), st.floats(0.0, 0.1))
def test_bent_arrivals_keep_their_order_and_stay_within_the_jitter(
    drawn: list[TraceRow], seed: int, load: float, jitter: float
) -> None:
    bent = cut(drawn, Window(load_factor=load, jitter=jitter), seed)
    assert bent == cut(drawn, Window(load_factor=load, jitter=jitter), seed)
    assert [each.job_id for each in bent] == [each.job_id for each in drawn]
    assert [each.submit_ms for each in bent] == sorted(each.submit_ms for each in bent)
    for before, after in zip(drawn, bent, strict=True):
        assert (
            before.submit_ms * (1 - jitter) / load - 1 <= after.submit_ms <= before.submit_ms * (1 + jitter) / load + 1
        )


def test_a_window_takes_what_is_submitted_in_it() -> None:
    jobs = [row(str(at), at, 1) for at in range(10)]
    assert [each.job_id for each in cut(jobs, Window(from_ms=2000, to_ms=6000, jobs_max=3), 0)] == ["2", "3", "4"]


CPU = build_cluster({"device": "cpu", "nodes": [{"count": 4, "cpus": 8}]})


@pytest.mark.parametrize(
    ("asked", "on", "workers", "each"),
    [
        (row("a", 0, 1, 2), cluster_of(4, 8), 1, 2),
        (row("a", 0, 1, 16), cluster_of(8, 8, 8), 2, 8),
        (row("a", 0, 1, 12), cluster_of(8, 8, 8), 12, 1),
        (row("a", 0, 1, 12, gpus_per_node=4), cluster_of(8, 8, 8), 3, 4),
        (row("a", 0, 1, 4, nodes=2), cluster_of(8, 8), 2, 2),
        (row("a", 0, 1, 0, cpus=16), CPU, 2, 8),
        (row("a", 0, 1, 0, cpus=9, nodes=2), CPU, 9, 1),
        (row("a", 0, 1, 0), CPU, 1, 1),
    ],
)
def test_columns_become_a_gang(asked: TraceRow, on: Any, workers: int, each: int) -> None:
    shape = shape_of(asked, on)
    assert not isinstance(shape, str)
    assert (shape.workers, shape.gpus_per_worker) == (workers, each)


def test_rows_that_are_no_job_here_are_counted_by_reason() -> None:
    given_rows = [
        row("cpu", 0, 1, 0), row("large", 0, 1, 9), row("type", 0, 1, 1, gpu_types=("y",)), row("good", 0, 1, 4),
        TraceRow(job_id="never", user="", group="", submit_ms=0, duration_ms=None, gpus=1),
    ]  # fmt: skip
    made = build_workload(given_rows, cluster_of(4, 4))
    assert [job.name for job in made.jobs] == ["good"]
    assert made.left_out == {"no_devices": 1, "too_large": 1, "unknown_gpu_type": 1, "never_started": 1}


def test_a_cluster_without_nodes_is_made_of_its_total() -> None:
    made = build_cluster({"device": "cpu", "nodes": [], "total_cpus": 21, "sites": ["a", "b"]})
    assert made.devices == 21
    assert [(node.site_id, node.gpus) for node in made.nodes] == [(1, 8), (1, 3), (2, 8), (2, 2)]
    assert not made.names_sites


@pytest.mark.parametrize("document", ["{}", "[]", '{"nodes": [{"count": 1}]}', "no json"])
def test_what_is_no_cluster_is_refused(tmp_path: Path, document: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(document, encoding="utf-8")
    with pytest.raises(ConfigurationError):
        read_cluster(path)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"ordre": "fifo"}, "ordre: there is no such field"),
        ({"order": "best"}, "order: .*'fifo'"),
        ({"preemption_cost_seconds": -1}, "preemption_cost_seconds: .*greater than or equal to 0"),
        ({"groups": [{"path": "a", "quota": {"x": {"weight": 0}}}]}, "groups.0.quota.x.weight"),
        ({"groups": [{"path": "a"}, {"path": "a"}]}, "given twice"),
        ({"offers": [{"site": "a", "nodes": 1, "from_seconds": 5, "to_seconds": 5}]}, "offers.0: .*after from_seconds"),
        ({"recalls": [{"site": "a", "nodes": 1, "at_seconds": 5, "by_seconds": 4}]}, "no earlier than at_seconds"),
        ([], "dict"),
    ],
)
def test_a_wrong_policy_is_refused_by_field_with_the_mend(document: object, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_policy(document)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"groups": [{"path": "a", "quota": {"h100": {}}}]}, "quota.h100: the cluster's GPU classes are x"),
        ({"recalls": [{"site": "no", "nodes": 1, "at_seconds": 1, "by_seconds": 2}]}, "recalls.0.site"),
        ({"recalls": [{"site": "cluster", "nodes": 9, "at_seconds": 1, "by_seconds": 2}]}, "the site has 2"),
        ({"failures": [{"node": 2, "at_seconds": 1, "until_seconds": 2}]}, "nodes are 0 to 1"),
        ({"groups": [{"path": "a.one"}, {"path": "b.one"}]}, "a.one or b.one"),
    ],
)
def test_a_policy_that_does_not_suit_the_cluster_is_refused(policy: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        simulate([row("a", 0, 1)], cluster_of(4, 4), parse_policy(policy))


def test_a_policy_file_may_be_empty_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("", encoding="utf-8")
    assert read_policy(path) == read_policy(None)


def test_a_trace_group_is_the_policy_group_that_ends_in_its_name() -> None:
    policy = parse_policy({"groups": [{"path": "sector.one", "quota": {"x": {"limit": 2}}}]})
    outcome = simulate([row("a", 0, 10, 2), row("b", 0, 10, 2), row("c", 0, 10, 2, group="two")], cluster_of(8), policy)
    assert outcome.workload.groups == ["federation", "sector", "sector.one", "two"]
    assert {each.job.name: each.start_ms for each in outcome.history.segments} == {"a": 0, "c": 0, "b": 10_000}


def test_a_prediction_is_the_mean_of_the_users_last_two_like_jobs_else_of_the_groups() -> None:
    jobs = build_workload(
        [
            row("k1", 0, 10, user="kim"), row("k2", 0, 30, user="kim"), row("k3", 0, 50, user="kim"),
            row("l1", 0, 90, user="lee"), row("k4", 0, 1, user="kim"), row("p1", 0, 1, user="park"),
            row("k5", 0, 1, 2, user="kim"), row("short", 0, 1, user="kim", walltime_ms=5000),
        ],
        cluster_of(4),
    ).jobs  # fmt: skip
    prediction = Prediction()
    assert prediction.of(jobs[0]) is None
    for job in jobs[:4]:
        prediction.saw(job)
    expected = {"k4": 40_000, "p1": 70_000, "k5": 70_000, "short": 5000}
    assert {job.name: prediction.of(job) for job in jobs[4:]} == expected


@pytest.mark.parametrize(
    ("durations", "expected"),
    [(Durations.KNOWN, 100_000), (Durations.WALLTIME, 150_000), (Durations.PREDICTED, 150_000)],
)
def test_what_is_told_of_a_preempted_job_counts_what_it_did_and_lost(durations: Durations, expected: int) -> None:
    (job,) = build_workload([row("a", 0, 120, 2, walltime_ms=170_000)], cluster_of(4)).jobs
    job.ran(30_000, 10_000)
    knowledge = Knowledge(durations, Order.LEAST_WORK, {})
    knowledge.tell(job)
    assert (job.expected_ms, job.order) == (expected, 2 * expected)


def test_a_gang_goes_to_one_site_so_that_what_fits_none_of_them_is_no_job_here() -> None:
    two = cluster_of(8, 8, 8, 8, sites=("a", "a", "b", "b"))
    asked = [
        row("none", 0, 1, 24),
        row("one", 0, 1, 16),
        row("bound", 0, 1, 16, site="b"),
        row("mine", 0, 1, 17, gpus_per_node=1),
    ]
    assert [shape_of(each, two) == "too_large" for each in asked] == [True, False, False, True]
    uneven = cluster_of(8, 8, 8, sites=("a", "a", "b"))
    assert shape_of(asked[2], uneven) == "too_large"
    assert (
        shape_of(
            row("cpus", 0, 1, 1, cpus=65), build_cluster({"nodes": [{"count": 2, "gpus_per_node": 8, "cpus": 64}]})
        )
        == "too_large"
    )
