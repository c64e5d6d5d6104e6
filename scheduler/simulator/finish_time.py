"""Finish-time fairness: how much longer jobs took than on their own part of the cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from scheduler.simulator.timeline import FloatArray, Steps

#: Above this a job counts as treated unfairly (Zheng et al., Shockwave, NSDI 2023).
UNFAIR_ABOVE = 1.05


def finish_time_fairness(
    submit_ms: FloatArray, end_ms: FloatArray, run_ms: FloatArray, gpus: FloatArray, present: Steps, capacity: Steps
) -> FloatArray:
    """ρ = T_shared / T_indep of every job, arrays of one entry a job; ``present`` counts the jobs that are there.

    T_shared = C - r. T_indep is the time that its work takes on R / N devices, at no more than its own g at once:
    p · max(1, g·N / R), N being the jobs there and R the devices open, both on average from its submission to its end (Mahajan et
    al., Themis, NSDI 2020; N_avg as in Sia, SOSP 2023). 1 where a job takes no time.
    """
    shared = end_ms - submit_ms
    spans = np.maximum(shared, 1.0)
    mean_jobs = (_until(present, end_ms) - _until(present, submit_ms)) / spans
    mean_devices = np.maximum((_until(capacity, end_ms) - _until(capacity, submit_ms)) / spans, 1e-9)
    alone = run_ms * np.maximum(1.0, gpus * mean_jobs / mean_devices)
    found: FloatArray = np.divide(shared, alone, out=np.ones_like(shared), where=alone > 0)
    return found


def _until(steps: Steps, times_ms: FloatArray) -> FloatArray:
    """The integral up to some times."""
    known, values = steps.times_ms.astype(np.float64), steps.values.astype(np.float64)
    if not len(known):
        return np.zeros(len(times_ms))
    reached = np.concatenate(([0.0], np.cumsum(values[:-1] * np.diff(known))))
    at = np.searchsorted(known, times_ms, side="right") - 1
    inside = np.maximum(at, 0)
    found: FloatArray = np.where(at < 0, 0.0, reached[inside] + values[inside] * (times_ms - known[inside]))
    return found


def finish_time_figures(ratios: FloatArray) -> dict[str, Any]:
    """Mean, worst, and the part of jobs above ``UNFAIR_ABOVE``."""
    known = len(ratios) > 0
    return {
        "finish_time_fairness_mean": float(ratios.mean()) if known else None,
        "finish_time_fairness_worst": float(ratios.max()) if known else None,
        "finish_time_unfair_part": float((ratios > UNFAIR_ABOVE).mean()) if known else None,
    }
