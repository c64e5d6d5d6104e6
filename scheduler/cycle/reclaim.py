"""Step 6: for heads that found no place, end others' runs at little lost work, and hold for the head what they leave.

A run is ended only together with an earmark that needs it: for a job of higher priority in its own group (preempted), or
for a group below its share from one above its own (reclaimed); see ``entitlement``. It has run for the minimum run time and
may be preempted. What leaving runs hold counts as free already, since an earmark waits for all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quota.order import turn_key
from scheduler.cycle.entitlement import Claim
from scheduler.cycle.facts import ClassKey, LiveRun
from scheduler.cycle.in_the_way import InTheWay
from scheduler.cycle.plan import Earmark, GangPart, Stop, StopCause
from scheduler.cycle.round import Round
from scheduler.model.ids import GroupId, JobId, RunId
from scheduler.model.shape import Topology
from scheduler.placement.board import Board
from scheduler.placement.displace import Displaced, cheapest
from scheduler.placement.make_way import Gang, make_way
from scheduler.placement.pool import BoolArray, IntArray, Pool
from scheduler.placement.request import Request

#: A round earmarks for so many jobs of a GPU class at most: what more have to be moved out of the way the next rounds do.
EARMARKS_MAX = 64

Turn = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What the step decides: every stop serves an earmark of the same list."""

    stops: tuple[Stop, ...]
    earmarks: tuple[Earmark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The first job of a class that waits on, and what it claims."""

    row: int
    key: ClassKey
    job: JobId
    group: GroupId
    position: int
    priority: int
    firm: bool
    request: Request


def reclaim(round_: Round, now_ms: int, going: frozenset[RunId] = frozenset()) -> Reclaimed:
    """Go through the heads that are left, the group whose turn it is first, until none can claim anything.

    Runs that are ``going`` anyway are nobody's to end, and what they hold goes to their lender.
    Charges and releases the round's usages, and moves its classes on.
    """
    if not (round_.classes.next < round_.classes.stop).any():
        return Reclaimed((), ())
    stops: list[Stop] = []
    earmarks: list[Earmark] = []
    leaving = [
        (round_.usages[gpu_class], group, gpus)
        for gpu_class, use in round_.snapshot.leaving_use.items()
        if gpu_class in round_.usages  # its last node may be gone
        for group, gpus in use.items()
        if gpus
    ]
    # What is earmarked waits until they are gone; what starts, and what is told of the rest, counts them.
    for usage, group, gpus in leaving:
        usage.release(group, gpus)
    for choice in range(round_.choices.shape[1]):
        for number, gpu_class in enumerate(round_.gpu_classes):
            rows = np.flatnonzero((round_.choices[:, choice] == number) & (round_.classes.next < round_.classes.stop))
            if len(rows):
                rows = rows[_could_claim(round_, gpu_class, rows)]
            if len(rows):
                _Claims(round_, gpu_class, now_ms, going, stops, earmarks).settle(rows.tolist())
    for usage, group, gpus in leaving:
        usage.charge(group, gpus)
    for stop in stops:
        run = round_.snapshot.runs[stop.run]
        round_.usages[run.gpu_class].charge(run.group, run.gpus)
    return Reclaimed(tuple(stops), tuple(earmarks))


def _could_claim(round_: Round, gpu_class: str, rows: IntArray) -> IntArray:
    """Rows whose group is below its share by so much, or runs something of lower priority than their head."""
    classes, usage = round_.classes, round_.usages[gpu_class]
    position, asked = classes.position[rows], (classes.workers * classes.gpus)[rows]
    shares = round_.shares(gpu_class).own
    below = asked <= (shares - usage.own)[position]
    lowest = np.full(len(usage.tree), np.iinfo(np.int64).max)
    takes_above_share = False
    for (group, priority), gpus in round_.snapshot.displaceable_use.get(gpu_class, {}).items():
        if gpus:
            at = usage.tree.position(group)
            lowest[at] = min(int(lowest[at]), priority)
            takes_above_share |= bool(usage.own[at] > shares[at])
    below &= takes_above_share
    could: IntArray = below | (lowest[position] < -classes.minus_priority[classes.next[rows]])
    return could


class _Claims:
    """Claims on one GPU class."""

    def __init__(
        self,
        round_: Round,
        gpu_class: str,
        now_ms: int,
        going: frozenset[RunId],
        stops: list[Stop],
        earmarks: list[Earmark],
    ) -> None:
        self._round, self._gpu_class = round_, gpu_class
        self._usage, self._shares = round_.usages[gpu_class], round_.shares(gpu_class)
        self._past_ranks = round_.past_ranks(gpu_class)
        self._way = InTheWay(round_.snapshot, round_.site_pools, gpu_class, self._usage, now_ms, going)
        self._stops, self._earmarks = stops, earmarks
        self._soon: dict[int, IntArray] = {}

    def settle(self, rows: Sequence[int]) -> None:
        """Let the heads claim in turn. What failed once fails for all that are alike: there is never more to be had."""
        classes = self._round.classes
        failed: set[tuple[int, ...]] = set()
        heap = [(self._turn(row), row) for row in rows]
        heapq.heapify(heap)
        left = EARMARKS_MAX
        while heap and left:
            turn, row = heap[0]
            if turn != self._turn(row):  # claims have moved its group
                heapq.heapreplace(heap, (self._turn(row), row))
                continue
            kind = self._kind(row)
            if kind not in failed and self._claim(self._head(row)):
                left -= 1
                if classes.next[row] < classes.stop[row]:
                    continue
            else:
                failed.add(kind)
            heapq.heappop(heap)

    def _turn(self, row: int) -> Turn:
        classes, head = self._round.classes, int(self._round.classes.next[row])
        key = turn_key(self._usage, self._shares, int(self._round.snapshot.table.group[row]), self._past_ranks)
        return (*key, int(classes.minus_priority[head]), int(classes.submitted[head]), int(classes.job[head]))

    def _kind(self, row: int) -> tuple[int, ...]:
        """Heads that are alike in all that decides whether they can claim."""
        classes = self._round.classes
        columns = (classes.position, classes.alike, classes.venue)
        return (*(int(column[row]) for column in columns), int(classes.minus_priority[classes.next[row]]))

    def _head(self, row: int) -> _Head:
        classes, snapshot = self._round.classes, self._round.snapshot
        key = snapshot.table.key(row)
        shape = snapshot.shapes[key.shape]
        return _Head(
            row=row,
            key=key,
            job=JobId(int(classes.job[classes.next[row]])),
            group=key.group,
            position=int(classes.position[row]),
            priority=-int(classes.minus_priority[classes.next[row]]),
            firm=not shape.preemptible,
            request=Request.of(shape),
        )

    def _claim(self, head: _Head) -> bool:
        """Find whom to end for a head, and hold for it what they leave."""
        asked = head.request.gpus_in_all
        numbers = self._way.might_go(self._shares, head.position, asked, head.priority)
        if not len(numbers):
            return False
        first, pools = self._round.venue_pools[self._gpu_class]
        venue = self._round.classes.venue[head.row]
        given = self._way.gpus_by_pool(numbers, len(self._round.site_pools))
        mine = pools[first[venue] : first[venue + 1]].tolist()
        mine = [pool for pool in mine if int(self._soon_of(pool)[0].sum()) + int(given[pool]) >= asked]
        usable = {pool: self._round.usable(pool, head.key, head.priority) for pool in mine}
        claim = Claim(self._usage, self._shares, head.group, asked, firm=head.firm, run_of=self._way.run)
        # Runs in other pools are ended only where quotas, and not nodes, are in the way.
        for with_others in (False,) if claim.suffices() else (False, True):
            choices: list[tuple[Displaced, int]] = []
            for pool in mine:
                order = self._way.ordered(numbers, pool, with_others=with_others)
                for within in self._domains(pool, head.request, usable[pool]):
                    found = self._displace(head, order, pool, claim, within)
                    if found is None:
                        continue
                    if not found.occupants:
                        return False  # what leaves already is enough: it starts in its turn when that is gone
                    choices.append((found, pool))
            if choices:
                self._hold(head, *min(choices, key=lambda each: each[0].rank))
                return True
        return False

    def _displace(
        self, head: _Head, order: IntArray, pool: int, claim: Claim, within: BoolArray | None
    ) -> Displaced | None:
        """Choose whom of the runs ``order`` to end so that a head fits ``within`` a pool; None where that cannot be had."""
        free, request = self._soon_of(pool), head.request
        usable = np.ones(free.shape[1], np.bool_) if within is None else within
        gang = Gang(request.workers, request.gpus, request.cpus, request.memory_mib, head.position, head.firm)
        needed, quotas = np.empty(len(order), np.int64), self._round.quotas(self._gpu_class)
        count = make_way(free, usable, pool, gang, self._way.columns, order, quotas, self._shares.share, needed)
        if count < 0:
            return None
        found = Displaced.of(self._way.occupant(number, pool) for number in needed[:count].tolist())
        return cheapest(free, request, self._way.occupants(order, pool), found, claim, within)

    def _domains(self, pool: int, request: Request, usable: BoolArray | None) -> Iterator[BoolArray | None]:
        """The nodes that a gang may have together: those that it may use in each domain of its loosest level."""
        if request.loosest is Topology.SITE:
            yield usable
            return
        numbers = self._round.site_pools[pool].pool.layout.domains_of(request.loosest)
        for number in range(int(numbers.max(initial=-1)) + 1):
            yield numbers == number if usable is None else (numbers == number) & usable

    def _hold(self, head: _Head, displaced: Displaced, pool: int) -> None:
        for each in displaced.occupants:
            run = self._way.run(each.run)
            cause = StopCause.PREEMPTED if run.group == head.group else StopCause.RECLAIMED
            self._stops.append(Stop(run.id, run.job, cause, head.job, run.grace_ms))
            self._way.stop(run)
            self._usage.release(run.group, run.gpus)
            self._give_back(run)
        site_pool, soon, request = self._round.site_pools[pool], self._soon_of(pool), head.request
        usable = self._round.usable(pool, head.key, head.priority)
        board = Board([Pool(site_pool.pool.layout, *(soon if usable is None else soon * usable))])
        placements = (board.place(0, request, level) for level in request.levels())
        placement = next((each for each in placements if each is not None), None)
        assert placement is not None, "the runs that are ended leave room for the gang"
        parts: list[GangPart] = []
        rank = 0
        for node, workers in placement:
            parts.append((site_pool.node_ids[node], site_pool.pool.layout.names[node], rank, workers))
            soon[:, node] -= workers * np.array([request.gpus, request.cpus, request.memory_mib])
            rank += workers
        self._usage.charge(head.group, request.gpus_in_all)
        earmark = Earmark(head.job, head.group, head.key.shape, site_pool.site, self._gpu_class, tuple(parts))
        self._earmarks.append(earmark)
        self._round.classes.next[head.row] += 1

    def _give_back(self, run: LiveRun) -> None:
        """Count as free what a run holds, in whatever pool that is."""
        amounts = np.array([run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker])
        for pool, site_pool in enumerate(self._round.site_pools):
            if (site_pool.site, site_pool.gpu_class) == (run.site, run.gpu_class):
                index, soon = site_pool.index, self._soon_of(pool)
                for node, workers in run.gang:
                    if node in index:
                        soon[:, index[node]] += workers * amounts

    def _soon_of(self, pool: int) -> IntArray:
        """What will be free on a pool's nodes (amount, node), the round's starts and earmarks taken off; kept."""
        if pool not in self._soon:
            site_pool, nodes = self._round.site_pools[pool], self._round.board.nodes
            here = slice(int(nodes.first[pool]), int(nodes.first[pool + 1]))
            before = np.stack((site_pool.pool.gpus, site_pool.pool.cpus, site_pool.pool.memory_mib))
            after = np.stack((nodes.gpus[here], nodes.cpus[here], nodes.memory[here]))
            self._soon[pool] = site_pool.soon - (before - after)
        return self._soon[pool]
