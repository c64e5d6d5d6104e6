"""Tiny sets of jobs and pools for certificates, the exact optimum of each, and the price theorem word by word."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from hypothesis import strategies as st

from scheduler.cycle.certificate_case import CertifiedJobs, PoolCapacity, Prices

NEVER = 10**6


@dataclass(frozen=True, slots=True)
class TinyCase:
    """Whole numbers throughout. ``durations[job][pool]`` is None where not eligible; ``steps[pool]`` are (from, GPUs)."""

    release: tuple[int, ...]
    gpus: tuple[int, ...]
    durations: tuple[tuple[int | None, ...], ...]
    steps: tuple[tuple[tuple[int, int], ...], ...]

    def jobs(self) -> CertifiedJobs:
        """As the product takes them."""
        durations = [[np.inf if each is None else float(each) for each in row] for row in self.durations]
        return CertifiedJobs(np.array(self.release, dtype=float), np.array(durations), np.array(self.gpus))

    def pools(self) -> list[PoolCapacity]:
        """As the product takes them."""
        return [PoolCapacity(*(np.array(column) for column in zip(*steps, strict=True))) for steps in self.steps]

    def capacity(self, pool: int, time: int) -> int:
        """GPUs of a pool at a time."""
        return max(((begin, gpus) for begin, gpus in self.steps[pool] if begin <= time), default=(0, 0))[1]


@st.composite
def tiny_cases(draw: st.DrawFn, jobs_max: int = 3, durations: Sequence[int] = (1, 2, 3, 4)) -> TinyCase:
    """One to three pools whose last step holds every gang, so that all jobs can end."""
    pools = draw(st.integers(1, 2))
    jobs = draw(st.integers(1, jobs_max))
    gpus = tuple(draw(st.integers(1, 3)) for _ in range(jobs))
    rows = []
    for _ in range(jobs):
        row = [draw(st.none() | st.sampled_from(durations)) for _ in range(pools)]
        row[draw(st.integers(0, pools - 1))] = draw(st.sampled_from(durations))
        rows.append(tuple(row))
    steps = []
    for _ in range(pools):
        starts = sorted(draw(st.sets(st.integers(1, 4), max_size=2)) | {0})
        held = [draw(st.integers(0, 4)) for _ in starts[:-1]] + [draw(st.integers(max(gpus), 4))]
        steps.append(tuple(zip(starts, held, strict=True)))
    release = tuple(draw(st.integers(0, 4)) for _ in range(jobs))
    return TinyCase(release, gpus, tuple(rows), tuple(steps))


@st.composite
def tiny_prices(draw: st.DrawFn, pools: int) -> Prices:
    """Bins on whole quarters of a second, some free of charge, not always from the first release on."""
    widths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
    first = draw(st.integers(-2, 3))
    edges = first + np.cumsum([0, *widths]) / 4
    price = [[draw(st.sampled_from((0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 2.5))) for _ in widths] for _ in range(pools)]
    return Prices(edges, np.array(price))


def least_mean_completion(case: TinyCase) -> Fraction:
    """Try every schedule that changes at whole seconds: each job, each second, in any eligible pool or none."""

    @cache
    def least(time: int, left: tuple[Fraction, ...]) -> Fraction:
        if not any(left):
            return Fraction(0)
        if time > 4 + sum(max(each for each in row if each) for row in case.durations):
            return Fraction(NEVER)
        best = Fraction(NEVER)
        for places in _assignments(case, time, left):
            after, cost = list(left), Fraction(0)
            for job, pool in enumerate(places):
                if pool is None:
                    continue
                duration = case.durations[job][pool] or 0
                after[job] = max(left[job] - Fraction(1, duration), Fraction(0))
                if not after[job]:
                    cost += time + left[job] * duration - case.release[job]
            best = min(best, cost + least(time + 1, tuple(after)))
        return best

    return least(0, (Fraction(1),) * len(case.gpus)) / len(case.gpus)


def _assignments(case: TinyCase, time: int, left: tuple[Fraction, ...]) -> Iterator[tuple[int | None, ...]]:
    """Every way to place the jobs for one second within the capacities."""
    choices = []
    for job, row in enumerate(case.durations):
        ready = left[job] and case.release[job] <= time
        choices.append([None, *(pool for pool, each in enumerate(row) if each is not None)] if ready else [None])
    for places in itertools.product(*choices):
        held = [sum(case.gpus[job] for job, at in enumerate(places) if at == pool) for pool in range(len(case.steps))]
        if all(gpus <= case.capacity(pool, time) for pool, gpus in enumerate(held)):
            yield places


def theorem(case: TinyCase, prices: Prices) -> Fraction:
    """The price bound by its definition, in exact fractions."""
    edges = [Fraction(each) for each in prices.edges_seconds.tolist()]
    rows = [[Fraction(each) for each in row] for row in prices.job_seconds_per_gpu_second.tolist()]
    total = Fraction(0)
    for job, durations in enumerate(case.durations):
        fastest = min(each for each in durations if each is not None)
        stretches = []
        for low, high, prices_now in _bins(edges, rows):
            begin, end = max(low - case.release[job], Fraction(0)), high - case.release[job]
            asked = [
                case.gpus[job] * price * Fraction(duration, fastest)
                for price, duration in zip(prices_now, durations, strict=True)
                if duration is not None
            ]
            if end > begin:
                stretches.append((begin, end, min(asked)))
        total += cheapest_completion(stretches, Fraction(fastest))
    for pool, row in enumerate(rows):
        for low, high, price in zip(edges, edges[1:], row, strict=False):
            total -= price * _gpu_seconds(case, pool, low, high)
    return total / len(case.gpus)


def cheapest_completion(stretches: Sequence[tuple[Fraction, Fraction, Fraction]], need: Fraction) -> Fraction:
    """Try every end of a stretch (begin, end, price), and for each price the end if one runs whenever it is no dearer."""
    ends = {end for _, end, _ in stretches if end >= need} | {need}
    for limit in {price for _, _, price in stretches}:
        missing = need
        for begin, end, price in stretches:
            if price <= limit and missing > 0:
                if end - begin >= missing:
                    ends.add(begin + missing)
                missing -= end - begin
    return min(end + _cheapest_seconds(stretches, need, end) for end in ends)


def _cheapest_seconds(
    stretches: Sequence[tuple[Fraction, Fraction, Fraction]], need: Fraction, until: Fraction
) -> Fraction:
    """What the cheapest ``need`` seconds before ``until`` cost."""
    spent = Fraction(0)
    for begin, end, price in sorted(stretches, key=lambda stretch: stretch[2]):
        taken = min(max(min(end, until) - begin, Fraction(0)), need)
        spent, need = spent + taken * price, need - taken
    return spent


def _bins(
    edges: Sequence[Fraction], rows: Sequence[Sequence[Fraction]]
) -> Iterator[tuple[Fraction, Fraction, list[Fraction]]]:
    """The bins with the prices of all pools, and the free time before and after."""
    free = [Fraction(0)] * len(rows)
    yield Fraction(-NEVER), edges[0], free
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        yield low, high, [row[number] for row in rows]
    yield edges[-1], Fraction(NEVER), free


def _gpu_seconds(case: TinyCase, pool: int, low: Fraction, high: Fraction) -> Fraction:
    """The integral of a pool's capacity."""
    cuts = sorted({low, high, *(Fraction(begin) for begin, _ in case.steps[pool] if low < begin < high)})
    return sum(
        ((end - begin) * case.capacity(pool, int(begin // 1)) for begin, end in itertools.pairwise(cuts)), Fraction(0)
    )
