"""Small traces and clusters for tests of the simulator, and what must hold of any history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from scheduler.simulator.cluster import Cluster, build_cluster
from scheduler.simulator.history import EndCause, History
from scheduler.simulator.trace import TraceRow


def row(name: str, submit_s: float, duration_s: float, gpus: int = 1, *, group: str = "one", **more: Any) -> TraceRow:
    """A job of a trace."""
    return TraceRow(
        job_id=name,
        user=more.pop("user", ""),
        group=group,
        submit_ms=round(submit_s * 1000),
        duration_ms=round(duration_s * 1000),
        gpus=gpus,
        **more,
    )


def cluster_of(*nodes: int, sites: Sequence[str] = ()) -> Cluster:
    """A cluster of nodes with so many GPUs, each at its site where sites are given."""
    entries: list[dict[str, Any]] = [{"count": 1, "gpus_per_node": gpus, "gpu_type": "x"} for gpus in nodes]
    for entry, site in zip(entries, sites, strict=False):
        entry["site"] = site
    return build_cluster({"name": "test", "device": "gpu", "nodes": entries, "groups": []})


@st.composite
def rows(draw: st.DrawFn, jobs_max: int = 12, gpus_max: int = 8) -> list[TraceRow]:
    """A few jobs of three groups by submission; each fits a cluster of ``clusters``."""
    found = []
    for number in range(draw(st.integers(1, jobs_max))):
        found.append(
            row(
                f"job-{number}",
                draw(st.integers(0, 30)),
                draw(st.integers(0, 20)),
                draw(st.sampled_from([gpus for gpus in (1, 1, 2, 3, 4, 8) if gpus <= gpus_max])),
                group=draw(st.sampled_from(("one", "two", "three"))),
                user=draw(st.sampled_from(("", "kim", "lee"))),
                gpus_per_node=draw(st.sampled_from((None, None, 1))),
                walltime_ms=draw(st.none() | st.integers(1, 40_000)),
                qos=draw(st.sampled_from(("", "", "high", "low"))),
            )
        )
    return sorted(found, key=lambda each: each.submit_ms)


def clusters() -> st.SearchStrategy[Cluster]:
    """Clusters on which every job of ``rows`` fits when nothing runs."""
    return st.builds(lambda more: cluster_of(4, 4, *more), st.lists(st.sampled_from((1, 2, 4)), max_size=3))


def check_history(history: History, cluster: Cluster) -> None:
    """Whatever decided: no device is held twice, gangs are whole, jobs run as long as they need and end once."""
    changes: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    ran_ms: defaultdict[int, int] = defaultdict(int)
    lost_ms: defaultdict[int, int] = defaultdict(int)
    for each in history.segments:
        assert each.job.submit_ms <= each.start_ms <= each.end_ms
        assert sum(devices for _, devices in each.gang) == each.job.gpus
        assert {cluster.nodes[index].site_id for index, _ in each.gang} == {each.site}
        ran_ms[each.job.id] += each.end_ms - each.start_ms
        lost_ms[each.job.id] += each.lost_ms
        for index, devices in each.gang if each.start_ms < each.end_ms else ():
            changes[index] += [(each.start_ms, 1, devices), (each.end_ms, 0, -devices)]
    for index, of_node in changes.items():
        held = 0
        for _, _, devices in sorted(of_node):
            held += devices
            assert 0 <= held <= cluster.nodes[index].gpus
    for job in history.jobs:
        finished = [each for each in history.segments if each.job is job and each.cause is EndCause.FINISHED]
        assert len(finished) == (job.id - 1 in history.ends_ms)
        if finished:
            assert ran_ms[job.id] == job.duration_ms + lost_ms[job.id]
            assert history.ends_ms[job.id - 1] == finished[0].end_ms == max(
                each.end_ms for each in history.segments if each.job is job
            )  # fmt: skip
