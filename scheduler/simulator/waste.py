"""What ending runs cost: of all work, for each job, and for each device that was wanted."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.model.ids import JobId
from scheduler.simulator.history import EndCause, Segment

STOPPED = (EndCause.PREEMPTED, EndCause.MOVED, EndCause.SHRUNK, EndCause.GROWN, EndCause.RECALLED)


def waste_figures(segments: Sequence[Segment]) -> dict[str, Any]:
    """The figures of a history."""
    ran = {each.job.id: each.job for each in segments}
    stopped = sum(each.cause in STOPPED for each in segments)
    lost = [each for each in segments if each.cause in STOPPED and each.lost_ms]
    return {
        "preemption_waste_ratio": waste_ratio(
            [each.lost_ms * each.job.gpus for each in lost], [job.duration_ms * job.gpus for job in ran.values()]
        ),
        "preemptions_a_job": stopped / len(ran) if ran else 0.0,
        "collateral": collateral(segments),
    }


def waste_ratio(lost: Sequence[int], work: Sequence[int]) -> float:
    """Σ g·(lost work + restart) / Σ w: GPU time that stopped runs did in vain or for getting going again, over the GPU time
    w = g·p of all jobs that ran. What nodes that failed destroyed is not counted."""
    whole = sum(work)
    return sum(lost) / whole if whole else 0.0


def collateral(segments: Sequence[Segment]) -> float | None:
    """Σ GPUs of the runs that were ended for a job / Σ GPUs of theirs that it then held, 1 or more; None where none was ended
    so that a job could start.

    The job's start is its first at or after its victims' ends. On each node it holds of theirs what both had of it.
    """
    starts: dict[JobId, list[Segment]] = {}
    for each in segments:
        starts.setdefault(each.job.id, []).append(each)
    for own in starts.values():
        own.sort(key=lambda each: each.start_ms)
    victims: dict[tuple[JobId, int], list[Segment]] = {}
    for each in segments:
        if each.cause is not EndCause.PREEMPTED or each.preemptor is None:
            continue
        own = starts.get(each.preemptor.id, [])
        at = bisect_left(own, each.end_ms, key=lambda start: start.start_ms)
        if at < len(own):
            victims.setdefault((each.preemptor.id, at), []).append(each)
    ended = held = 0
    for (job, at), theirs in victims.items():
        freed = _by_node(theirs)
        ended += sum(freed.values())
        held += sum(min(devices, freed[node]) for node, devices in _by_node([starts[job][at]]).items())
    return ended / held if held else None


def _by_node(segments: Sequence[Segment]) -> Mapping[int, int]:
    found: Counter[int] = Counter()
    for each in segments:
        for node, devices in each.gang:
            found[node] += devices
    return found
