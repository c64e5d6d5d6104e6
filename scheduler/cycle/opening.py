"""The next moment at which a site lends more, by the clock alone, and a job that waits could start on it.

Everything else is taken to stay as the round leaves it: nothing ends, nothing comes, nobody is served first. What is lent at
a later moment is what ``lent.lend`` says of it, as it says to a round of that moment. Of a GPU class in which groups have cells
nothing is said: where those would be by then hangs on what runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from quota.admission import Admitted, Usage, admit
from quota.tree import GPUS_MAX
from scheduler.cycle.lending import Told, guest_of
from scheduler.cycle.lent import Guest, Lent, lend
from scheduler.cycle.lent_to import is_lent, openings, returns, term_against
from scheduler.cycle.round import Queue, Round
from scheduler.cycle.snapshot import takes_work
from scheduler.cycle.starts import StartTable
from scheduler.cycle.stay import NEVER_MS, may_stay
from scheduler.model.ids import NodeId, SiteId
from scheduler.placement.board import Board
from scheduler.placement.pool import BoolArray, Pool

#: So many moments are looked at, the next ones first.
MOMENTS_MAX = 24


class Opening(NamedTuple):
    """When (ms) and in which pool."""

    at_ms: int
    pool: int


def next_opening(round_: Round, queue: Queue) -> Opening | None:
    """When the head of a class could start because more is lent, by the clock alone; ties by site. None: at no known moment."""
    having = round_.snapshot.cells.having
    pools = [pool for name in queue.candidates if name not in having for pool in queue.pools.get(name, ())]
    moments = {each for pool in pools for each in (*openings(round_, queue, pool), *returns(round_, pool))}
    later = _Later(round_, queue)
    for at_ms in sorted(moments)[:MOMENTS_MAX]:
        for pool in pools:
            if later.starts(pool, at_ms):
                return Opening(at_ms, pool)
    return None


class _Later:
    """What sites lend at later moments, worked out once each."""

    def __init__(self, round_: Round, queue: Queue) -> None:
        self._round, self._queue = round_, queue
        self._lent: dict[tuple[SiteId, int], Mapping[NodeId, Lent]] = {}

    def starts(self, pool: int, at_ms: int) -> bool:
        """Whether the head could start in a pool at a moment."""
        round_, queue = self._round, self._queue
        gpu_class = round_.site_pools[pool].gpu_class
        usage = round_.usages[gpu_class]
        usage = Usage(usage.tree, min(self._capacity(gpu_class, at_ms), GPUS_MAX), usage.own)
        inside = not queue.shape.preemptible
        if not isinstance(admit(usage, queue.group, queue.request.gpus_in_all, inside_guarantee=inside), Admitted):
            return False
        board = Board([self._pool(pool, at_ms)])
        return board.workers_max(0, queue.request, self._usable(pool, at_ms)) >= queue.request.workers

    def _usable(self, number: int, at_ms: int) -> BoolArray:
        """As ``Round.usable``, of a later moment."""
        snapshot, queue = self._round.snapshot, self._queue
        pool = self._round.site_pools[number]
        lent = self._at(pool.site, at_ms)
        usable = np.zeros(len(pool.node_ids), np.bool_)
        for at, node in enumerate(pool.node_ids):
            if node in lent and term_against(self._round, queue, lent[node].terms) is None:
                usable[at] = may_stay(
                    lent[node].terms,
                    lent[node].until_ms,
                    queue.key.stay,
                    preemptible=queue.shape.preemptible,
                    now_ms=at_ms,
                    minimum_run_ms=snapshot.preemption.minimum_run_ms,
                )
        return usable

    def _pool(self, number: int, at_ms: int) -> Pool:
        """What is free on nodes that are lent at a moment: what the round leaves free, and all that no run holds of others."""
        round_, pool = self._round, self._round.site_pools[number]
        now, then = is_lent(round_, number), self._at(pool.site, at_ms)
        free = np.zeros((3, len(pool.node_ids)), np.int64)
        for at, node in enumerate(pool.node_ids):
            if node in then:
                free[:, at] = round_.board.free_of(number, at) if now[at] else self._idle(node)
        return Pool(pool.pool.layout, free[0], free[1], free[2])

    def _idle(self, node: NodeId) -> tuple[int, int, int]:
        """GPUs, CPUs and memory (MiB) of a node that nobody holds: the round has nothing to give there."""
        snapshot = self._round.snapshot
        facts = snapshot.nodes[node]
        left = np.array((facts.gpus, facts.cpus, facts.memory_mib), np.int64)
        for run in (snapshot.runs[each] for each in snapshot.runs_on.get(node, ())):
            workers = sum(number for at, number in run.gang if at == node)
            left -= workers * np.array((run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker))
        for earmark in snapshot.earmarks.values():
            shape = snapshot.shapes[earmark.job.shape]
            workers = sum(number for at, number in earmark.gang if at == node)
            left -= workers * np.array((shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker))
        gpus, cpus, memory_mib = np.maximum(left, 0).tolist()
        return gpus, cpus, memory_mib

    def _capacity(self, gpu_class: str, at_ms: int) -> int:
        """As ``Snapshot.capacity``, of a later moment."""
        snapshot, total = self._round.snapshot, 0
        for (site, each), pool in snapshot.pools.items():
            if each != gpu_class:
                continue
            gpus = pool.gpus
            if site in snapshot.told:
                lent = self._at(site, at_ms)
                gpus = sum(snapshot.nodes[node].gpus for node in pool.node_ids if node in lent)
            total += gpus if takes_work(snapshot.sites[site]) else min(gpus, snapshot.site_use.get((site, each), 0))
        return total

    def _at(self, site: SiteId, at_ms: int) -> Mapping[NodeId, Lent]:
        if (site, at_ms) not in self._lent:
            snapshot = self._round.snapshot
            told = snapshot.told.get(site, Told())
            nodes = [
                snapshot.nodes[node]
                for (each, _), pool in snapshot.pools.items()
                if each == site
                for node in pool.node_ids
            ]
            lent = lend(nodes, self._guests(site), told.offers, told.recalls, told.reservations, at_ms)
            self._lent[site, at_ms] = lent.nodes
        return self._lent[site, at_ms]

    def _guests(self, site: SiteId) -> Mapping[NodeId, list[Guest]]:
        """Who is on the nodes of a site when the round's starts are made."""
        round_, snapshot = self._round, self._round.snapshot
        guests: defaultdict[NodeId, list[Guest]] = defaultdict(list)
        pools = [number for number, pool in enumerate(round_.site_pools) if pool.site == site]
        for node in (node for number in pools for node in round_.site_pools[number].node_ids):
            guests[node] += [guest_of(snapshot.runs[run], snapshot.groups) for run in snapshot.runs_on.get(node, ())]
        starts = StartTable(snapshot, round_.site_pools, round_.board.nodes.first, round_.starts)
        columns = starts.columns
        for number in np.flatnonzero(np.isin(columns.pool, pools)).tolist():
            guest = self._guest(int(columns.row[number]), int(columns.job[number]))
            for node, *_ in starts[number].gang:
                guests[node].append(guest)
        return guests

    def _guest(self, row: int, job: int) -> Guest:
        """A job that the round starts, as offers look at it from then on."""
        snapshot, table = self._round.snapshot, self._round.snapshot.table
        key = table.key(row)
        shape = snapshot.shapes[key.shape]
        turns = table.turns[:, table.start[row] : table.stop[row]]
        minus_priority, walltime_ms = turns[[0, 3], np.flatnonzero(turns[2] == job)[0]].tolist()
        return Guest(
            sector=snapshot.groups[key.group].sector,
            data_class=shape.data_class,
            priority=-minus_priority,
            preemptible=shape.preemptible,
            end_ms=NEVER_MS if walltime_ms < 0 else snapshot.now_ms + walltime_ms,
            saves=key.stay.save_ms is not None,
            groups=snapshot.path(key.group),
        )
