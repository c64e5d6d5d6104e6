"""What ``movable`` finds in columns, looked for in the snapshot's runs one by one: slow, obvious, and the same."""

from __future__ import annotations

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.restart import Restarts
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool
from scheduler.model.ids import RunId
from scheduler.placement.displace import Occupant
from scheduler.placement.victims import lost_work


def movable_slowly(round_: Round, pool: int, going: frozenset[RunId]) -> list[list[Occupant]]:
    """By node of a pool the runs that may be moved, those that lose the least work first."""
    snapshot, site_pool = round_.snapshot, round_.site_pools[pool]
    restarts = Restarts(round_, going)
    runs = [
        _occupant(run, site_pool)
        for run in snapshot.runs.values()
        if (run.site, run.gpu_class) == (site_pool.site, site_pool.gpu_class)
        and restarts.may(run, site_pool)
        and not snapshot.home(run)
    ]
    runs.sort(key=lambda each: (each.cost, each.run))
    return [[each for each in runs if at in {node for node, _ in each.parts}] for at in range(len(site_pool.node_ids))]


def _occupant(run: LiveRun, site_pool: SitePool) -> Occupant:
    amounts = (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)
    parts = tuple([(site_pool.index[node], workers) for node, workers in run.gang if node in site_pool.index])
    return Occupant(int(run.id), lost_work(0, None, run.checkpoints, run.gpus, run.grace_ms), amounts, parts)
