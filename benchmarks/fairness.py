"""Waits and entitlement on logs of shared machines: ``python -m benchmarks.fairness --trace FILE --cluster FILE [--by user]``.

A log from ``--from-days`` for ``--days`` days, walltimes known, its groups (or, ``--by user``, its users) with equal
weights and no guarantees: Dure's round beside FIFO and EASY. As on the machines of the logs nothing is preempted
unless ``--preemption`` asks for it. ``--jitter`` multiplies each gap between arrivals by a number drawn from 1 ± that,
with ``--seed``, as in ``dure simulate``. The last line is one JSON object with a row for each scheduler: mean and p99 wait
and bounded slowdown (10 s), and the lag of each group, the most device-hours by which it ever fell behind its fair
share of its own demand.
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

from scheduler.simulator.cluster import read_cluster
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import Policy, parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow, Window, cut, read_trace

DAY_MS = 86_400_000
ORDERS = ("fifo", "shortest", "least_work")
SHOWN = (
    "completed", "mean_wait_s", "p99_wait_s", "bounded_slowdown_mean", "bounded_slowdown_p99", "utilisation", "makespan_s",
    "preemptions", "jain_index", "rounds", "wall_s", "round_p50_s", "round_p99_s",
)  # fmt: skip


def read_jobs(options: argparse.Namespace) -> list[TraceRow]:
    """The part of the log that is asked for, each job in the group that it is to be judged by."""
    from_ms = round(options.from_days * DAY_MS)
    to_ms = None if options.days is None else from_ms + round(options.days * DAY_MS)
    window = Window(
        from_ms=from_ms,
        to_ms=to_ms,
        jobs_max=options.jobs,
        load_factor=options.load_factor,
        jitter=options.jitter,
    )
    rows = cut(read_trace(options.trace), window, options.seed)
    return [replace(row, group=row.user) for row in rows] if options.by == "user" else rows


def policy_of(scheduler: str, *, preemption: bool) -> Policy:
    """How a scheduler is set up: ``dure-ORDER``, else a baseline by its name."""
    document: dict[str, Any] = {"durations": "walltime", "preemption": preemption}
    name, _, order = scheduler.partition("-")
    return parse_policy(document | ({"order": order} if name == "dure" else {"baseline": name}))


def row_of(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of the table; lags in device-hours, the greatest first."""
    lags = {name: each["worst_lag_gpu_hours"] for name, each in found["by_group"].items()}
    entitled = {name: each["entitled_gpu_hours"] for name, each in found["by_group"].items()}
    first = sorted(lags, key=lambda name: (-lags[name], name))
    return {
        **{name: found[name] for name in SHOWN},
        "worst_lag_device_hours": lags[first[0]],
        "mean_lag_device_hours": sum(lags.values()) / len(lags),
        "sum_of_lags_by_entitled": sum(lags.values()) / max(sum(entitled.values()), 1e-9),
        "lag_device_hours_by_group": {name: round(lags[name], 1) for name in first if lags[name] > 0},
    }


def table(rows: Sequence[TraceRow], options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for every scheduler."""
    cluster, found = read_cluster(options.cluster), []
    for scheduler in options.schedulers.split(","):
        outcome = simulate(rows, cluster, policy_of(scheduler, preemption=options.preemption))
        figures = row_of(measure(outcome, bound=False).document)
        found.append({"scheduler": scheduler, **figures})
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, required=True)
    parser.add_argument("--cluster", type=Path, required=True)
    parser.add_argument("--by", choices=("group", "user"), default="group")
    parser.add_argument("--from-days", type=float, default=0.0)
    parser.add_argument("--days", type=float)
    parser.add_argument("--jobs", type=int, help="only so many jobs")
    parser.add_argument("--load-factor", type=float, default=1.0)
    parser.add_argument("--jitter", type=float, default=0.0, help="shake gaps between arrivals by 1 ± this")
    parser.add_argument("--seed", type=int, default=0, help="of the jitter")
    parser.add_argument("--schedulers", default="dure-fifo,fifo,easy")
    parser.add_argument("--preemption", action="store_true")
    options = parser.parse_args()
    began, worked = time.perf_counter(), time.process_time()
    rows = read_jobs(options)
    found = table(rows, options)
    print(
        json.dumps(
            {
                "benchmark": "fairness",
                "trace": options.trace.name,
                "by": options.by,
                "jobs": len(rows),
                "groups": len({row.group for row in rows}),
                "load_factor": options.load_factor,
                "jitter": options.jitter,
                "seed": options.seed,
                "preemption": options.preemption,
                "rows": found,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - worked,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
