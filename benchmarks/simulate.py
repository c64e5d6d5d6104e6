"""One whole simulation: ``python -m benchmarks.simulate --trace FILE --cluster FILE [--policy FILE --jobs N --bound]``.

The last line is one JSON object. ``wall_s`` is the simulation alone, ``seconds`` its parts; the bound is left out unless
asked for. Goal: 66,984 jobs of Philly on 552 nodes within 10 seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

from scheduler.simulator.cluster import read_cluster
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import Baseline, read_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import Window, cut, read_trace

_NAMED = ("by_size", "by_group")


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, required=True)
    parser.add_argument("--cluster", type=Path, required=True)
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--baseline", choices=[each.value for each in Baseline])
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--load-factor", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bound", action="store_true")
    options = parser.parse_args()
    began = time.perf_counter()
    window = Window(jobs_max=options.jobs, load_factor=options.load_factor)
    rows = cut(read_trace(options.trace), window, options.seed)
    cluster, policy = read_cluster(options.cluster), read_policy(options.policy)
    if options.baseline is not None:
        policy = policy.model_copy(update={"baseline": Baseline(options.baseline)})
    read = time.perf_counter()
    outcome = simulate(rows, cluster, policy, seed=options.seed)
    measured = measure(outcome, bound=options.bound).document
    print(
        json.dumps(
            {
                "benchmark": "simulate",
                "trace": options.trace.name,
                "order": policy.order.value,
                "durations": policy.durations.value,
                "baseline": policy.baseline.value,
                **{name: value for name, value in measured.items() if name not in _NAMED},
                "read_s": read - began,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
