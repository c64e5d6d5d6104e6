"""One arrival or one end on a full cluster: ``python -m benchmarks.steady --nodes N --jobs J --groups G``.

Every node has a run, of all groups in turn, ``--preemptible`` or not; nothing is free, and everybody waits for more. Rounds go
by until none reclaims anything. Then single
jobs arrive, and single runs end whose nodes go to the next. Timed is all that follows from one such event: the federation
takes it in, and a round of snapshot and ``decide`` on it; ``check_*`` is what ``check_plan`` takes besides. What a plan starts
and stops is done before the next event, untimed. In the end the last plan is compared with that of a federation that has been
told the same facts at once. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from collections.abc import Callable

import numpy as np

from benchmarks.round import GPU_CLASS, GPUS_A_NODE, NODES_A_SITE, put_groups, put_jobs, put_shapes, put_sites
from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId

NOW_MS = 86_400_000
#: Ids of runs and jobs that come later begin here.
LATER = 20_000_000


class Cluster:
    """A full federation, and what happens to it."""

    def __init__(self, nodes: int, jobs: int, groups: int, shapes: int, *, preemptible: bool) -> None:
        self._sizes = nodes, jobs, groups, shapes
        self._preemptible = preemptible
        self.federation = Federation()
        self._groups, self._shapes = self._tell(self.federation)
        for number in range(nodes):
            group = self._groups[number % len(self._groups)]
            self.federation.put_run(self._run(number + 1, JobId(LATER // 2 + number), group, NodeId(number + 1)))
        self._count = LATER

    def _tell(self, federation: Federation) -> tuple[list[GroupId], list[ShapeId]]:
        nodes, jobs, groups, shapes = self._sizes
        put_sites(federation, nodes)
        members, ids = put_groups(federation, groups, nodes * GPUS_A_NODE), put_shapes(federation, shapes)
        put_jobs(federation, jobs, members, ids)
        federation.lend(NOW_MS)
        return members, ids

    def _run(self, number: int, job: JobId, group: GroupId, node: NodeId) -> LiveRun:
        waits = WaitingJob(id=job, group=group, shape=self._shapes[0], priority=0, submitted_ms=0)
        return LiveRun(
            id=RunId(number),
            job=job,
            group=group,
            site=SiteId((node - 1) // NODES_A_SITE + 1),
            gpu_class=GPU_CLASS,
            gpus_per_worker=GPUS_A_NODE,
            cpus_per_worker=1,
            memory_mib_per_worker=1,
            gang=((node, 1),),
            preemptible=self._preemptible,
            returns_as=waits if self._preemptible else None,
        )

    def arrive(self) -> None:
        """One more job waits."""
        self._count += 1
        group, shape = self._groups[self._count % len(self._groups)], self._shapes[self._count % len(self._shapes)]
        job = WaitingJob(id=JobId(self._count), group=group, shape=shape, priority=0, submitted_ms=self._count)
        self.federation.put_waiting([job])

    def end(self) -> None:
        """One run is over."""
        self.federation.end_run(next(iter(self.federation.live_runs)), NOW_MS)

    def apply(self, snapshot: Snapshot, plan: Plan) -> None:
        """Do what a plan says; what it stops is gone at once, and its jobs wait again."""
        for stop in plan.stops:
            returns = snapshot.runs[stop.run].returns_as
            self.federation.end_run(stop.run, NOW_MS)
            if returns is not None:
                self.federation.put_waiting([returns])
        for earmark in plan.earmarks:
            turn = snapshot.table.turn_of(earmark.job)
            assert turn is not None
            job = WaitingJob(
                id=earmark.job, group=earmark.group, shape=earmark.shape, priority=-turn[0], submitted_ms=turn[1]
            )
            gang = tuple((node, workers) for node, _, _, workers in earmark.gang)
            self.federation.put_earmark(Earmarked(job=job, site=earmark.site, gpu_class=earmark.gpu_class, gang=gang))
        for start in (*plan.redeemed, *plan.starts):
            self._count += 1
            shape = self.federation.shape(start.shape)
            self.federation.drop_waiting(start.job)
            self.federation.put_run(
                LiveRun(
                    id=RunId(self._count),
                    job=start.job,
                    group=start.group,
                    site=start.site,
                    gpu_class=start.gpu_class,
                    gpus_per_worker=shape.gpus_per_worker,
                    cpus_per_worker=shape.cpus_per_worker,
                    memory_mib_per_worker=shape.memory_mib_per_worker,
                    gang=tuple((node, workers) for node, _, _, workers in start.gang),
                    preemptible=self._preemptible,
                )
            )

    def told_at_once(self) -> Federation:
        """A federation that knows the same facts, and has seen nothing of how they came about."""
        twin = Federation()
        self._tell(twin)
        shown = self.federation.snapshot()
        waiting = {job.id: job for job in shown.table.jobs()}
        for number in range(1, self._sizes[1] + 1):
            if number not in waiting:
                twin.drop_waiting(JobId(number))
        twin.put_waiting([job for job in waiting.values() if job.id > self._sizes[1]])
        for run in shown.runs.values():
            twin.put_run(run)
        for earmark in shown.earmarks.values():
            twin.put_earmark(earmark)
        return twin


def timed(cluster: Cluster, happen: Callable[[], None]) -> tuple[tuple[float, float, float], Snapshot, Plan]:
    """Seconds to take an event in, to decide on it, and to check the plan."""
    began = time.perf_counter()
    happen()
    snapshot = cluster.federation.snapshot()
    seen = time.perf_counter()
    plan = decide(snapshot, 0)
    decided = time.perf_counter()
    if check_plan(snapshot, plan):
        raise RuntimeError("the plan is not lawful")
    return (seen - began, decided - seen, time.perf_counter() - decided), snapshot, plan


def settle(cluster: Cluster, rounds_max: int) -> int:
    """Rounds until one stops nobody, so that shares stand as they are called for; also loads what is compiled."""
    for number in range(1, rounds_max + 1):
        _, snapshot, plan = timed(cluster, cluster.arrive if number % 2 else cluster.end)
        cluster.apply(snapshot, plan)
        if number > 2 and not plan.stops:
            return number
    return rounds_max


def measured(cluster: Cluster, happen: Callable[[], None], repeats: int) -> dict[str, float]:
    """Percentiles over many events of a kind."""
    seconds, started = [], 0
    for _ in range(repeats):
        taken, snapshot, plan = timed(cluster, happen)
        seconds.append(taken)
        started += len(plan.starts)
        cluster.apply(snapshot, plan)
    columns = np.array(seconds)
    both, check = columns[:, 0] + columns[:, 1], columns[:, 2]
    figures = {
        "seconds_p50": float(np.percentile(both, 50)),
        "seconds_p99": float(np.percentile(both, 99)),
        "snapshot_seconds_p50": float(np.percentile(columns[:, 0], 50)),
        "check_seconds_p50": float(np.percentile(check, 50)),
    }
    return {name: round(value, 6) for name, value in figures.items()} | {"started": started}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=32_500)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--shapes", type=int, default=1_000)
    parser.add_argument("--preemptible", action="store_true")
    parser.add_argument("--settle", type=int, default=200, help="rounds at most before anything is timed")
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    cluster = Cluster(options.nodes, options.jobs, options.groups, options.shapes, preemptible=options.preemptible)
    gc.freeze()
    settling = settle(cluster, options.settle)
    arrival, end = (measured(cluster, happen, options.repeats) for happen in (cluster.arrive, cluster.end))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _, _, plan = timed(cluster, cluster.end)
    if plan.starts != decide(cluster.told_at_once().snapshot(), 0).starts:
        raise RuntimeError("the plan is not that of a federation that was told all at once")
    figures = {
        "rounds_before": settling,
        "arrival": arrival,
        "end": end,
        "peak_memory_bytes": peak,
    }
    print(json.dumps({"benchmark": "steady", **vars(options), **figures}))


if __name__ == "__main__":
    main()
