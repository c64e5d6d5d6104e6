"""What a certificate is about: jobs, the pools that may run them, and a price for each pool and bin of time.

Times are seconds on any common clock, in floating point: nothing here decides who gets what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Slowdowns are rounded down to this grid, so that jobs fall into few kinds; down is the safe side.
_SLOWDOWN_STEPS = 256.0
#: Far above any price that a bound can gain from, and far below where products overflow.
_PRICE_MAX = 1e12


@dataclass(frozen=True, slots=True)
class CertifiedJobs:
    """The jobs whose mean completion is bounded.

    ``release_seconds`` (jobs) is when each could first run and ``gpus`` (jobs) what its gang holds while it runs.
    ``duration_seconds`` (jobs, or jobs x pools) is how long it would run alone in each pool; infinite where it
    may not run.
    """

    release_seconds: FloatArray
    duration_seconds: FloatArray
    gpus: IntArray


@dataclass(frozen=True, slots=True)
class PoolCapacity:
    """GPUs of one class at one site, as steps: ``gpus[i]`` from ``start_seconds[i]`` on, none before the first."""

    start_seconds: FloatArray
    gpus: IntArray

    def integral(self, at_seconds: FloatArray) -> FloatArray:
        """Return the GPU-seconds that there are before each of ``at_seconds``."""
        whole = np.concatenate([[0.0], np.cumsum(self.gpus[:-1] * np.diff(self.start_seconds))])
        step = np.maximum(np.searchsorted(self.start_seconds, at_seconds, side="right") - 1, 0)
        return np.asarray(whole[step] + self.gpus[step] * np.maximum(at_seconds - self.start_seconds[step], 0.0))


@dataclass(frozen=True, slots=True)
class Prices:
    """A nonnegative price for each pool and bin; zero outside the bins.

    ``job_seconds_per_gpu_second`` (pools x bins) says by how much one more GPU-second there and then would lower
    the sum of all completion times, at the optimum of the relaxation. ``edges_seconds`` (bins + 1) grows strictly.
    """

    edges_seconds: FloatArray
    job_seconds_per_gpu_second: FloatArray

    def on(self, edges_seconds: FloatArray) -> Prices:
        """Return the average of these prices over each of other bins."""
        paid = np.cumsum(self.job_seconds_per_gpu_second * np.diff(self.edges_seconds), axis=1)
        paid = np.concatenate([np.zeros((len(paid), 1)), paid], axis=1)
        spread = np.array([np.interp(edges_seconds, self.edges_seconds, row) for row in paid])
        return Prices(edges_seconds, np.maximum(np.diff(spread, axis=1), 0.0) / np.diff(edges_seconds))


@dataclass(frozen=True, slots=True)
class Case:
    """Jobs and pools, checked, with the clock set to zero at the first release.

    ``fastest_seconds`` (jobs) is the duration in the fastest pool. Jobs that are slower by the same factors are of
    one kind: ``slowdown`` (kinds x pools) holds the factors, at least 1, infinite where not eligible; ``kind``
    (jobs) is the row of each job.
    """

    origin_seconds: float
    release_seconds: FloatArray
    fastest_seconds: FloatArray
    gpus: FloatArray
    slowdown: FloatArray
    kind: IntArray
    pools: tuple[PoolCapacity, ...]

    @classmethod
    def of(cls, jobs: CertifiedJobs, pools: Sequence[PoolCapacity]) -> Case:
        """Check and convert; ``ValueError`` says what is wrong with the arrays."""
        release = np.asarray(jobs.release_seconds, dtype=np.float64)
        gpus = np.asarray(jobs.gpus, dtype=np.float64)
        duration = np.asarray(jobs.duration_seconds, dtype=np.float64)
        if duration.ndim == 1:
            duration = np.repeat(duration[:, np.newaxis], len(pools), axis=1)
        if not len(release) or release.shape != gpus.shape or duration.shape != (len(release), len(pools)):
            raise ValueError(f"shapes do not fit: {release.shape}, {gpus.shape}, {duration.shape}, {len(pools)} pools")
        fastest = duration.min(axis=1)
        if not (np.isfinite(release).all() and np.isfinite(fastest).all() and (duration > 0).all()):
            raise ValueError("every job needs a finite release and a positive finite duration in some pool")
        if not (np.isfinite(gpus).all() and (gpus > 0).all()):
            raise ValueError("every job needs GPUs")
        origin = float(release.min())
        slowdown = np.maximum(np.floor(duration / fastest[:, np.newaxis] * _SLOWDOWN_STEPS) / _SLOWDOWN_STEPS, 1.0)
        kinds, kind = np.unique(slowdown, axis=0, return_inverse=True)
        moved = tuple(_checked(pool, origin) for pool in pools)
        return cls(origin, release - origin, fastest, gpus, kinds, kind.reshape(-1).astype(np.int64), moved)

    def __len__(self) -> int:
        return len(self.release_seconds)

    @property
    def gpu_seconds(self) -> FloatArray:
        """The least that each job takes of all pools together (jobs)."""
        return self.gpus * self.fastest_seconds

    def checked(self, prices: Prices) -> Prices:
        """Return prices on this case's clock; ``ValueError`` where they cannot be prices of these pools."""
        edges = np.asarray(prices.edges_seconds, dtype=np.float64) - self.origin_seconds
        price = np.asarray(prices.job_seconds_per_gpu_second, dtype=np.float64)
        if price.shape != (len(self.pools), len(edges) - 1) or not (np.diff(edges) > 0).all():
            raise ValueError(f"prices of shape {price.shape} do not fit {len(self.pools)} pools, {len(edges)} edges")
        if not ((price >= 0).all() and (price <= _PRICE_MAX).all() and np.isfinite(edges).all()):
            raise ValueError(f"prices are not negative, and at most {_PRICE_MAX:g}")
        return Prices(edges, price)


def _checked(pool: PoolCapacity, origin_seconds: float) -> PoolCapacity:
    """Return a capacity on the clock of the first release."""
    start = np.asarray(pool.start_seconds, dtype=np.float64)
    gpus = np.asarray(pool.gpus, dtype=np.int64)
    if not len(start) or start.shape != gpus.shape or not (np.diff(start) > 0).all() or (gpus < 0).any():
        raise ValueError("a capacity is steps of growing time and GPUs that are not negative")
    return PoolCapacity(start - origin_seconds, gpus)
