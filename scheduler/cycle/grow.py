"""The last step: elastic gangs get what nobody else can have now, first those that start, then those that run.

Whoever waits has been served before, with least workers each; what is free after that, and reserved for nobody, goes to elastic
gangs within the bounds of quotas. Those that start get it in the order of their starts. A run that writes a checkpoint on the
stop's signal is stopped and goes on with more workers, on its nodes and others: by its group's turn, then the longest running.
That costs it a restart, and so is done only where it gets at least a quarter more, is not about to end, and has had its minimum
run time. What is given so is given back when somebody needs it: see ``shrink``.

A group for whose head nodes are reserved gets nothing here: the head counts on its quota.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quota.admission import Usage, available, guarantee_left
from quota.order import turn_key
from scheduler.cycle.facts import ClassKey, LiveRun
from scheduler.cycle.plan import Earmark, Reservation, Stop, StopCause
from scheduler.cycle.restart import Restarts, same_place
from scheduler.cycle.round import Round
from scheduler.cycle.shape_table import WORKERS, WORKERS_MOST
from scheduler.cycle.soon import Soon
from scheduler.model.ids import GroupId, RunId
from scheduler.placement.arrays import Starts
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.request import Placement, Request
from scheduler.placement.widen import more_places

#: A run is stopped to grow only where it gets at least one worker more for so many that it has.
WORKERS_A_MORE_MAX = 4


@dataclass(frozen=True, slots=True)
class Grown:
    """What the step decides: the round's starts, wider where they can be, and runs that stop to go on with more workers."""

    starts: Starts
    stops: tuple[Stop, ...]
    sizes: tuple[Earmark, ...]


def grow(
    round_: Round, soon: Soon, reservations: Sequence[Reservation], going: frozenset[RunId] = frozenset()
) -> Grown:
    """Widen the starts of elastic gangs, then let runs grow. Runs that are ``going`` leave for another reason.

    Leaves the round as it is: verdicts speak of what those that wait could have had.
    """
    if not round_.snapshot.elastic and not round_.snapshot.shapes.any_elastic:
        return Grown(round_.starts, (), ())
    growth = _Growth(round_, soon, reservations)
    starts = _widened(round_, growth)
    stops, sizes = [], []
    restarts = Restarts(round_, going)
    numbers = {(pool.site, pool.gpu_class): number for number, pool in enumerate(round_.site_pools)}
    for run in _in_turn(round_):
        pool = numbers.get((run.site, run.gpu_class))
        if pool is None or run.returns_as is None or run.workers_max is None:
            continue
        site_pool = round_.site_pools[pool]
        if not restarts.may(run, site_pool) or not restarts.may_stay(run, pool, site_pool):
            continue
        gang = {site_pool.index[node]: workers for node, workers in run.gang}
        least = -(-run.workers // WORKERS_A_MORE_MAX)
        again = run.returns_as
        more = growth.take(again.key, again.priority, pool, list(gang), run.workers_max - run.workers, least)
        if more:
            for node, workers in more:
                gang[node] = gang.get(node, 0) + workers
            stops.append(Stop(run.id, run.job, StopCause.GROWN, None, run.grace_ms))
            sizes.append(same_place(run, site_pool, [(site_pool.node_ids[node], many) for node, many in gang.items()]))
    return Grown(starts, tuple(stops), tuple(sizes))


def _in_turn(round_: Round) -> list[LiveRun]:
    """Runs that may grow, by the turns of their groups as the round has left them."""
    now_ms, rest_ms = round_.snapshot.now_ms, round_.snapshot.preemption.minimum_run_ms
    runs = [
        run
        for run in round_.snapshot.elastic.values()
        if run.workers_max is not None
        and run.workers < run.workers_max
        and run.gpu_class in round_.usages
        and (over_ms := run.likely_end_ms(now_ms), over_ms is None or over_ms > now_ms + run.grace_ms + rest_ms)[1]
    ]
    turns: dict[tuple[str, GroupId], tuple[object, ...]] = {}
    for gpu_class, group in {(run.gpu_class, run.group) for run in runs}:
        usage, shares = round_.usages[gpu_class], round_.shares(gpu_class)
        ranks = round_.past_ranks(gpu_class), round_.standing_ranks(gpu_class)
        turns[gpu_class, group] = turn_key(usage, shares, group, *ranks)
    return sorted(runs, key=lambda run: (run.gpu_class, turns[run.gpu_class, run.group], run.started_ms, run.id))


class _Growth:
    """What is left to be had, on copies: free nodes and quotas."""

    def __init__(self, round_: Round, soon: Soon, reservations: Sequence[Reservation]) -> None:
        self._round, self._soon = round_, soon
        self._free: dict[int, IntArray] = {}
        self._usages: dict[str, Usage] = {}
        self._owners = {(each.gpu_class, each.group) for each in reservations}
        self._reserved = {(each.site, part[0]) for each in reservations for part in each.gang}

    def take(
        self, key: ClassKey, priority: int, pool: int, gang: Sequence[int], workers_max: int, workers_min: int = 1
    ) -> Placement:
        """Places for more workers of a gang on these nodes of a pool, no more than ``workers_max``; none where there are not even
        ``workers_min``."""
        round_, site_pool = self._round, self._round.site_pools[pool]
        shape, free = round_.snapshot.shapes[key.shape], self._of(pool)
        if (site_pool.gpu_class, key.group) in self._owners or not free[0].any():
            return ()
        usage = self._usage(site_pool.gpu_class)
        left = available(usage, key.group)
        if not shape.preemptible:
            left = min(left, guarantee_left(usage, key.group))
        request = Request.of(shape)
        most = min(workers_max, left // request.gpus)
        if most < workers_min:
            return ()
        usable = round_.usable(pool, key, priority)
        found = more_places(site_pool.pool.layout, free, request, gang, most, usable)
        workers = sum(many for _, many in found)
        if workers < workers_min:
            return ()
        usage.charge(key.group, workers * request.gpus)
        for node, many in found:
            free[:, node] -= many * np.array([request.gpus, request.cpus, request.memory_mib])
        return found

    def _of(self, pool: int) -> IntArray:
        """What is free now and stays so, on nodes that are reserved for nobody."""
        if pool not in self._free:
            nodes = self._round.board.nodes
            here = slice(int(nodes.first[pool]), int(nodes.first[pool + 1]))
            now = np.stack((nodes.gpus[here], nodes.cpus[here], nodes.memory[here]))
            self._free[pool] = np.maximum(np.minimum(now, self._soon.of(pool)), 0) * self._unreserved(pool)
        return self._free[pool]

    def _unreserved(self, pool: int) -> BoolArray:
        site_pool = self._round.site_pools[pool]
        mine = [node for site, node in self._reserved if site == site_pool.site and node in site_pool.index]
        unreserved = np.ones(len(site_pool.node_ids), np.bool_)
        unreserved[[site_pool.index[node] for node in mine]] = False
        return unreserved

    def _usage(self, gpu_class: str) -> Usage:
        if gpu_class not in self._usages:
            self._usages[gpu_class] = self._round.usages[gpu_class].copy()
        return self._usages[gpu_class]


def _widened(round_: Round, growth: _Growth) -> Starts:
    """The round's starts, elastic ones with the workers that they get besides, behind those that they have."""
    starts = round_.starts
    count, parts = starts.size.tolist()
    shapes, table = round_.snapshot.shapes, round_.snapshot.table
    most, least = shapes.columns[WORKERS_MOST], shapes.columns[WORKERS]
    if not (most > least).any():
        return starts
    shape = shapes.indices(table.shape[starts.row[:count]])
    ends = np.append(starts.first_part[1:count], parts)
    workers, at, nodes, many = starts.workers[:parts].copy(), [], [], []
    for number in np.flatnonzero(most[shape] > least[shape]).tolist():
        row, pool = int(starts.row[number]), int(starts.pool[number])
        begin, end = int(starts.first_part[number]), int(ends[number])
        first = int(round_.board.nodes.first[pool])
        part_of = {int(starts.node[part]) - first: part for part in range(begin, end)}
        priority = _priority_of(round_, row, int(starts.job[number]))
        extra = int(most[shape[number]] - least[shape[number]])
        for node, more in growth.take(table.key(row), priority, pool, list(part_of), extra):
            if node in part_of:
                workers[part_of[node]] += more
            else:
                at.append(end)
                nodes.append(first + node)
                many.append(more)
    before = np.searchsorted(np.array(at, np.int64), starts.first_part[:count], side="right")
    return Starts(
        starts.row[:count],
        starts.job[:count],
        starts.pool[:count],
        starts.first_part[:count] + before,
        np.insert(starts.node[:parts], np.array(at, np.int64), nodes),
        np.insert(workers, np.array(at, np.int64), many),
        np.array([count, parts + len(at)], np.int64),
    )


def _priority_of(round_: Round, row: int, job: int) -> int:
    table = round_.snapshot.table
    jobs = table.turns[:, table.start[row] : table.stop[row]]
    return -int(jobs[0, jobs[2] == job][0])
