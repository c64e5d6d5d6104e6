"""Which runs to end or to shrink so that enough nodes of a pool or domain are empty, at the least lost work.

The candidates of ``cover`` are the components of nodes that share runs, in the order of their lowest nodes. A gang that
shares no node is one of its own, and so are the small runs of one node. Where every component is small the answer is the
best by the published rule of ``cover``; where one is large, its ways come from a greedy rule, the answer is freed of every
victim that it does not need, and a lower bound says how far from the best it can be at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scheduler.placement.component import EVERYWHERE, Action
from scheduler.placement.cover import cheapest_ways
from scheduler.placement.occupancy import Occupancy
from scheduler.placement.offers import Ways

#: A component with more choices than this is left to the greedy rule.
CHOICES_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A run that goes on with fewer workers: it leaves these nodes."""

    run: int
    nodes: tuple[int, ...]
    workers: int


@dataclass(frozen=True, slots=True)
class Victims:
    """Who has to go: runs and nodes ascend, ``cost`` and ``lower_bound`` are in GPU-milliseconds.

    ``emptied`` are the nodes that become empty. No victim can be spared, and none can keep one more of its nodes, without
    leaving too few empty. ``optimal`` says that the cost is proven to be the least; no choice costs less than ``lower_bound``.
    """

    ended: tuple[int, ...]
    shrunk: tuple[Shrunk, ...]
    emptied: tuple[int, ...]
    cost: int
    lower_bound: int
    optimal: bool


def lost_work(
    run_age_ms: int, last_checkpoint_ms: int | None, checkpoints_on_signal: bool, gpus: int, checkpoint_cost_ms: int = 0
) -> int:
    """Return the GPU-milliseconds of work that ending a run now would destroy.

    ``last_checkpoint_ms`` is the run's age when it last wrote a checkpoint, None if it never did. A run that writes one
    on the signal, within its grace, loses only what it declares for that, ``checkpoint_cost_ms``. Ages from two clocks
    may disagree: a checkpoint later than now counts as now.
    """
    if checkpoints_on_signal:
        return gpus * checkpoint_cost_ms
    return gpus * max(0, run_age_ms - (last_checkpoint_ms or 0))


def cheapest_nodes(occupancy: Occupancy, needed: int, choices_max: int = CHOICES_MAX) -> Victims | None:
    """Choose whom to end or shrink so that ``needed`` nodes are empty, those counted that already are.

    Exact by the published rule of ``cover`` when each component of nodes that share runs has at most ``choices_max``
    choices (see ``component.exact_ways``); else minimal, and ``optimal`` only where the lower bound is met. None where
    the runs that may go stand on too few nodes; in a larger component, where the greedy rule finds too few: it may when
    runs in it can shrink but not be ended.
    """
    missing = needed - int(np.count_nonzero(occupancy.runs_on == 0))
    if missing <= 0:
        return Victims((), (), (), 0, 0, True)
    ways = Ways.of(occupancy, missing, choices_max)
    cover = cheapest_ways(ways.offers.options, missing)
    if cover is None:
        return None
    leavers = _Leavers(occupancy, [action for way in cover.ways for action in ways.offers.actions(way)])
    if ways.lower is None:
        return leavers.victims(cover.lower_bound, exact=True)
    leavers.spare(missing)
    bound = cheapest_ways(ways.lower, missing)
    return leavers.victims(0 if bound is None else bound.cost, exact=False)


class _Leavers:
    """Runs that are to end and nodes that runs are to leave; whom it spares, it spares for good."""

    def __init__(self, occupancy: Occupancy, actions: Iterable[Action]) -> None:
        self._occupancy = occupancy
        self._ended: set[int] = set()
        self._left: dict[int, set[int]] = {}
        for run, node in actions:
            if node == EVERYWHERE:
                self._ended.add(run)
            else:
                self._left.setdefault(run, set()).add(node)
        for run in self._ended & self._left.keys():
            del self._left[run]
        self._staying = occupancy.runs_on.copy()
        self._workers: dict[tuple[int, int], int] = {}
        self._nodes: dict[int, list[int]] = {run: [] for run in self._ended | self._left.keys()}
        leaves = np.zeros(len(occupancy.costs), dtype=np.bool_)
        leaves[list(self._nodes)] = True
        entries = np.flatnonzero(leaves[occupancy.run_of])
        columns = (occupancy.run_of[entries], occupancy.node_of[entries], occupancy.workers_of[entries])
        for run, node, workers in zip(*(column.tolist() for column in columns), strict=True):
            self._nodes[run].append(node)
            if run in self._left:
                self._workers[run, node] = workers
            if run in self._ended or node in self._left[run]:
                self._staying[node] -= 1

    def spare(self, needed: int) -> None:
        """Keep every victim that ``needed`` newly empty nodes do not need: the dearest runs first, then the highest."""
        empty = int(np.count_nonzero((self._staying == 0) & (self._occupancy.runs_on > 0)))
        cost = self._occupancy.leaving.cost
        for run in sorted(self._ended, key=lambda each: (-cost[each], -each)):
            filled = sum(self._staying[node] == 0 for node in self._nodes[run])
            if empty - filled >= needed:
                empty -= filled
                self._ended.remove(run)
                self._staying[self._nodes[run]] += 1
        for run in sorted(self._left, reverse=True):
            for node in sorted(self._left[run], reverse=True):
                filled = int(self._staying[node] == 0)
                if empty - filled >= needed:
                    empty -= filled
                    self._left[run].remove(node)
                    self._staying[node] += 1

    def victims(self, lower_bound: int, *, exact: bool) -> Victims:
        """The answer."""
        leaving = self._occupancy.leaving
        shrunk = tuple(
            Shrunk(run, tuple(sorted(nodes)), sum(self._workers[run, node] for node in nodes))
            for run, nodes in sorted(self._left.items())
            if nodes
        )
        cost = sum(leaving.cost[run] for run in self._ended)
        cost += sum(leaving.shrink_cost[each.run] * each.workers for each in shrunk)
        emptied = np.flatnonzero((self._staying == 0) & (self._occupancy.runs_on > 0))
        optimal = exact or cost == lower_bound
        return Victims(tuple(sorted(self._ended)), shrunk, tuple(emptied.tolist()), cost, lower_bound, optimal)
