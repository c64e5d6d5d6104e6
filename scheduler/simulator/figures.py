"""What a schedule is worth beside completion times: what groups and lenders had, what was wasted, and what could have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scheduler.simulator.ceiling import scheduling_goodput, utilisation_ceiling
from scheduler.simulator.finish_time import finish_time_fairness, finish_time_figures
from scheduler.simulator.locality import localities
from scheduler.simulator.returns import return_figures
from scheduler.simulator.simulation import Outcome
from scheduler.simulator.timeline import FloatArray, Steps, Timeline
from scheduler.simulator.waste import waste_figures


def more_figures(outcome: Outcome, line: Timeline) -> dict[str, Any]:
    """All of them, those of groups and of size classes apart."""
    history, span_ms = outcome.history, max(line.last_ms, line.begin_ms + 1)
    ceiling = (
        None if outcome.policy.speeds else utilisation_ceiling(_demand(outcome), line.capacity, line.begin_ms, span_ms)
    )
    used, open_ = (each.integral(line.begin_ms, span_ms) for each in (line.allocated, line.capacity))
    return {
        **waste_figures(history.segments),
        **return_figures(history.recalls, history.segments, line.end_ms),
        "utilisation_ceiling": ceiling,
        "part_of_ceiling": used / open_ / ceiling if ceiling and open_ else None,
        "stranding_mean": {
            level.value: {str(block): float(curve.mean()) for block, curve in by_block.items()}
            for level, by_block in line.stranded.items()
        },
        "locality": localities(outcome),
        **finish_time_figures(_finish_times(outcome, line)),
    }


def goodput(outcome: Outcome, line: Timeline, gpus_min: int, gpus_max: int | None) -> float | None:
    """Scheduling goodput of gangs with so many devices, from the first submission to the last."""

    def is_one(gpus: int) -> bool:
        return gpus_min <= gpus and (gpus_max is None or gpus <= gpus_max)

    history = outcome.history
    runs = [(each.start_ms, each.end_ms, each.job.gpus) for each in history.segments if is_one(each.job.gpus)]
    asked = [
        (job.submit_ms, history.gone_ms(index, line.end_ms), job.gpus)
        for index, job in enumerate(history.jobs)
        if is_one(job.gpus)
    ]
    span_ms = max(line.last_ms, line.begin_ms + 1)
    return scheduling_goodput(Steps.of_spans(runs), Steps.of_spans(asked), line.capacity, line.begin_ms, span_ms)


def _demand(outcome: Outcome) -> Steps:
    """Devices of all jobs if each ran alone from its submission on, an elastic one with all that it can have."""
    spans: list[tuple[int, int, int]] = []
    for job in outcome.history.jobs:
        shape = outcome.workload.shapes[job.shape]
        most = shape.workers_most * shape.gpus_per_worker
        spans.append((job.submit_ms, job.submit_ms - (-job.duration_ms * job.gpus // most), most))
    return Steps.of_spans(spans)


def _finish_times(outcome: Outcome, line: Timeline) -> FloatArray:
    history = outcome.history
    present = Steps.of_spans(
        [(job.submit_ms, history.gone_ms(at, line.end_ms), 1) for at, job in enumerate(history.jobs)]
    )
    done = sorted(history.ends_ms)
    jobs = [history.jobs[index] for index in done]

    def of_jobs(values: Sequence[int]) -> FloatArray:
        return np.array(values, dtype=np.float64)

    return finish_time_fairness(
        of_jobs([job.submit_ms for job in jobs]),
        of_jobs([history.ends_ms[index] for index in done]),
        of_jobs([job.duration_ms for job in jobs]),
        of_jobs([job.gpus for job in jobs]),
        present,
        line.capacity,
    )
