"""Runs that may be moved within their site, pool by pool, in columns and by node."""

from __future__ import annotations

import numpy as np

from scheduler.cycle.restart import Restarts
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool
from scheduler.model.ids import RunId
from scheduler.placement.displace import Occupant
from scheduler.placement.pool import IntArray
from scheduler.placement.pool_runs import COST, CPUS, GPUS, MEMORY, RUN, hold, lie


class Movable:
    """Those of one pool.

    ``held`` (amount, node) is what they hold, ``cost`` by node the work that is lost if all of them go (GPU-milliseconds).
    """

    def __init__(self, site_pool: SitePool, rows: IntArray) -> None:
        """``rows`` are theirs in ``SitePool.runs``."""
        self._columns, parts, *_ = site_pool.runs
        self._rows = rows[np.lexsort((self._columns[RUN, rows], self._columns[COST, rows]))]
        self._lying: IntArray = lie(self._columns, parts, self._rows, *site_pool.places)
        sums = hold(self._columns, self._rows, self._lying, len(site_pool.node_ids))
        self.held: IntArray = sums[:3]
        self.cost: IntArray = sums[3]
        self._occupants: dict[int, Occupant] = {}
        self._dropped: set[int] = set()

    def on(self, node: int) -> list[Occupant]:
        """Those on a node, those that lose the least work first."""
        here = self._lying[2, self._lying[0] == node].tolist()
        return [each for each in map(self._occupant, here) if each.run not in self._dropped]

    def drop(self, occupant: Occupant) -> None:
        """It is not to be moved any more."""
        self._dropped.add(occupant.run)
        for node, workers in occupant.parts:
            self.held[:, node] -= workers * np.array(occupant.amounts)
            self.cost[node] -= occupant.cost

    def _occupant(self, number: int) -> Occupant:
        if number not in self._occupants:
            column = self._columns[:, self._rows[number]].tolist()
            node, workers = self._lying[:2, self._lying[2] == number].tolist()
            amounts = column[GPUS], column[CPUS], column[MEMORY]
            self._occupants[number] = Occupant(
                column[RUN], column[COST], amounts, tuple(zip(node, workers, strict=True))
            )
        return self._occupants[number]


class MovableRuns:
    """Those of a round. Pools are looked through when they are asked for."""

    def __init__(self, round_: Round, going: frozenset[RunId]) -> None:
        """Runs that are ``going`` leave for another reason."""
        self._round, self._restarts = round_, Restarts(round_, going)
        self._kept: dict[int, Movable] = {}

    def of(self, pool: int) -> Movable:
        """Those of a pool; kept."""
        if pool not in self._kept:
            site_pool = self._round.site_pools[pool]
            self._kept[pool] = Movable(site_pool, self._rows(site_pool))
        return self._kept[pool]

    def _rows(self, site_pool: SitePool) -> IntArray:
        """Of runs that may be moved: none that lies in cells of its own is."""
        rows, snapshot = self._restarts.rows(site_pool), self._round.snapshot
        if not snapshot.cells.holders:
            return rows
        runs = [snapshot.runs[RunId(run)] for run in site_pool.runs.columns[RUN, rows].tolist()]
        return rows[np.array([not snapshot.home(run) for run in runs], np.bool_)]
