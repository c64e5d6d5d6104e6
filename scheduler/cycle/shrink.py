"""Step 6, its first part: what elastic runs have beyond their least workers is given back before any run is ended.

A run that writes a checkpoint on the stop's signal is stopped and goes on at once with fewer workers, on nodes that it has. It
gives them to a head of its own group of no lower priority, or to one of a group below its share where its own is above it, as in
``entitlement``; no more of them than that head needs. Beyond its least workers a run is protected by no guarantee.

Those that can give most come first, ties by the least lost work, then id, so that few are stopped. Of what they would give all
is kept that the head can do without, the last first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quota.fair_share import FairShares
from scheduler.cycle.entitlement import Claim, reaches_up_to
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.heads import Head
from scheduler.cycle.in_the_way import above_their_shares
from scheduler.cycle.plan import Earmark
from scheduler.cycle.restart import Restarts, same_place
from scheduler.cycle.round import Round
from scheduler.cycle.soon import Soon, domains
from scheduler.model.ids import GroupId, NodeId, RunId
from scheduler.placement.displace import Occupant, Room
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.victims import lost_work


@dataclass(frozen=True, slots=True)
class Shrinking:
    """How room is made for a head in a pool: from each run so many workers by node, (run, node's index)."""

    pool: int
    dropped: Counter[tuple[RunId, int]]
    cost: int

    @property
    def runs(self) -> tuple[RunId, ...]:
        """Whose they are."""
        return tuple(sorted({run for run, _ in self.dropped}))

    @property
    def rank(self) -> tuple[int, int, int]:
        """The less the better."""
        return self.cost, len(self.runs), self.dropped.total()


class Spares:
    """What elastic runs of one GPU class can do without, as a round goes on."""

    def __init__(self, round_: Round, soon: Soon, gpu_class: str, restarts: Restarts) -> None:
        self._round, self._soon, self._gpu_class = round_, soon, gpu_class
        self._usage = round_.usages[gpu_class]
        self._runs: dict[RunId, LiveRun] = {}
        self._pool_of: dict[RunId, int] = {}
        self._beyond: dict[RunId, tuple[GroupId, int]] = {}  # GPUs beyond the least workers, whoever may have them
        # Who goes on with more than the least workers where nodes are held for it has as much to give as one that runs.
        self._held: list[tuple[GroupId, int]] = []
        for each in round_.snapshot.earmarks.values():
            shape = round_.snapshot.shapes[each.job.shape]
            if each.gpu_class == gpu_class and each.workers > shape.workers:
                self._held.append((each.job.group, (each.workers - shape.workers) * shape.gpus_per_worker))
        pools = {(each.site, each.gpu_class): number for number, each in enumerate(round_.site_pools)}
        for run in round_.snapshot.elastic.values():
            pool = pools.get((run.site, run.gpu_class), -1)
            if run.gpu_class != gpu_class or not run.spare_gpus:
                continue
            self._beyond[run.id] = run.group, run.spare_gpus
            if pool < 0:
                continue
            site_pool = round_.site_pools[pool]
            if restarts.may(run, site_pool) and restarts.may_stay(run, pool, site_pool):
                self._runs[run.id], self._pool_of[run.id] = run, pool

    @property
    def _shares(self) -> FairShares:
        return self._round.shares(self._gpu_class)

    @property
    def are_any(self) -> bool:
        """Whether a run may be made smaller."""
        return bool(self._runs)

    def might_serve(self, rows: IntArray) -> BoolArray:
        """Rows of heads to which something might be given: a look at all of them at once."""
        classes, usage = self._round.classes, self._usage
        if not self._runs:
            return np.zeros(len(rows), np.bool_)
        position, asked = classes.position[rows], (classes.workers * classes.gpus)[rows]
        giving = np.zeros(len(usage.tree), np.bool_)
        giving[[usage.tree.position(run.group) for run in self._runs.values()]] = True
        from_others = bool((usage.own > self._shares.own)[giving].any())
        might = giving[position] | (from_others & (asked <= (self._shares.own - usage.own)[position]))
        free = {pool: int(np.maximum(self._soon.of(pool)[0], 0).sum()) for pool in set(self._pool_of.values())}
        most = sum(run.spare_gpus for run in self._runs.values()) + max(free.values())
        found: BoolArray = might & (asked <= most)
        return found

    def beyond(self, shares: FairShares) -> FairShares:
        """Shares with what elastic runs have beyond their least workers on top: above that are those who could lose a run."""
        beyond = [*self._beyond.values(), *self._held]
        if not beyond:
            return shares
        tree = self._usage.tree
        by_group: Counter[int] = Counter()
        for group, gpus in beyond:
            by_group[int(group)] += gpus
        own = tree.array(by_group)
        below = own.copy()
        for _, members, _ in tree.ascents():
            np.add.at(below, tree.parent[members], below[members])
        return replace(shares, own=shares.own + own, share=shares.share + below)

    def forget(self, run: RunId) -> None:
        """A run is told to go."""
        self._runs.pop(run, None)
        self._beyond.pop(run, None)

    def find(self, head: Head) -> Shrinking | None:
        """How to make room for a head at the least lost work; None where that cannot be. It may need nobody to shrink."""
        runs = self._giving(head) if self._runs else []
        if not runs:
            return None
        first, pools = self._round.venue_pools[self._gpu_class]
        venue = self._round.classes.venue[head.row]
        given: Counter[int] = Counter()
        for run in runs:
            given[self._pool_of[run.id]] += run.spare_gpus
        found: list[Shrinking] = []
        for pool in pools[first[venue] : first[venue + 1]].tolist():
            if int(np.maximum(self._soon.of(pool)[0], 0).sum()) + given[pool] < head.request.gpus_in_all:
                continue
            usable = self._round.usable(pool, head.key, head.priority)
            ways = (self._in(head, pool, within, runs) for within in domains(self._round, pool, head.request, usable))
            found += [way for way in ways if way is not None]
        return min(found, key=lambda each: each.rank, default=None)

    def give(self, shrinking: Shrinking) -> tuple[Earmark, ...]:
        """Take what is given from the runs, and answer where the job of each goes on."""
        return tuple([self._give(self._runs[run], shrinking) for run in shrinking.runs])

    def _giving(self, head: Head) -> list[LiveRun]:
        """The runs that have something for a head."""
        asked, tree = head.request.gpus_in_all, self._usage.tree
        top = reaches_up_to(self._usage, self._shares, head.position, asked)
        above = None if top is None else above_their_shares(self._usage, self._shares, head.position, top)
        return [
            run
            for run in self._runs.values()
            if (run.group == head.group and run.priority <= head.priority)
            or (run.group != head.group and above is not None and above[tree.position(run.group)])
        ]

    def _in(self, head: Head, pool: int, within: BoolArray | None, runs: Sequence[LiveRun]) -> Shrinking | None:
        free = self._soon.of(pool)
        units = dict(enumerate(self._units(pool, within, free, runs)))

        def one(number: int) -> LiveRun:
            run, node, _ = units[number]
            return replace(run, gang=((NodeId(node), 1),))

        claim = Claim(self._usage, self._shares, head.group, head.request.gpus_in_all, firm=head.firm, run_of=one)
        room = Room(free, head.request, claim, within)
        ended: dict[int, Occupant] = {}
        for number, (run, node, is_here) in units.items():
            if room.fits:
                break
            amounts = (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)
            unit = Occupant(number, 1, amounts, ((node, 1),) if is_here else ())
            if claim.may_end(unit):
                room.end(unit)
                ended[number] = unit
        if not room.fits:
            return None
        needed = [unit.run for unit in room.spare(list(ended.values()))]
        dropped = Counter((units[number][0].id, units[number][1]) for number in needed)
        stopped = {units[number][0].id: units[number][0] for number in needed}.values()
        return Shrinking(pool, dropped, sum(map(_cost, stopped)))

    def _units(
        self, pool: int, within: BoolArray | None, free: IntArray, runs: Sequence[LiveRun]
    ) -> Iterator[tuple[LiveRun, int, bool]]:
        """Single workers that may go, (run, node's index in its pool, whether that is the pool): those on nodes that the head
        may have, then those that hold nothing for it but their groups' quota."""
        here: dict[RunId, list[int]] = {}
        elsewhere: dict[RunId, list[int]] = {}
        for run in runs:
            index, is_here = self._round.site_pools[self._pool_of[run.id]].index, self._pool_of[run.id] == pool
            parts = [(index[node], workers) for node, workers in run.gang]
            if is_here:
                # Nodes first that are the nearest to having room for one of the head's workers.
                parts.sort(key=lambda part: (-int(free[0, part[0]]) - part[1] * run.gpus_per_worker, part[0]))
            nodes = [node for node, workers in parts for _ in range(workers)]
            useful = [node for node in nodes if is_here and (within is None or within[node])]
            others = [node for node in nodes if not (is_here and (within is None or within[node]))]
            here[run.id] = useful[: run.spare_workers]
            elsewhere[run.id] = others[: run.spare_workers - len(here[run.id])]
        for given in (here, elsewhere):
            for run in sorted(
                runs, key=lambda each: (-len(given[each.id]) * each.gpus_per_worker, _cost(each), each.id)
            ):
                yield from ((run, node, self._pool_of[run.id] == pool) for node in given[run.id])

    def _give(self, run: LiveRun, shrinking: Shrinking) -> Earmark:
        site_pool = self._round.site_pools[self._pool_of[run.id]]
        gone = {node: shrinking.dropped[run.id, site_pool.index[node]] for node, _ in run.gang}
        given = replace(run, gang=tuple([(node, workers) for node, workers in gone.items() if workers]))
        left = [(node, workers - gone[node]) for node, workers in run.gang if workers > gone[node]]
        self._usage.release(run.group, given.gpus)
        self._soon.give_back(given)
        self.forget(run.id)  # once a round is enough
        self._beyond[run.id] = run.group, run.spare_gpus - given.gpus
        return same_place(run, site_pool, left)


def _cost(run: LiveRun) -> int:
    return lost_work(0, None, run.checkpoints, run.gpus, run.grace_ms)
