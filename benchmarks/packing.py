"""How full a mixed cluster gets: ``python -m benchmarks.packing --trace FILE --cluster FILE``.

The way of filling of FGD (Weng et al., USENIX ATC 2023): jobs drawn from a log, GPU types dropped, arrive one by one and never
end, until what arrived asks for 130 % of all GPUs; what does not fit is passed over. Here each arrival is a round of the
simulator. A round knows whole GPUs alone: jobs that share a GPU are left out, or (``--shares whole``) take a whole one each,
and jobs without GPUs are left out. So the figure is that of the log's whole GPUs and not comparable with the published one,
95.39 %, nor with the goal, 96.5 %. The last line is one JSON object: ``allocated`` is GPUs held over all GPUs, mean over seeds;
``asked`` counts of a shared GPU only what was asked of it; ``cpu_allocated`` tells how far CPUs, not GPUs, had run out.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from scheduler.simulator.cluster import AMPLE, Cluster, read_cluster
from scheduler.simulator.policy import parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow, read_trace

FOR_EVER_MS = 10**12


def read_shares(trace: Path) -> dict[str, int]:
    """Thousandths of a GPU by job, of the jobs that share one."""
    with gzip.open(trace, "rt", encoding="utf-8") if trace.suffix == ".gz" else trace.open(encoding="utf-8") as lines:
        return {row["job_id"]: int(row["gpu_milli"]) for row in csv.DictReader(lines) if row["gpu_milli"]}


def arrivals(jobs: Sequence[TraceRow], gpus: int, seed: int) -> list[TraceRow]:
    """Jobs drawn with replacement, one each millisecond, until they ask for so many GPUs."""
    dice, found, asked = Random(seed), list[TraceRow](), 0
    while asked < gpus:
        drawn = dice.choice(jobs)
        found.append(replace(drawn, submit_ms=len(found), duration_ms=FOR_EVER_MS, gpu_types=(), group="all"))
        asked += drawn.gpus
    return found


def filled(
    jobs: Sequence[TraceRow], cluster: Cluster, shares: Mapping[str, int], seed: int, arriving: float
) -> dict[str, Any]:
    """Fill the cluster once; parts of all GPUs and CPUs."""
    policy = parse_policy({"drain": False, "preemption": False})
    rows = arrivals(jobs, round(cluster.devices * arriving), seed)
    outcome = simulate(rows, cluster, policy, seed=seed)
    cpus_of = {row.job_id: row.cpus or 0 for row in jobs}
    held = [each.job for each in outcome.history.segments]
    sizes = Counter(job.gpus for job in held)
    with_gpus = sum(node.cpus for node in cluster.nodes if node.gpus and node.cpus < AMPLE)
    return {
        "allocated": sum(job.gpus for job in held) / cluster.devices,
        "asked": sum(job.gpus * shares.get(job.name, 1000) for job in held) / 1000 / cluster.devices,
        "cpu_allocated": sum(cpus_of[job.name] for job in held) / with_gpus,
        "arrived": len(rows),
        "started": len(held),
        "started_by_gpus": {str(size): sizes[size] for size in sorted(sizes)},
        "wall_s": outcome.wall_seconds,
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, required=True)
    parser.add_argument("--cluster", type=Path, required=True)
    parser.add_argument("--shares", choices=("leave_out", "whole"), default="leave_out")
    parser.add_argument("--arriving", type=float, default=1.3, help="GPUs asked for in all, as a part of the cluster's")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    began, worked = time.perf_counter(), time.process_time()
    cluster, shares = read_cluster(options.cluster), read_shares(options.trace)
    whole = options.shares == "whole"
    jobs = [row for row in read_trace(options.trace) if row.gpus and (whole or row.job_id not in shares)]
    runs = [filled(jobs, cluster, shares, seed, options.arriving) for seed in range(options.seeds)]
    parts = {name: [float(run[name]) for run in runs] for name in ("allocated", "asked", "cpu_allocated")}
    print(
        json.dumps(
            {
                "benchmark": "packing",
                "trace": options.trace.name,
                "shares": options.shares,
                "arriving": options.arriving,
                "gpus": cluster.devices,
                **{name: statistics.fmean(values) for name, values in parts.items()},
                "allocated_least": min(parts["allocated"]),
                "allocated_greatest": max(parts["allocated"]),
                "runs": runs,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - worked,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
