"""What one more GPU would be worth to those who wait: dual prices of the certificate, for each site and GPU class.

The case is the moment: every waiting job, released now, on what live runs leave of each pool until they end. The price
of a pool says by how much one more GPU-hour there within the next hour would lower the sum of all completion times. That
holds of the relaxation, at its optimum, and rather too much than too little is said: where GPUs are just enough, between what
one more would spare and what one less would cost. Nothing is decided by it; it says where waiting comes from.

A job may run wherever its class may be served: by policy, contract, checkpoint, refusals and the sector terms of lent
nodes. It runs as long as like jobs did, else for its walltime; one of which neither is known is counted in
``without_time`` and left out. A live run ends when it likely does; one of which nobody can tell is thought to run as long again
as it has. Capacity stays as it is lent now. Quotas are not looked at: a job that only its quota keeps waiting counts like
others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.cycle.certificate import certify
from scheduler.cycle.certificate_case import CertifiedJobs, FloatArray, PoolCapacity
from scheduler.cycle.facts import ClassKey
from scheduler.cycle.prediction import left_ms
from scheduler.cycle.snapshot import SitePool, Snapshot, takes_work
from scheduler.cycle.stay import PLAIN, Terms
from scheduler.cycle.waiting import NO_TIME
from scheduler.model.ids import SiteId
from scheduler.placement.pool import BoolArray, IntArray

PoolKey = tuple[SiteId, str]

#: A price is the mean over so long from now.
PRICED_SECONDS = 3600.0
_WALLTIME, _EXPECTED = 3, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrices:
    """``waiting`` jobs, of which ``without_time`` are left out. ``by_pool`` is hours of waiting saved by a GPU-hour, for every
    site and class that takes work now; None where more wait than are looked at."""

    waiting: int
    without_time: int
    by_pool: Mapping[PoolKey, float] | None


def shadow_prices(snapshot: Snapshot, *, waiting_max: int, iterations: int = 24, bins: int = 256) -> ShadowPrices:
    """Price the pools of a moment. At most ``waiting_max`` waiting jobs are looked at."""
    rows = snapshot.table.rows.tolist()
    waiting = int((snapshot.table.stop - snapshot.table.start)[rows].sum())
    keys = [key for key, pool in snapshot.pools.items() if pool.gpus and takes_work(snapshot.sites[key[0]])]
    if waiting > waiting_max:
        return ShadowPrices(waiting=waiting, without_time=0, by_pool=None)
    jobs, without_time = _jobs(snapshot, rows, [snapshot.pools[key] for key in keys])
    prices = [0.0] * len(keys)
    if jobs is not None:
        held = _held(snapshot)
        pools = [_capacity(snapshot.pools[key].gpus, held.get(key, Counter())) for key in keys]
        found = certify(jobs, pools, iterations=iterations, bins=bins)
        hour = found.prices.on(np.array([0.0, PRICED_SECONDS]))
        prices = hour.job_seconds_per_gpu_second[:, 0].tolist()
    return ShadowPrices(waiting=waiting, without_time=without_time, by_pool=dict(zip(keys, prices, strict=True)))


def _jobs(snapshot: Snapshot, rows: Iterable[int], pools: Sequence[SitePool]) -> tuple[CertifiedJobs | None, int]:
    """The waiting jobs that could run somewhere, None where there are none; and how many have no known time."""
    durations, gpus, without_time = list[FloatArray](), list[IntArray](), 0
    for row in rows:
        key = snapshot.table.key(row)
        turns = snapshot.table.turns[:, snapshot.table.start[row] : snapshot.table.stop[row]]
        seconds = np.where(turns[_EXPECTED] == NO_TIME, turns[_WALLTIME], turns[_EXPECTED]) / 1000
        known = turns[[_WALLTIME, _EXPECTED]].max(axis=0) != NO_TIME
        without_time += int((~known).sum())
        eligible = _eligible(snapshot, key, pools)
        if not eligible.any():
            continue
        seconds = np.maximum(seconds[known], 1.0)
        durations.append(np.where(eligible, seconds[:, np.newaxis], np.inf))
        gpus.append(np.full(len(seconds), snapshot.shapes[key.shape].gpus, np.int64))
    count = sum(map(len, gpus))
    if not count:
        return None, without_time
    return CertifiedJobs(np.zeros(count), np.concatenate(durations), np.concatenate(gpus)), without_time


def _eligible(snapshot: Snapshot, key: ClassKey, pools: Iterable[SitePool]) -> BoolArray:
    """Which of the pools may serve a class whole."""
    shape, sector = snapshot.shapes[key.shape], snapshot.groups[key.group].sector
    clearance, candidates = snapshot.clearance(key.group, shape), snapshot.candidates(shape)
    groups = snapshot.path(key.group)

    def serves(pool: SitePool) -> bool:
        site = snapshot.sites[pool.site]
        return (
            pool.gpu_class in candidates
            and pool.gpus >= shape.gpus
            and key.bound_site in (None, pool.site)
            and pool.site not in key.refused_by
            and snapshot.rule_against(clearance, site) is None
            and any(terms.lets_in(sector, shape.data_class, groups) for terms in _terms(snapshot, pool))
        )

    return np.array([serves(pool) for pool in pools], dtype=np.bool_)


def _terms(snapshot: Snapshot, pool: SitePool) -> Iterable[Terms]:
    """On which terms a pool's nodes are lent."""
    if pool.pool.terms is None or pool.pool.until_ms is None:
        return (PLAIN,)
    return [snapshot.terms[each] for each in np.unique(pool.pool.terms[pool.pool.until_ms > 0]).tolist()]


def _held(snapshot: Snapshot) -> dict[PoolKey, Counter[int]]:
    """GPUs that runs and earmarks hold, by the milliseconds from now for which they do."""
    now_ms, found = snapshot.now_ms, dict[PoolKey, Counter[int]]()
    for run in snapshot.runs.values():
        end_ms = run.likely_end_ms(now_ms)
        lasts_ms = left_ms(None, now_ms - run.started_ms) if end_ms is None else end_ms - now_ms
        found.setdefault((run.site, run.gpu_class), Counter())[max(lasts_ms, 1)] += run.gpus
    for earmark in snapshot.earmarks.values():
        job = earmark.job
        lasts_ms = job.expected_ms or job.walltime_ms or 1
        gpus = earmark.workers * snapshot.shapes[job.shape].gpus_per_worker
        found.setdefault((earmark.site, earmark.gpu_class), Counter())[lasts_ms] += gpus
    return found


def _capacity(gpus: int, held: Mapping[int, int]) -> PoolCapacity:
    """What is left of a pool, in seconds from now."""
    free = gpus - sum(held.values())
    starts, steps = [0.0], [max(free, 0)]
    for lasts_ms, freed in sorted(held.items()):
        free += freed
        starts.append(lasts_ms / 1000)
        steps.append(max(free, 0))
    return PoolCapacity(np.array(starts), np.array(steps, dtype=np.int64))
