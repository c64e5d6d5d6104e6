"""Where the search for prices starts: every job is given one pool, and each pool is run as a machine of its own.

Nothing here bounds anything. It decides how far in time the prices reach and how near the search begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.cycle.certificate_case import Case, FloatArray, IntArray, Prices
from scheduler.cycle.certificate_fluid import FluidRun, fluid_prices, run_fluid

#: Bins reach beyond the end of the last machine by this factor: rigid gangs queue for longer.
_HORIZON = 1.3


@dataclass(frozen=True, slots=True)
class Start:
    """One run for each pool, with the sizes of its jobs; none where a pool got no job."""

    runs: tuple[tuple[FluidRun, FloatArray] | None, ...]
    horizon_seconds: float

    @classmethod
    def of(cls, case: Case) -> Start:
        """Divide the jobs and run the pools."""
        pool_of = _divided(case)
        runs = list[tuple[FluidRun, FloatArray] | None]()
        for number, pool in enumerate(case.pools):
            mine = np.flatnonzero(pool_of == number)
            if not len(mine):
                runs.append(None)
                continue
            sizes = case.gpu_seconds[mine] * case.slowdown[case.kind[mine], number]
            runs.append((run_fluid(case.release_seconds[mine], sizes, [pool], by_remaining=False), sizes))
        ends = [float(run[0].end_seconds[-1]) for run in runs if run]
        last = float((case.release_seconds + case.fastest_seconds).max())
        return cls(tuple(runs), _HORIZON * max(ends, default=last))

    def edges(self, bins: int) -> FloatArray:
        """Return the edges of equal bins from the first release to the horizon."""
        return np.linspace(0.0, self.horizon_seconds, bins + 1)

    def prices(self, bins: int) -> Prices:
        """Return the prices of the machines over equal bins."""
        edges = self.edges(bins)
        rows = [np.zeros(bins) if run is None else fluid_prices(run[1], run[0], edges) for run in self.runs]
        return Prices(edges, np.array(rows))


def _divided(case: Case) -> IntArray:
    """Give each job the pool that would be done with it first if work were all that counts; choosy jobs go first.

    -1 where every eligible pool's capacity ends.
    """
    gpus = np.array([float(pool.gpus.max()) if pool.gpus[-1] else 0.0 for pool in case.pools])
    pool_of = np.full(len(case), -1, dtype=np.int64)
    open_to = np.isfinite(case.slowdown) & (gpus > 0)
    busy_seconds = np.zeros(len(gpus))
    choices = open_to.sum(axis=1)[case.kind]
    for job in np.lexsort((-case.gpu_seconds, choices)).tolist():
        allowed = np.flatnonzero(open_to[case.kind[job]])
        if len(allowed):
            added = case.gpu_seconds[job] * case.slowdown[case.kind[job], allowed] / gpus[allowed]
            chosen = int(np.argmin(busy_seconds[allowed] + added))
            busy_seconds[allowed[chosen]] += added[chosen]
            pool_of[job] = allowed[chosen]
    return pool_of
