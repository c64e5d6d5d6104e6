"""What a schedule is worth. With arrival r, completion C, run time alone p, devices g, of the jobs that completed:

completion time JCT = C - r; wait W = JCT - p, so restarts and waiting again count as waiting; bounded slowdown
max(1, (W + p) / max(p, tau)). Utilisation is the integral of what is allocated over that of what is open, from the first
submission to the last one. A lost GPU-second is run time that made no progress: restarts, and work in no checkpoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduler.simulator.bound import lower_bound_mean_jct_seconds
from scheduler.simulator.entitlement import Entitlement, entitlement
from scheduler.simulator.figures import goodput, more_figures
from scheduler.simulator.guarantees import guarantee_figures
from scheduler.simulator.simulation import Outcome
from scheduler.simulator.standing_figures import standing_figures
from scheduler.simulator.timeline import FloatArray, Timeline, timeline
from scheduler.simulator.waste import STOPPED

#: Smallest devices of each size class, and how the class is called.
SIZE_CLASSES = ((1, "1"), (2, "2-8"), (9, "9-64"), (65, "65-512"), (513, "513+"))
SLOWDOWN_SECONDS = 10.0
SLOWDOWN_SECONDS_TRAINING = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The figures as one JSON document, and the curves behind them."""

    document: dict[str, Any]
    line: Timeline
    entitlement: Entitlement


def measure(outcome: Outcome, *, bound: bool = True) -> Measured:
    """Every figure of an outcome; ``bound`` works out the lower bound as well, which may take long."""
    history, line = outcome.history, timeline(outcome)
    share = entitlement(outcome, line)
    lower = lower_bound_mean_jct_seconds(outcome) if bound else None
    times = JobTimes.of(outcome)
    whole = times.summary(np.ones(len(times.jct), dtype=np.bool_))
    span_ms = max(line.last_ms, line.begin_ms + 1)
    guaranteed, guaranteed_by_group = guarantee_figures(outcome, line.end_ms)
    causes = Counter(each.cause for each in history.segments)
    document: dict[str, Any] = {
        "jobs": len(history.jobs),
        "left_out": dict(sorted(outcome.workload.left_out.items())),
        "not_started": len(history.jobs) - len({each.job.id for each in history.segments}),
        "cancelled": dict(sorted(Counter(how.cause.value for how in history.cancelled.values()).items())),
        **whole,
        "utilisation": _ratio(
            line.allocated.integral(line.begin_ms, span_ms), line.capacity.integral(line.begin_ms, span_ms)
        ),
        "utilisation_to_end": _ratio(
            line.allocated.integral(line.begin_ms, line.end_ms), line.capacity.integral(line.begin_ms, line.end_ms)
        ),
        "allocation_share_max": _share_max(line),
        "makespan_s": (line.end_ms - line.begin_ms) / 1000,
        "partly_used_nodes_mean": float(line.partly_used.mean()) / len(outcome.cluster.nodes),
        "preemptions": sum(causes[cause] for cause in STOPPED),
        "segment_causes": {cause.value: count for cause, count in sorted(causes.items())},
        "recalled_nodes": dict(zip(("asked", "granted"), history.recalled_nodes, strict=True)),
        "lender_credits": None if history.lender_credits is None else float(history.lender_credits),
        "gpu_seconds_lost": sum(each.lost_ms * each.job.gpus for each in history.segments) / 1000,
        "lower_bound_mean_jct_s": lower,
        "times_the_bound": None if not lower or whole["mean_jct_s"] is None else whole["mean_jct_s"] / lower,
        "jain_index": share.jain,
        **more_figures(outcome, line),
        **guaranteed,
        "by_size": _by_size(outcome, times, line),
        "by_group": _by_group(outcome, times, share, guaranteed_by_group),
        "standing": standing_figures(outcome, line.end_ms) if outcome.policy.standing else None,
        "devices": outcome.cluster.devices,
        "wall_s": outcome.wall_seconds,
        "rounds": history.rounds,
        "seconds": dict(history.seconds),
        **_round_times(history.round_seconds),
    }
    return Measured(document, line, share)


@dataclass(frozen=True, slots=True, eq=False)
class JobTimes:
    """Completed jobs as arrays, in seconds; one entry a job."""

    submit: FloatArray
    jct: FloatArray
    wait: FloatArray
    duration: FloatArray
    gpus: NDArray[np.int64]
    group: NDArray[np.int64]

    @staticmethod
    def of(outcome: Outcome) -> JobTimes:
        """The completed jobs of an outcome, by id."""
        history = outcome.history
        done = sorted(history.ends_ms)
        jobs = [history.jobs[index] for index in done]
        submit = np.array([job.submit_ms for job in jobs], dtype=np.float64) / 1000
        end = np.array([history.ends_ms[index] for index in done], dtype=np.float64) / 1000
        duration = np.array([job.duration_ms for job in jobs], dtype=np.float64) / 1000
        return JobTimes(
            submit,
            end - submit,
            end - submit - duration,
            duration,
            np.array([job.gpus for job in jobs], dtype=np.int64),
            np.array([job.group for job in jobs], dtype=np.int64),
        )

    def slowdown(self, seconds: float) -> FloatArray:
        """Bounded slowdown, one entry a job."""
        found: FloatArray = np.maximum(1.0, self.jct / np.maximum(self.duration, seconds))
        return found

    def summary(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        """Figures of some jobs; None where there are none."""
        jct, wait = self.jct[chosen], self.wait[chosen]
        short, long = self.slowdown(SLOWDOWN_SECONDS)[chosen], self.slowdown(SLOWDOWN_SECONDS_TRAINING)[chosen]
        return {
            "completed": int(chosen.sum()),
            "mean_jct_s": _mean(jct),
            "p50_jct_s": _percentile(jct, 50),
            "p95_jct_s": _percentile(jct, 95),
            "p99_jct_s": _percentile(jct, 99),
            "mean_wait_s": _mean(wait),
            "p50_wait_s": _percentile(wait, 50),
            "p99_wait_s": _percentile(wait, 99),
            "bounded_slowdown_mean": _mean(short),
            "bounded_slowdown_600_mean": _mean(long),
            "bounded_slowdown_p99": _percentile(short, 99),
            "mean_duration_s": _mean(self.duration[chosen]),
            "gpu_seconds": float((self.duration * self.gpus)[chosen].sum()),
        }


def _by_size(outcome: Outcome, times: JobTimes, line: Timeline) -> dict[str, dict[str, Any]]:
    """Figures by size class, those without jobs left out."""
    found = {}
    for number, (least, name) in enumerate(SIZE_CLASSES):
        most = SIZE_CLASSES[number + 1][0] - 1 if number + 1 < len(SIZE_CLASSES) else None
        chosen = times.gpus >= least
        if most is not None:
            chosen &= times.gpus <= most
        if chosen.any():
            found[name] = times.summary(chosen) | {"scheduling_goodput": goodput(outcome, line, least, most)}
    return found


def _by_group(
    outcome: Outcome, times: JobTimes, share: Entitlement, guaranteed: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    found = {}
    for index, path in enumerate(outcome.workload.groups):
        chosen = times.group == index + 1
        if share.had_hours[index] or share.entitled_hours[index] or chosen.any() or path in guaranteed:
            found[path] = {
                **times.summary(chosen),
                "entitled_gpu_hours": float(share.entitled_hours[index]),
                "had_gpu_hours": float(share.had_hours[index]),
                "deficit_gpu_hours": float(share.deficit_hours[index]),
                "worst_lag_gpu_hours": float(share.worst_lag_hours[index]),
                **guaranteed.get(path, {}),
            }
    return found


def _share_max(line: Timeline) -> float:
    times = np.union1d(line.allocated.times_ms, line.capacity.times_ms)
    allocated, capacity = line.allocated.at(times), line.capacity.at(times)
    known = capacity > 0
    return float((allocated[known] / capacity[known]).max(initial=0.0))


def _round_times(seconds: list[float]) -> dict[str, float | None]:
    values = np.array(seconds)
    return {
        "round_p50_s": _percentile(values, 50),
        "round_p99_s": _percentile(values, 99),
        "round_max_s": float(values.max()) if len(values) else None,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None


def _percentile(values: FloatArray, percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None
