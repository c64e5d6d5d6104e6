"""A certificate: how early any schedule at all could have completed some jobs, and what GPU time is worth.

Four bounds hold for every schedule, gangs rigid, preemption and moves free of charge, durations known:

* ``duration``: nobody completes before its duration in its fastest pool;
* ``fluid`` and ``busy_time``: all pools melted into one machine (``certificate_fluid``);
* ``prices``: weak duality, for any prices (``certificate_prices``, where the proof stands).

The certificate is the largest of them. Reports divide what was reached by it: "within x % of what any schedule
could do". All are rounded down by more than floating point can have added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scheduler.cycle.certificate_case import Case, CertifiedJobs, FloatArray, PoolCapacity, Prices
from scheduler.cycle.certificate_fluid import busy_time_bound, remaining_bound, run_fluid
from scheduler.cycle.certificate_prices import PriceSearch, price_bound
from scheduler.cycle.certificate_start import Start

#: The search starts with bins this many times as wide, halves them between its stages, and ends with those asked for.
_STAGES = (4, 2, 1)


class Bound(StrEnum):
    """Which argument gave a bound."""

    DURATION = "duration"
    FLUID = "fluid"
    BUSY_TIME = "busy_time"
    PRICES = "prices"


@dataclass(frozen=True, slots=True)
class Certificate:
    """No schedule has a mean of completion less release below ``mean_completion_lower_bound_seconds``.

    ``won`` is the bound that is the largest of ``bounds_seconds``. ``prices`` are the best found: the shadow price of
    a GPU-second in each pool and bin, on the clock of the jobs.
    """

    mean_completion_lower_bound_seconds: float
    won: Bound
    bounds_seconds: Mapping[Bound, float]
    prices: Prices


def certify(
    jobs: CertifiedJobs,
    pools: Sequence[PoolCapacity],
    *,
    prices: Prices | None = None,
    iterations: int = 24,
    bins: int = 256,
) -> Certificate:
    """Bound the mean completion time of ``jobs`` on ``pools`` from below.

    With ``prices`` the search starts from them (the last round's, say, averaged over the new bins); with
    ``iterations=0`` it is they, as they are, that are evaluated. More iterations and bins give a tighter bound. The
    capacity must outlast the jobs. ``ValueError`` where arrays do not fit, or a job may run nowhere.
    """
    case = Case.of(jobs, pools)
    by_size = run_fluid(case.release_seconds, case.gpu_seconds, case.pools, by_remaining=False)
    by_remaining = run_fluid(case.release_seconds, case.gpu_seconds, case.pools, by_remaining=True)
    bounds = {
        Bound.DURATION: _rounded_down_mean(case.fastest_seconds),
        Bound.FLUID: remaining_bound(case, by_remaining),
        Bound.BUSY_TIME: busy_time_bound(case, by_size),
    }
    best = _search(case, prices, iterations, max(bins, 1))
    bounds[Bound.PRICES] = best.mean_completion_seconds
    won = max(bounds, key=lambda bound: bounds[bound])
    edges = best.prices.edges_seconds + case.origin_seconds
    return Certificate(bounds[won], won, bounds, Prices(edges, best.prices.job_seconds_per_gpu_second))


def bound_at_prices(jobs: CertifiedJobs, pools: Sequence[PoolCapacity], prices: Prices) -> float:
    """Return what the price bound alone says at ``prices``, in seconds; it may be negative. Faults as ``certify``."""
    case = Case.of(jobs, pools)
    return price_bound(case, case.checked(prices)).mean_completion_seconds


def _search(case: Case, prices: Prices | None, iterations: int, bins: int) -> PriceSearch:
    """Find prices: coarse bins first, whose result is where finer ones start."""
    if prices is not None and not iterations:
        return PriceSearch.start(case, case.checked(prices))
    start = Start.of(case)
    if prices is not None:
        search = PriceSearch.start(case, case.checked(prices).on(start.edges(bins)))
        search.climb(iterations)
        return search
    stages = [stage for stage in _STAGES if bins >= stage]
    coarse = bins // stages[0]
    search = PriceSearch.start(case, start.prices(coarse))
    for number, stage in enumerate(stages):
        if number:
            search.refine(start.edges(coarse * stages[0] // stage))
        search.climb(iterations // len(stages) + (number < iterations % len(stages)))
    return search


def _rounded_down_mean(seconds: FloatArray) -> float:
    """Return a mean that is no larger than the exact one."""
    return float(seconds.mean()) * (1.0 - float(np.finfo(np.float64).eps) * (len(seconds) + 8))
