"""Runs that may be moved within their site, pool by pool, in columns and by node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.restart import Restarts
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool
from scheduler.model.ids import RunId
from scheduler.placement.displace import Occupant
from scheduler.placement.pool import IntArray
from scheduler.placement.victims import lost_work


@dataclass(frozen=True, slots=True)
class Movable:
    """Those of one pool, on each node those that lose the least work first.

    ``held`` (amount, node) is what they hold, ``cost`` by node the work that is lost if all of them go (GPU-milliseconds).
    """

    on: dict[int, list[Occupant]]
    held: IntArray
    cost: IntArray

    @staticmethod
    def of(occupants: Iterable[Occupant], nodes: int) -> Movable:
        """In a pool of so many nodes."""
        on: defaultdict[int, list[Occupant]] = defaultdict(list)
        rows: list[tuple[int, int, int, int, int]] = []
        for each in sorted(occupants, key=lambda each: (each.cost, each.run)):
            gpus, cpus, memory = each.amounts
            for node, workers in each.parts:
                on[node].append(each)
                rows.append((node, workers * gpus, workers * cpus, workers * memory, each.cost))
        columns = np.array(rows, np.int64).reshape(-1, 5).T
        sums = np.zeros((4, nodes), np.int64)
        for at in range(4):
            np.add.at(sums[at], columns[0], columns[at + 1])
        return Movable(on, sums[:3], sums[3])

    def drop(self, occupant: Occupant) -> None:
        """It is not to be moved any more."""
        for node, workers in occupant.parts:
            self.on[node].remove(occupant)
            self.held[:, node] -= workers * np.array(occupant.amounts)
            self.cost[node] -= occupant.cost


class MovableRuns:
    """Those of a round. Pools are looked through when they are asked for."""

    def __init__(self, round_: Round, going: frozenset[RunId]) -> None:
        """Runs that are ``going`` leave for another reason."""
        self._round, self._restarts = round_, Restarts(round_, going)
        self._kept: dict[int, Movable] = {}

    def of(self, pool: int) -> Movable:
        """Those of a pool; kept."""
        if pool not in self._kept:
            site_pool, snapshot = self._round.site_pools[pool], self._round.snapshot
            there = {run for node in site_pool.node_ids for run in snapshot.runs_on.get(node, ())}
            runs = [snapshot.runs[run] for run in there]
            if snapshot.cells.holders:
                runs = [run for run in runs if not snapshot.home(run)]
            self._kept[pool] = Movable.of(
                (_occupant(run, site_pool) for run in runs if self._restarts.may(run, site_pool)),
                len(site_pool.node_ids),
            )
        return self._kept[pool]


def _occupant(run: LiveRun, site_pool: SitePool) -> Occupant:
    amounts = (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)
    parts = tuple([(site_pool.index[node], workers) for node, workers in run.gang if node in site_pool.index])
    return Occupant(int(run.id), lost_work(0, None, run.checkpoints, run.gpus, run.grace_ms), amounts, parts)
