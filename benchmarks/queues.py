"""Many small queues that borrow from one another, in the shape of Kueue's large-scale test: ``python -m benchmarks.queues``.

``--cohorts`` groups of ``--queues`` queues, each queue guaranteed 20 GPUs and allowed 100 more of its cohort's; a
cohort gets nothing of others. Into each queue come 35 jobs of 1 GPU, one every 60 ms, that run for 150 ms; 11 of 5
GPUs every 300 ms for 350 ms; 4 of 20 GPUs every 700 ms for 700 ms. Each round's measured time, by ``--cost`` of the
wall's clock or of the processor, passes on the virtual clock before its starts begin, so a slow round is idle GPUs.
In Kueue's test quotas are all there is: so a cohort's GPUs are one node here, unless ``--gpus-a-node`` makes smaller
ones, over which a job's GPUs may spread. ``utilisation`` is GPU time had over all queues' guarantees from the first
arrival to the last end; ``ideal`` is the same where rounds take no time. The last line is one JSON object. Goal:
utilisation 0.90.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from typing import Any

from scheduler.cycle.warm_up import warm_up
from scheduler.simulator.cluster import Cluster, build_cluster
from scheduler.simulator.metrics import JobTimes, measure
from scheduler.simulator.policy import Policy, RoundCost, parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow

GPU_CLASS = "gpu"
QUOTA, BORROWING = 20, 100
#: name, GPUs, jobs of a queue, ms between them, run time in ms
CLASSES = (("small", 1, 35, 60, 150), ("medium", 5, 11, 300, 350), ("large", 20, 4, 700, 700))


def rows_of(cohorts: int, queues: int, gpus_a_node: int) -> list[TraceRow]:
    """Every queue's jobs, by submission."""
    found = [
        TraceRow(
            job_id=f"{cohort}-{queue}-{name}-{number}",
            user="",
            group=f"c{cohort}.q{queue}",
            submit_ms=number * every_ms,
            duration_ms=run_ms,
            gpus=gpus,
            gpus_per_node=gpus if gpus <= gpus_a_node else 1,
        )
        for cohort in range(cohorts)
        for queue in range(queues)
        for name, gpus, count, every_ms, run_ms in CLASSES
        for number in range(count)
    ]
    return sorted(found, key=lambda row: row.submit_ms)


def cluster_of(cohorts: int, queues: int, gpus_a_node: int) -> Cluster:
    """As many GPUs as all queues are guaranteed."""
    nodes, rest = divmod(cohorts * queues * QUOTA, gpus_a_node)
    entries = [{"count": nodes, "gpus_per_node": gpus_a_node, "gpu_type": GPU_CLASS}]
    if rest:
        entries.append({"count": 1, "gpus_per_node": rest, "gpu_type": GPU_CLASS})
    return build_cluster({"name": "queues", "nodes": entries})


def policy_of(cohorts: int, queues: int, cost: RoundCost) -> Policy:
    """The tree: cohorts that borrow nothing, queues that borrow inside theirs."""
    groups: list[dict[str, Any]] = []
    for cohort in range(cohorts):
        mine = {"guaranteed": QUOTA * queues, "limit": QUOTA * queues}
        groups.append({"path": f"c{cohort}", "quota": {GPU_CLASS: mine}})
        each = {"guaranteed": QUOTA, "borrowing_limit": BORROWING}
        groups += [{"path": f"c{cohort}.q{queue}", "quota": {GPU_CLASS: each}} for queue in range(queues)]
    return parse_policy({"groups": groups, "round_cost": cost, "preemption_cost_seconds": 0})


def measured(options: argparse.Namespace, cost: RoundCost) -> dict[str, Any]:
    """One simulation's figures; waits in seconds by class of jobs."""
    cohorts, queues = options.cohorts, options.queues
    gpus_a_node = options.gpus_a_node or queues * QUOTA
    rows, cluster = rows_of(cohorts, queues, gpus_a_node), cluster_of(cohorts, queues, gpus_a_node)
    outcome = simulate(rows, cluster, policy_of(cohorts, queues, cost))
    found, times = measure(outcome, bound=False).document, JobTimes.of(outcome)
    return {
        "utilisation": found["utilisation_to_end"],
        "makespan_s": found["makespan_s"],
        "completed": found["completed"],
        "preemptions": found["preemptions"],
        "mean_wait_s": {name: float(times.wait[times.gpus == gpus].mean()) for name, gpus, *_ in CLASSES},
        "rounds": found["rounds"],
        "round_p50_s": found["round_p50_s"],
        "round_p99_s": found["round_p99_s"],
        "seconds": found["seconds"],
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=10)
    parser.add_argument("--queues", type=int, default=100, help="of a cohort")
    parser.add_argument("--gpus-a-node", type=int, help="default: all of a cohort")
    parser.add_argument("--cost", choices=[each.value for each in RoundCost], default=RoundCost.PROCESSOR.value)
    parser.add_argument("--repeats", type=int, default=3, help="the run with the middle utilisation is told")
    options = parser.parse_args()
    warm_up()  # as a scheduler does before it leads
    gc.freeze()
    began, worked = time.perf_counter(), time.process_time()
    runs = [measured(options, RoundCost(options.cost)) for _ in range(options.repeats)]
    runs.sort(key=lambda run: float(run["utilisation"]))
    ideal = measured(options, RoundCost.NOTHING)
    print(
        json.dumps(
            {
                "benchmark": "queues",
                **vars(options),
                **runs[len(runs) // 2],
                "utilisation_least": runs[0]["utilisation"],
                "utilisation_greatest": runs[-1]["utilisation"],
                "ideal": {name: ideal[name] for name in ("utilisation", "makespan_s", "mean_wait_s", "rounds")},
                "all_seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - worked,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
