"""Mean completion against what no schedule could beat: ``python -m benchmarks.completion --trace FILE``.

The first ``--jobs`` jobs of a log from ``--from-seconds`` on (as ``benchmarks.certificate`` takes them) as one group
on ``--gpus`` GPUs in nodes of 8, by every scheduler of ``--schedulers``: Dure's round with one of its orders, or a
baseline. First with durations known and preemption free, then predicted from what like jobs took, each preemption
costing ``--preemption-cost-seconds``. The last line is one JSON object with a row for each; ``times_the_bound`` is
mean completion over the bound. Goals, durations known: 1.05 at 512 GPUs and 1.10 at 256 with the best of Dure's
orders. ``--jitter`` multiplies each gap between arrivals by a number drawn from 1 ± that, with ``--seed``, as in
``dure simulate``.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.simulator.bound import lower_bound_mean_jct_seconds
from scheduler.simulator.cluster import Cluster, build_cluster
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import Policy, parse_policy
from scheduler.simulator.simulation import Outcome, simulate
from scheduler.simulator.trace import TraceRow, Window, cut, read_trace

GPUS_A_NODE = 8
BASELINES = ("fifo", "easy", "conservative", "sjf")
ORDERS = ("fifo", "least_work", "shortest", "least_served")
SETTINGS = ("known", "predicted")
SHOWN = (
    "mean_jct_s", "p50_jct_s", "p99_jct_s", "mean_wait_s", "p99_wait_s", "bounded_slowdown_600_mean", "utilisation",
    "preemptions", "gpu_seconds_lost", "rounds", "wall_s",
)  # fmt: skip


def read_jobs(options: argparse.Namespace) -> list[TraceRow]:
    """The jobs of the log that are asked for, all of one group."""
    from_ms = round(options.from_seconds * 1000)
    rows = [
        replace(row, group="all")
        for row in read_trace(options.trace)
        if row.submit_ms >= from_ms and row.duration_ms and row.gpus and row.group != options.without_group
    ]
    return cut(rows, Window(from_ms=from_ms, jobs_max=options.jobs, jitter=options.jitter), options.seed)


def policy_of(scheduler: str, setting: str, options: argparse.Namespace) -> Policy:
    """How a scheduler is set up: a baseline by its name, else one of Dure's orders."""
    free = setting == "known"
    document: dict[str, Any] = {
        "durations": setting,
        "free_preemption": free,
        "preemption_cost_seconds": options.preemption_cost_seconds,
    }
    if scheduler in BASELINES:
        return parse_policy(document | {"baseline": scheduler})
    order = scheduler.removeprefix("dure-")
    levels = options.levels_free if free else options.levels
    minimum = 0 if free else options.minimum_run_seconds
    return parse_policy(document | {"order": order, "levels_per_doubling": levels, "minimum_run_seconds": minimum})


def figures_of(outcome: Outcome, bound_seconds: float | None) -> dict[str, Any]:
    """The figures of the table."""
    found = measure(outcome, bound=False).document
    row = {name: found[name] for name in SHOWN}
    row["mean_jct_hours"] = row["mean_jct_s"] / 3600
    row["times_the_bound"] = None if bound_seconds is None else row["mean_jct_s"] / bound_seconds
    row["mean_wait_s_by_size"] = {name: each["mean_wait_s"] for name, each in found["by_size"].items()}
    return row


def table(
    rows: Sequence[TraceRow], cluster: Cluster, options: argparse.Namespace
) -> tuple[float, list[dict[str, Any]]]:
    """A row for every scheduler in every setting, and the bound (s)."""
    found: list[dict[str, Any]] = []
    bound_seconds: float | None = None
    for setting in options.settings.split(","):
        for scheduler in options.schedulers.split(","):
            outcome = simulate(rows, cluster, policy_of(scheduler, setting, options), checked=not options.unchecked)
            if bound_seconds is None:
                bound_seconds = lower_bound_mean_jct_seconds(outcome)
            row = {"setting": setting, "scheduler": scheduler, **figures_of(outcome, bound_seconds)}
            print(json.dumps(row), file=sys.stderr, flush=True)
            found.append(row)
    assert bound_seconds is not None, "the log has jobs"
    return bound_seconds, found


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=512)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--from-seconds", type=float, default=9 * 86_400.0)
    parser.add_argument("--jitter", type=float, default=0.0, help="shake gaps between arrivals by 1 ± this")
    parser.add_argument("--seed", type=int, default=0, help="of the jitter")
    parser.add_argument("--without-group", help="leave out the jobs of one group, such as unknown")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--schedulers", default="dure-least_work,dure-shortest,dure-least_served,fifo,easy,sjf")
    parser.add_argument("--preemption-cost-seconds", type=int, default=300)
    parser.add_argument("--minimum-run-seconds", type=int, default=600)
    parser.add_argument(
        "--levels-free", type=int, default=8, help="levels of priority a doubling where preemption is free"
    )
    parser.add_argument("--levels", type=int, default=1, help="levels of priority a doubling where it is not")
    parser.add_argument("--unchecked", action="store_true", help="do not look at plans with check_plan")
    options = parser.parse_args()
    rows = read_jobs(options)
    cluster = build_cluster({"nodes": [{"count": options.gpus // GPUS_A_NODE, "gpus_per_node": GPUS_A_NODE}]})
    began, worked = time.perf_counter(), time.process_time()
    bound_seconds, found = table(rows, cluster, options)
    ours = [row for row in found if row["setting"] == "known" and row["scheduler"].startswith("dure-")]
    best = min(ours, key=lambda row: row["mean_jct_s"], default=None)
    print(
        json.dumps(
            {
                "benchmark": "completion",
                "trace": options.trace.name,
                "without_group": options.without_group,
                "gpus": options.gpus,
                "jobs": len(rows),
                "jitter": options.jitter,
                "seed": options.seed,
                "preemption_cost_seconds": options.preemption_cost_seconds,
                "lower_bound_hours": bound_seconds / 3600,
                "best_order": None if best is None else best["scheduler"],
                "best_times_the_bound": None if best is None else best["times_the_bound"],
                "rows": found,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - worked,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
