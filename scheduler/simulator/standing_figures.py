"""Standings of a simulation as figures: where each group's ended, where it counted, and as a curve over time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from quota.decay import FRACTION_BITS
from quota.standing import PARTS, Standing
from scheduler.model.ids import GroupId
from scheduler.simulator.history import StandingChange
from scheduler.simulator.simulation import Outcome
from scheduler.simulator.timeline import FloatArray, IntArray

_HOUR_MS = 3_600_000


def standing_figures(outcome: Outcome, end_ms: int) -> dict[str, dict[str, float]]:
    """By path, of each group that ever lent or surged, with all below it and all GPU classes together: its standing at the end,
    in GPUs on average as ``dure quota show`` has it, GPU-hours that it lent and held above its share in all, and GPUs that rounds
    started for the group itself because of standings, and that they would have started without any."""
    history, found = outcome.history, dict[str, dict[str, float]]()
    for group, changes in sorted(_by_group(outcome).items()):
        found[outcome.workload.groups[group - 1]] = {
            "standing_gpus": float(standing_curve(outcome, group, np.array([end_ms]))[0]),
            "lent_gpu_hours": _hours([(each, each.lends) for each in changes], end_ms),
            "surged_gpu_hours": _hours([(each, each.surges) for each in changes], end_ms),
            "sooner_gpus": history.sooner_gpus[group],
            "later_gpus": history.later_gpus[group],
        }
    return found


def standing_curve(outcome: Outcome, group: GroupId, times_ms: IntArray) -> FloatArray:
    """A group's standing at some times, ascending: GPUs lent on average, recent ones most, less those above its share."""
    decay, found = outcome.policy.decay, np.zeros(len(times_ms))
    one_gpu = PARTS * decay.half_life_ms << FRACTION_BITS
    by_class: defaultdict[str, list[StandingChange]] = defaultdict(list)
    for each in _by_group(outcome).get(group, ()):
        by_class[each.gpu_class].append(each)
    for changes in by_class.values():
        standing, told = Standing.none(changes[0].at_ms), 0
        for at, time_ms in enumerate(times_ms.tolist()):
            while told < len(changes) and changes[told].at_ms <= time_ms:
                each = changes[told]
                standing = standing.at(decay, each.at_ms).counting(each.lends, each.surges)
                told += 1
            if time_ms >= standing.at_ms:
                now = standing.at(decay, time_ms)
                found[at] += (now.lent.amount - now.surged.amount) / one_gpu
    return found


def _by_group(outcome: Outcome) -> dict[GroupId, list[StandingChange]]:
    found: defaultdict[GroupId, list[StandingChange]] = defaultdict(list)
    for each in outcome.history.standings:
        found[each.group].append(each)
    return dict(found)


def _hours(parts: list[tuple[StandingChange, int]], end_ms: int) -> float:
    """GPU-hours of rates in thousandths of GPUs, each until the next one of its class."""
    total, rates = 0, dict[str, tuple[int, int]]()
    for change, rate in parts:
        since_ms, before = rates.get(change.gpu_class, (change.at_ms, 0))
        total += before * (change.at_ms - since_ms)
        rates[change.gpu_class] = change.at_ms, rate
    total += sum(rate * max(end_ms - since_ms, 0) for since_ms, rate in rates.values())
    return total / PARTS / _HOUR_MS
