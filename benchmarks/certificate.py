"""How tight a bound on mean completion is found, and how fast: ``python -m benchmarks.certificate --trace FILE``.

The trace is a CSV with ``submit_s``, ``duration_s``, ``gpus`` and ``group``, plain or gzip. The last line is one JSON
object; hours are means over jobs of completion less submission.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import time
from pathlib import Path

import numpy as np

from scheduler.cycle.certificate import certify
from scheduler.cycle.certificate_case import CertifiedJobs, PoolCapacity


def read_jobs(trace: Path, jobs_max: int, from_seconds: float, without_group: str | None) -> CertifiedJobs:
    """Read the first jobs submitted from a moment on that ran for some time on some GPUs."""
    rows = list[tuple[float, float, int]]()
    opener = gzip.open if trace.suffix == ".gz" else open
    with opener(trace, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            submitted, ran, gpus = float(row["submit_s"]), float(row["duration_s"] or 0), int(row["gpus"] or 0)
            if submitted >= from_seconds and ran > 0 and gpus > 0 and row["group"] != without_group:
                rows.append((submitted, ran, gpus))
            if len(rows) == jobs_max:
                break
    release, duration, gpus_of = zip(*rows, strict=True)
    return CertifiedJobs(np.array(release), np.array(duration), np.array(gpus_of))


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trace", type=Path, required=True)
    arguments.add_argument("--gpus", type=int, default=512)
    arguments.add_argument("--jobs", type=int, default=20_000)
    arguments.add_argument("--from-seconds", type=float, default=9 * 86_400.0)
    arguments.add_argument("--without-group", help="leave out the jobs of one group, such as unknown")
    arguments.add_argument("--iterations", type=int, default=60)
    arguments.add_argument("--bins", type=int, default=1_440)
    given = arguments.parse_args()
    jobs = read_jobs(given.trace, given.jobs, given.from_seconds, given.without_group)
    pool = PoolCapacity(np.array([float(jobs.release_seconds.min())]), np.array([given.gpus]))
    begin, begin_cpu = time.perf_counter(), time.process_time()
    found = certify(jobs, [pool], iterations=given.iterations, bins=given.bins)
    print(
        json.dumps(
            {
                "benchmark": "certificate",
                "trace": given.trace.name,
                "without_group": given.without_group,
                "gpus": given.gpus,
                "jobs": len(jobs.gpus),
                "iterations": given.iterations,
                "bins": given.bins,
                "mean_completion_lower_bound_hours": found.mean_completion_lower_bound_seconds / 3600,
                "won": found.won,
                "bounds_hours": {bound: seconds / 3600 for bound, seconds in found.bounds_seconds.items()},
                "seconds": time.perf_counter() - begin,
                "cpu_seconds": time.process_time() - begin_cpu,
                "memory_mib_max": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
