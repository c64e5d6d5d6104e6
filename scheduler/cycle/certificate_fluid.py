"""All pools melted into one machine that can be divided at will: two bounds, and prices to start from.

Whatever a schedule does, its GPUs together process no more than the machine can, so the best of the machine is a
bound. A job's size is its GPU-seconds in its fastest pool.

* Shortest remaining size first completes, by any moment, as many jobs as can be (Schrage 1968; a speed that varies
  only stretches the clock), and so has the least sum of completions.
* A job's progress is spread over time at a rate of at most 1 / duration and is over at its completion C, so its mean
  busy time M, the average moment of its progress, is at most C - duration / 2. Shortest original size first has the
  least sum of M, by exchange, since every GPU-second of a job counts 1 / size (Goemans et al. 2002).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.cycle.certificate_case import Case, FloatArray, IntArray, PoolCapacity

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class FluidRun:
    """What the machine did: segments in the order of time, none while nobody waited.

    ``job``, ``start_seconds``, ``end_seconds``, ``gpu_seconds`` (segments); ``completion_seconds`` (jobs).
    """

    job: IntArray
    start_seconds: FloatArray
    end_seconds: FloatArray
    gpu_seconds: FloatArray
    completion_seconds: FloatArray

    def rounding_seconds(self) -> float:
        """How far rounding may have moved any one completion."""
        return 8.0 * _EPSILON * (len(self.job) + 8) * float(self.end_seconds[-1])


def run_fluid(
    release_seconds: FloatArray, gpu_seconds: FloatArray, pools: Sequence[PoolCapacity], *, by_remaining: bool
) -> FluidRun:
    """Serve the smallest job first, by what remains of it or by what it was; O(jobs log jobs + steps).

    ``ValueError`` where the capacity ends before the jobs do.
    """
    sizes = gpu_seconds.tolist()
    release = release_seconds.tolist()
    order = np.argsort(release_seconds, kind="stable").tolist()
    steps, speeds = _speeds(pools)
    left, done, waiting = list(sizes), [0.0] * len(sizes), list[tuple[float, int]]()
    segments = list[tuple[int, float, float, float]]()
    now, arrived, step = 0.0, 0, 0
    while arrived < len(order) or waiting:
        if not waiting:
            now = max(now, release[order[arrived]])
        while arrived < len(order) and release[order[arrived]] <= now:
            heapq.heappush(waiting, (sizes[order[arrived]], order[arrived]))
            arrived += 1
        while step + 1 < len(steps) and steps[step + 1] <= now:
            step += 1
        _, job = waiting[0]
        event = release[order[arrived]] if arrived < len(order) else np.inf
        event = min(event, steps[step + 1] if step + 1 < len(steps) else np.inf)
        end = now + left[job] / speeds[step] if speeds[step] else np.inf
        if min(end, event) == np.inf:
            raise ValueError("the capacity ends before the jobs do")
        if end <= event:
            segments.append((job, now, end, left[job]))
            heapq.heappop(waiting)
            done[job] = now = end
            continue
        worked = min((event - now) * speeds[step], left[job])
        segments.append((job, now, event, worked))
        left[job] -= worked
        if by_remaining:
            heapq.heapreplace(waiting, (left[job], job))
        now = event
    jobs, starts, ends, work = zip(*segments, strict=True)
    return FluidRun(np.array(jobs), np.array(starts), np.array(ends), np.array(work), np.array(done))


def remaining_bound(case: Case, run: FluidRun) -> float:
    """Return the mean completion after release of a run by remaining size, rounded down, in seconds."""
    return float(np.mean(run.completion_seconds - case.release_seconds)) - run.rounding_seconds()


def busy_time_bound(case: Case, run: FluidRun) -> float:
    """Return the bound by mean busy times of a run by original size, rounded down, in seconds."""
    middle = run.gpu_seconds * (run.start_seconds + run.end_seconds) / 2
    busy = np.bincount(run.job, middle, minlength=len(case)) / case.gpu_seconds
    return float(np.mean(busy + case.fastest_seconds / 2 - case.release_seconds)) - run.rounding_seconds()


def fluid_prices(gpu_seconds: FloatArray, run: FluidRun, edges_seconds: FloatArray) -> FloatArray:
    """Return the price (bins) at which a run by original size is the best one, averaged over each bin.

    While a job of a size is served the price falls by 1 / size a second; it is continuous where a job ends, and where
    one is resumed it goes on from where that job's own line was left.
    """
    sizes = gpu_seconds
    anchor: dict[int, float] = {}
    at_start, at_end = np.zeros(len(run.job)), np.zeros(len(run.job))
    price, later = 0.0, np.inf
    for segment in range(len(run.job) - 1, -1, -1):
        job, start, end = int(run.job[segment]), float(run.start_seconds[segment]), float(run.end_seconds[segment])
        if end < later:
            price = 0.0
        price = max(anchor.setdefault(job, price + end / sizes[job]) - end / sizes[job], 0.0)
        at_end[segment] = price
        price += (end - start) / sizes[job]
        at_start[segment], later = price, start
    area = (at_start + at_end) / 2 * (run.end_seconds - run.start_seconds)
    times = np.ravel(np.column_stack([run.start_seconds, run.end_seconds]))
    before = np.cumsum(area) - area
    paid = np.interp(edges_seconds, times, np.ravel(np.column_stack([before, before + area])))
    return np.asarray(np.maximum(np.diff(paid), 0.0) / np.diff(edges_seconds))


def _speeds(pools: Sequence[PoolCapacity]) -> tuple[list[float], list[float]]:
    """Return the steps of all pools together: from when, and how many GPUs."""
    starts = np.unique(np.concatenate([pool.start_seconds for pool in pools]))
    total = np.zeros(len(starts))
    for pool in pools:
        held = np.concatenate([[0], pool.gpus])
        total += held[np.searchsorted(pool.start_seconds, starts, side="right")]
    return [-np.inf, *starts.tolist()], [0.0, *total.tolist()]
