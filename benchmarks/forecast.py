"""When every job of a large queue would start: ``python -m benchmarks.forecast --nodes N --jobs J --groups G``.

A federation as in ``benchmarks.round --backfill``, state in memory: nineteen of twenty nodes are held by runs that end within a
day, and all jobs have walltimes. ``seconds_*`` is one forecast for all jobs together, as a server makes it at most once a minute,
within the product's limits (``--jobs`` above ``waiting_max`` are told that too many wait: there ``--waiting-max`` raises it).
``steps`` are its rounds, ``hours`` how far it came, ``told`` how many jobs have which answer, and ``eta_seconds_p50`` is the
reading of one of them. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from collections import Counter

from benchmarks.preview import percentile, timed
from benchmarks.round import GPUS_A_NODE, HOUR_MS, fill, put_groups, put_jobs, put_shapes, put_sites
from scheduler.cycle.federation import Federation
from scheduler.cycle.forecast import DEFAULT_LIMITS, Eta, Forecast, ForecastLimits
from scheduler.model.ids import JobId


def make_federation(options: argparse.Namespace) -> Federation:
    """Jobs with walltimes before runs that end."""
    federation = Federation()
    put_sites(federation, options.nodes)
    groups = put_groups(federation, options.groups, options.nodes * GPUS_A_NODE)
    put_jobs(federation, options.jobs, groups, put_shapes(federation, options.shapes), walltimes=True)
    fill(federation, options.nodes, groups[0], walltimes=True)
    return federation


def read(forecast: Forecast, jobs: int) -> tuple[list[Eta], list[float]]:
    """What is said of every job, and how long each reading took."""
    told, seconds = [], []
    for number in range(1, jobs + 1):
        began = time.perf_counter()
        eta = forecast.of(JobId(number))
        seconds.append(time.perf_counter() - began)
        if eta is None:
            raise RuntimeError(f"nothing is said of job {number}, which waits")
        told.append(eta)
    return told, seconds


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--shapes", type=int, default=1_000)
    parser.add_argument("--waiting-max", type=int, default=DEFAULT_LIMITS.waiting_max)
    parser.add_argument("--looks-max", type=int, default=DEFAULT_LIMITS.looks_max)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    federation = make_federation(options)
    limits = ForecastLimits(waiting_max=options.waiting_max, looks_max=options.looks_max)
    Forecast(federation, ForecastLimits(steps_max=1))  # loads what is compiled
    gc.freeze()
    forecasts: list[Forecast] = []

    def make() -> None:
        forecasts[:] = [Forecast(federation, limits)]

    seconds, worked = timed(make, options.repeats)
    (forecast,) = forecasts
    told, eta_seconds = read(forecast, options.jobs)
    starts_ms = sorted(each.start_ms for each in told if each.start_ms is not None)
    measured = {
        "seconds_p50": percentile(seconds, 50),
        "seconds_max": round(max(seconds), 4),
        "cpu_seconds_p50": percentile(worked, 50),
        "steps": forecast.steps,
        "hours": round(forecast.until_ms / HOUR_MS, 2),
        "told": dict(sorted(Counter(each.code.value for each in told).items())),
        "start_hours_p50": round(starts_ms[len(starts_ms) // 2] / HOUR_MS, 2) if starts_ms else None,
        "eta_seconds_p50": round(sorted(eta_seconds)[len(eta_seconds) // 2], 7),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps({"benchmark": "forecast", **vars(options), **measured}))


if __name__ == "__main__":
    main()
