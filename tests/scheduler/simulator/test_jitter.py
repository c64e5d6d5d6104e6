"""What is published of orders does not hang on the very moments at which jobs came."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulations import cluster_of

from scheduler.simulator.metrics import JobTimes
from scheduler.simulator.policy import Baseline, Policy, parse_policy
from scheduler.simulator.scenario import Scale, build_scenario
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow, Window, cut

#: As in the figures of ``benchmarks.completion``: one group, durations known, preemption free.
POLICY = parse_policy(
    {"order": "least_work", "levels_per_doubling": 4, "free_preemption": True, "minimum_run_seconds": 0}
)


def mean_completion_seconds(rows: list[TraceRow], policy: Policy) -> float:
    """Of all jobs, on 24 GPUs."""
    return float(JobTimes.of(simulate(rows, cluster_of(8, 8, 8), policy)).jct.mean())


@pytest.mark.slow
def test_one_per_cent_of_jitter_in_arrivals_leaves_the_order_of_dure_easy_sjf_and_fifo_as_it_is() -> None:
    made = build_scenario("korea", Scale(nodes=0.0005, days=0.4, load=1.2), 7)
    jobs = [
        replace(each, group="one") for each in made.rows if each.gpus <= 8 and not each.job_id.startswith("pretraining")
    ]
    for seed in range(3):
        rows = cut(jobs, Window(jitter=0.01 if seed else 0.0), seed)
        seconds = {
            each: mean_completion_seconds(rows, POLICY.model_copy(update={"baseline": each}))
            for each in (Baseline.FIFO, Baseline.SJF, Baseline.EASY, Baseline.NONE)
        }
        assert sorted(seconds, key=seconds.__getitem__) == [Baseline.NONE, Baseline.EASY, Baseline.SJF, Baseline.FIFO]
