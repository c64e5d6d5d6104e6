"""How soon a job that cannot start has its reasons: ``python -m benchmarks.refuse --nodes N --jobs J --groups G --shapes S``.

A full federation as in ``benchmarks.round``, with jobs waiting. Each time one job arrives that does not fit:
``seconds_*`` is from its arrival to its verdict with numbers and what would start it, ``rounds`` how many rounds that
takes, ``round_seconds_p50`` a round's time without the job. Another one that could never run is refused at submission
(``never_seconds_*``), in no round at all. The last line is one JSON object. Goal: one round.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time

import numpy as np

from benchmarks.round import GPU_CLASS, GPUS_A_NODE, fill, put_groups, put_jobs, put_shapes, put_sites
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import ClassKey, WaitingJob
from scheduler.cycle.feasible import why_never
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Plan, Verdict
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.ids import JobId, ShapeId
from scheduler.model.shape import DataClass, Shape, Topology

#: Rounds after which a job without reasons is given up.
ROUNDS_MAX = 10


def gang_of(workers: int) -> Shape:
    """A gang of whole nodes."""
    return Shape(
        workers=workers,
        gpus_per_worker=GPUS_A_NODE,
        cpus_per_worker=8,
        memory_mib_per_worker=1_000,
        gpu_classes=(GPU_CLASS,),
        topology=Topology.ANY,
        data_class=DataClass.OPEN,
        preemptible=True,
    )


def verdict_on(plan: Plan, key: ClassKey) -> Verdict | None:
    """What a plan says of a class of jobs."""
    assert isinstance(plan.verdicts, Verdicts)
    return plan.verdicts.of(key)


def told(federation: Federation, job: WaitingJob) -> tuple[int, Verdict]:
    """Have a job arrive; answer the rounds until it has its verdict, and that."""
    federation.put_waiting([job])
    for number in range(1, ROUNDS_MAX + 1):
        verdict = verdict_on(decide(federation.snapshot(), 0), job.key)
        if verdict is not None:
            return number, verdict
    raise RuntimeError(f"after {ROUNDS_MAX} rounds the job has no verdict")


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    """The middle and the 99th in a hundred."""
    return {f"{name}_p{part}": round(float(np.percentile(seconds, part)), 6) for part in (50, 99)}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--shapes", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    federation = Federation()
    put_sites(federation, options.nodes)
    groups = put_groups(federation, options.groups, options.nodes * GPUS_A_NODE)
    put_jobs(federation, options.jobs, groups, put_shapes(federation, options.shapes))
    fill(federation, options.nodes, groups[0], preemptible=False)
    shape, never = ShapeId(options.shapes + 1), gang_of(options.nodes + 1)
    federation.put_shape(shape, gang_of(min(16, options.nodes)))
    decide(federation.snapshot(), 0)  # loads what is compiled
    gc.freeze()
    round_seconds, seconds, cpu_seconds, never_seconds, rounds = [], [], [], [], []
    for number in range(options.repeats):
        began = time.perf_counter()
        snapshot = federation.snapshot()
        decide(snapshot, 0)
        round_seconds.append(time.perf_counter() - began)
        group = groups[number % len(groups)]
        job = WaitingJob(id=JobId(20_000_000 + number), group=group, shape=shape, priority=0, submitted_ms=10**9)
        began, worked = time.perf_counter(), time.process_time()
        taken, verdict = told(federation, job)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - worked)
        rounds.append(taken)
        federation.drop_waiting(job.id)
        began = time.perf_counter()
        refusal = why_never(snapshot, group, never)
        never_seconds.append(time.perf_counter() - began)
        if refusal is None:
            raise RuntimeError("a gang larger than the federation was not refused")
    assert refusal is not None
    print(
        json.dumps(
            {
                "benchmark": "refuse",
                **vars(options),
                "rounds": max(rounds),
                **percentiles("round_seconds", round_seconds),
                **percentiles("seconds", seconds),
                **percentiles("cpu_seconds", cpu_seconds),
                **percentiles("never_seconds", never_seconds),
                "reason": verdict.reason.code.value,
                "numbers": dict(verdict.reason.numbers),
                "counterfactual": None if verdict.counterfactual is None else verdict.counterfactual.as_json(),
                "never": refusal.reasons[0].code.value,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
