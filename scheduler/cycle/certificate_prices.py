"""The price bound: for any prices of GPU time, no schedule completes jobs earlier on average.

**Theorem.** Let p_k(t) >= 0 be any price of a GPU-second in pool k at time t and R_k(t) its capacity. For job j with
release r, g GPUs, duration d_k in pool k, let d be the least d_k and s_k = d_k / d >= 1. Let q(t) be the least of
g p_k(t) s_k over the pools that may run j, and D_j the least, over C >= d, of C + (the cheapest d seconds of
[r, r + C] at price q). Then the sum of C_j - r_j over jobs is, in every schedule, at least

    sum_j D_j - sum_k integral R_k(t) p_k(t) dt.

**Proof.** Take any schedule; gangs are rigid and may be preempted and moved between pools at any time free of charge.
Let x_jk(t) be 1 while j runs in k and 0 otherwise. Capacity says sum_j g_j x_jk(t) <= R_k(t). Multiply by p_k(t) >= 0
and integrate: what all jobs would pay, sum_j sum_k integral g_j p_k x_jk dt, is at most sum_k integral R_k p_k dt.
So the sum of C_j - r_j is at least the sum of (C_j - r_j + what j pays), less that integral. It remains that the
bracket is at least D_j. Running in k for dt seconds is dt / s_k fast seconds of progress, of which j needs d
before it completes, and pays g p_k dt = (g p_k s_k)(dt / s_k) >= q(t) dt / s_k. As j is in one place at a time and
s_k >= 1, no interval holds more fast seconds than seconds. So j has at least d seconds after its release
(C_j - r_j >= d) and pays at least what the cheapest d seconds before C_j cost at q.  ∎

The proof asks nothing of the prices, so a bad search costs tightness and never truth. If a job shares its GPUs' time
or moves at less than full speed, x is a fraction and the proof is unchanged. The bound keeps each job's own end,
which the average moment of its progress (mean busy time) does not: it is at least as large as the time-indexed
bound from mean busy times at the same prices.

The search ascends in the logarithm of the prices: where more is used than there is a price rises, else it falls.
Use minus capacity is a supergradient of the bound; steps are scaled as in Adam (Kingma, Ba 2015), since prices
differ by orders of magnitude and no line search is worth a second evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.cycle.certificate_case import Case, FloatArray, Prices
from scheduler.cycle.certificate_completion import Completions, cheapest_completions

_EPSILON = float(np.finfo(np.float64).eps)
#: First step of the search in the logarithm of the price, and the number of iterations after which it is halved.
_STEP, _HALVED_AFTER = 0.1, 20.0
#: How much of the last supergradients, and of their squares, is remembered.
_MEMORY, _MEMORY_OF_SQUARES = 0.9, 0.99
#: A price starts at no less than this part of its pool's mean, or a logarithm would never bring it back.
_PRICE_MIN = 1e-3
#: Pools whose price for a job is within about this factor of the cheapest share its use in the search.
_INDIFFERENCE = 0.05


@dataclass(frozen=True, slots=True)
class PriceBound:
    """The bound at some prices, rounded down, and GPU-seconds used less capacity there (pools x bins)."""

    mean_completion_seconds: float
    excess_gpu_seconds: FloatArray
    capacity_gpu_seconds: FloatArray


def price_bound(case: Case, prices: Prices) -> PriceBound:
    """Evaluate the bound at checked prices on the case's clock; O(jobs x bins) at most."""
    edges, price = _covering(case, prices)
    by_kind = _cheapest_by_kind(case, price)
    found = cheapest_completions(case.release_seconds, case.fastest_seconds, case.gpus, case.kind, edges, by_kind)
    rounding = 16.0 * _EPSILON * (len(edges) + 8) * (1.0 + case.gpus * float(price.max())) * float(edges[-1])
    least = np.maximum(found.cost_seconds - rounding, case.fastest_seconds)
    before = np.array([pool.integral(edges) for pool in case.pools])
    capacity = np.maximum(np.diff(before, axis=1), 0.0)
    capacity[:, -1] = 0.0
    steps = max(len(pool.gpus) for pool in case.pools) + 8
    paid = float((capacity * price).sum()) * (1.0 + _EPSILON * (price.size + 8))
    paid += 16.0 * _EPSILON * steps * float(price.sum()) * float(before[:, -2].max())
    mean = (float(least.sum()) * (1.0 - _EPSILON * (len(case) + 8)) - paid) / len(case)
    used = _use(case, price, found)
    skipped = len(edges) - 2 - len(prices.edges_seconds) + 1
    excess = (used - capacity)[:, skipped:-1]
    return PriceBound(mean - _EPSILON * 8 * abs(mean), excess, capacity[:, skipped:-1])


def _covering(case: Case, prices: Prices) -> tuple[FloatArray, FloatArray]:
    """Add free bins before and after, so that every job can be run whole in the last one."""
    edges, price = prices.edges_seconds, prices.job_seconds_per_gpu_second
    if edges[0] > 0.0:
        edges, price = np.concatenate([[0.0], edges]), np.pad(price, ((0, 0), (1, 0)))
    end = max(float(edges[-1]), float(case.release_seconds.max())) + 2.0 * float(case.fastest_seconds.max()) + 1.0
    return np.concatenate([edges, [end]]), np.pad(price, ((0, 0), (0, 1)))


def _cheapest_by_kind(case: Case, price: FloatArray) -> FloatArray:
    """Return what a fast second and GPU costs each kind in the pool that is cheapest for it (kinds x bins)."""
    cheapest = np.empty((len(case.slowdown), price.shape[1]))
    for row, slowdown in enumerate(case.slowdown):
        eligible = np.isfinite(slowdown)
        cheapest[row] = (price[eligible] * slowdown[eligible, np.newaxis]).min(axis=0)
    return cheapest


def _use(case: Case, price: FloatArray, found: Completions) -> FloatArray:
    """Return the GPU-seconds that the completions take of each pool (pools x bins), which only guide the search.

    Pools of about the same price share what is cheapest there, by size, or equal pools would be filled in turn.
    """
    bins = price.shape[1]
    cells = case.kind[found.job] * bins + found.bin
    fast = np.bincount(cells, found.seconds * case.gpus[found.job], minlength=len(case.slowdown) * bins)
    room = np.array([max(float(pool.gpus.max()), 1.0) for pool in case.pools])[:, np.newaxis]
    used = np.zeros_like(price)
    for slowdown, taken in zip(case.slowdown, fast.reshape(-1, bins), strict=True):
        eligible = np.isfinite(slowdown)
        asked = price[eligible] * slowdown[eligible, np.newaxis]
        least = asked.min(axis=0)
        above = (asked - least) / (_INDIFFERENCE * np.maximum(least, 1e-200))
        share = np.exp(-np.minimum(above, 700.0)) * room[eligible]
        used[eligible] += share / share.sum(axis=0) * slowdown[eligible, np.newaxis] * taken
    return used


@dataclass(slots=True)
class PriceSearch:
    """The best prices so far and their bound in seconds; ``climb`` improves them."""

    case: Case
    prices: Prices
    mean_completion_seconds: float

    @classmethod
    def start(cls, case: Case, prices: Prices) -> PriceSearch:
        """Start at checked prices on the case's clock."""
        return cls(case, prices, price_bound(case, prices).mean_completion_seconds)

    def refine(self, edges_seconds: FloatArray) -> None:
        """Go over to other bins; they should divide the present ones, else the bound may fall."""
        self.prices = self.prices.on(edges_seconds)
        self.mean_completion_seconds = price_bound(self.case, self.prices).mean_completion_seconds

    def climb(self, iterations: int) -> None:
        """Take so many steps from the best prices; never ends lower than it began."""
        price = self.prices.job_seconds_per_gpu_second
        floor = np.maximum(price.mean(axis=1, keepdims=True) * _PRICE_MIN, 1e-12)
        logarithm = np.log(np.maximum(price, floor))
        slope, square = np.zeros_like(price), np.zeros_like(price)
        for iteration in range(iterations):
            trial = Prices(self.prices.edges_seconds, np.exp(logarithm))
            found = price_bound(self.case, trial)
            if found.mean_completion_seconds > self.mean_completion_seconds:
                self.prices, self.mean_completion_seconds = trial, found.mean_completion_seconds
            excess = found.excess_gpu_seconds / np.maximum(found.capacity_gpu_seconds, 1.0)
            slope = _MEMORY * slope + (1.0 - _MEMORY) * excess
            square = _MEMORY_OF_SQUARES * square + (1.0 - _MEMORY_OF_SQUARES) * excess**2
            steady = slope / (1.0 - _MEMORY ** (iteration + 1))
            spread = np.sqrt(square / (1.0 - _MEMORY_OF_SQUARES ** (iteration + 1))) + 1e-3
            step = _STEP / (1.0 + iteration / _HALVED_AFTER)
            logarithm = np.clip(logarithm + step * steady / spread, -60.0, 25.0)
