"""Whether groups had what they are guaranteed when they asked for it: for how long they had not, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scheduler.simulator.simulation import Outcome
from scheduler.simulator.timeline import FloatArray, IntArray, Steps
from scheduler.simulator.workload import ROOT


@dataclass(frozen=True, slots=True, eq=False)
class Owed:
    """Of one group: V (ms), D (device ms), and how long each onset of demand waited for its guarantee (ms)."""

    violation_ms: int
    deficit: int
    waits_ms: IntArray


def owed(asked: Steps, held: Steps, guaranteed: int, end_ms: int) -> Owed:
    """Measure a group that asks for d(t) devices and holds a(t), up to ``end_ms``, with a guarantee of G:

    violation time V = |{t: a < min(d, G)}|, deficit D = ∫ (min(d, G) - a)⁺ dt. An onset is a moment at which min(d, G) rises, or
    a falls below it, while nothing was owed; its time to guarantee lasts until a ≥ min(d, G) again, 0 where that is at once.
    """
    times = np.union1d(asked.times_ms, held.times_ms)
    times = times[times < end_ms]
    wanted = np.minimum(asked.at(times), guaranteed)
    short = np.maximum(wanted - held.at(times), 0)
    lasts = np.diff(times, append=end_ms)
    below = short > 0
    before = np.concatenate(([False], below[:-1]))
    rises = np.diff(wanted, prepend=0) > 0
    onsets = np.flatnonzero(~before & (rises | below))
    met = np.append(times[~below], end_ms)
    waits = met[np.searchsorted(met[:-1], times[onsets])] - times[onsets]
    return Owed(int(lasts[below].sum()), int((short * lasts).sum()), waits.astype(np.int64))


def guarantee_figures(outcome: Outcome, end_ms: int) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Figures of all groups that are guaranteed anything, each with all below it, and of each by its path."""
    by_group: dict[str, dict[str, Any]] = {}
    waits: list[IntArray] = []
    for path, guaranteed in sorted(_guarantees(outcome).items()):
        found = _owed_to(outcome, path, guaranteed, end_ms)
        waits.append(found.waits_ms)
        by_group[path] = {
            "guaranteed": guaranteed,
            "guarantee_violation_s": found.violation_ms / 1000,
            "guarantee_deficit_gpu_hours": found.deficit / 3.6e6,
            **_spread(found.waits_ms),
        }
    whole = {
        "guarantee_violation_s": sum(each["guarantee_violation_s"] for each in by_group.values()),
        "guarantee_deficit_gpu_hours": sum(each["guarantee_deficit_gpu_hours"] for each in by_group.values()),
        **_spread(np.concatenate(waits) if waits else np.zeros(0, np.int64)),
    }
    return whole, by_group


def _owed_to(outcome: Outcome, path: str, guaranteed: int, end_ms: int) -> Owed:
    paths, history = outcome.workload.groups, outcome.history
    own = {number for number, each in enumerate(paths, 1) if each == path or each.startswith(path + ".")}
    jobs = [(job, history.gone_ms(job.id - 1, end_ms)) for job in history.jobs if job.group in own]
    runs = [each for each in history.segments if each.job.group in own]
    asked = Steps.of_spans([(job.submit_ms, gone_ms, job.gpus) for job, gone_ms in jobs])
    held = Steps.of_spans([(each.start_ms, each.end_ms, each.gpus) for each in runs])
    return owed(asked, held, guaranteed, end_ms)


def _guarantees(outcome: Outcome) -> Mapping[str, int]:
    """Devices by path, of all classes together."""
    known = set(outcome.workload.groups)
    found = {path: gpus for path, gpus in outcome.cluster.quota_gpus.items() if path in known and path != ROOT}
    for group in outcome.policy.groups:
        found[group.path] = sum(quota.guaranteed for quota in group.quota.values())
    return {path: gpus for path, gpus in found.items() if gpus}


def _spread(waits_ms: IntArray) -> dict[str, float | None]:
    seconds: FloatArray = waits_ms / 1000
    known = len(seconds) > 0
    return {
        "time_to_guarantee_p50_s": float(np.percentile(seconds, 50)) if known else None,
        "time_to_guarantee_p99_s": float(np.percentile(seconds, 99)) if known else None,
        "time_to_guarantee_max_s": float(seconds.max()) if known else None,
    }
