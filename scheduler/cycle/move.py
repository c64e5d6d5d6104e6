"""Step 6, its second part: for heads that quotas admit and that have room in no place but in all together, move runs away.

A run that writes a checkpoint on the stop's signal may be moved within its site: it stops, and nodes are held on which its
job goes on. That is a preemption for those whose run it is: it has run for the minimum run time, may be preempted, and is
moved only together with an earmark that needs it, of a group that stays inside its fair share, so that nobody can take it
back. No more GPUs are moved than the head gets.

Nodes are emptied in the order of the lost work, then of the GPUs, for each worker that they then have room for; of the runs
on them each that can be spared stays, the dearest first. Then the gang and the moved runs, the largest first, are placed on
what is free. That is a heuristic: it may find no way where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from quota.admission import available_all
from scheduler.cycle.facts import ClassKey, LiveRun, WaitingJob
from scheduler.cycle.heads import Head, Heads
from scheduler.cycle.movable import MovableRuns
from scheduler.cycle.plan import Earmark, Plan, Reservation, Stop, StopCause
from scheduler.cycle.round import Round
from scheduler.cycle.soon import Soon, domains
from scheduler.model.ids import JobId, RunId
from scheduler.placement.displace import Displaced, Occupant, Room
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.request import Request
from scheduler.placement.waiting import tried_on

#: In a round so many kinds of heads of a GPU class are looked at, for each so many pools, those with the most free GPUs, and in
#: each pool so many domains, those with the most room.
HEADS_MAX, POOLS_MAX, DOMAINS_MAX = 8, 4, 16
#: More runs than this are not moved for one head; in each domain so many choices of them are tried, and so many in a round.
RUNS_MAX, CHOICES_MAX, TRIES_MAX = 32, 8, 128


@dataclass(frozen=True, slots=True)
class Moved:
    """What the step decides: every stop serves an earmark, and has its move."""

    stops: tuple[Stop, ...]
    earmarks: tuple[Earmark, ...]
    moves: tuple[Earmark, ...]


def move(
    round_: Round, soon: Soon, reservations: Sequence[Reservation], going: frozenset[RunId] = frozenset()
) -> Moved:
    """Go through the heads that are left, the group whose turn it is first.

    Runs that are ``going`` leave for another reason. Nodes and groups with ``reservations`` for others are left alone.
    Charges the round's usages, moves its classes on, and takes from ``soon``.
    """
    if not round_.waits_on:
        return Moved((), (), ())
    decided, movable = _Decided([], [], []), MovableRuns(round_, going)
    classes = round_.classes
    for choice in range(round_.choices.shape[1]):
        for number, gpu_class in enumerate(round_.gpu_classes):
            rows = tried_on(classes, round_.choices, choice, number)
            if not len(rows):
                continue
            rows = rows[_could_have(round_, soon, gpu_class, rows)]
            if len(rows):
                moves = _Moves(round_, soon, gpu_class, movable, reservations, decided)
                Heads(round_, gpu_class).serve(rows.tolist(), moves.make, HEADS_MAX)
    return Moved(tuple(decided.stops), tuple(decided.earmarks), tuple(decided.moves))


def jobs_moved(plan: Plan, runs: Mapping[RunId, LiveRun]) -> dict[JobId, WaitingJob]:
    """The jobs that a plan moves or has go on with another number of workers, as they wait once their ``runs`` have stopped:
    for those who apply it."""
    held = {earmark.job for earmark in (*plan.moves, *plan.sizes)}
    return {stop.job: _again(runs[stop.run]) for stop in plan.stops if stop.job in held}


def _could_have(round_: Round, soon: Soon, gpu_class: str, rows: IntArray) -> BoolArray:
    """Rows of jobs that quotas admit, inside their group's share, and for which a pool has enough free in all."""
    classes, usage = round_.classes, round_.usages[gpu_class]
    asked = (classes.workers * classes.gpus)[rows]
    pools = (number for number, pool in enumerate(round_.site_pools) if pool.gpu_class == gpu_class)
    could: BoolArray = asked <= max((soon.free_gpus(pool) for pool in pools), default=0)
    if not could.any():
        return could
    could &= asked <= available_all(usage)[classes.position[rows]]
    could &= asked <= (round_.shares(gpu_class).own - usage.own)[classes.position[rows]]
    could &= (classes.firm[rows] == 0) | (asked <= (usage.guaranteed - usage.used)[classes.position[rows]])
    return could


@dataclass(frozen=True, slots=True)
class _Decided:
    """What grows."""

    stops: list[Stop]
    earmarks: list[Earmark]
    moves: list[Earmark]


@dataclass(frozen=True, slots=True)
class _Way:
    """How room is made for a head in one pool."""

    pool: int
    moved: Displaced
    soon: Soon
    earmark: Earmark
    moves: tuple[Earmark, ...]


class _Anybody:
    """Quotas have nothing to say: the head is admitted, and what is moved holds as much as before."""

    def may_end(self, _: Occupant, /) -> bool:
        """Any run may go."""
        return True

    def end(self, _: Occupant, /) -> None:
        """That changes nothing."""

    def keep(self, _: Occupant, /) -> None:
        """Nor does that."""

    def suffices(self) -> bool:
        """Quotas take the gang."""
        return True


class _Moves:
    """Moves on one GPU class."""

    def __init__(
        self,
        round_: Round,
        soon: Soon,
        gpu_class: str,
        movable: MovableRuns,
        reservations: Sequence[Reservation],
        decided: _Decided,
    ) -> None:
        self._round, self._soon, self._gpu_class = round_, soon, gpu_class
        self._usage, self._decided = round_.usages[gpu_class], decided
        self._movable, self._tries = movable, TRIES_MAX
        self._reservations = [each for each in reservations if each.gpu_class == gpu_class]

    def make(self, head: Head) -> bool:
        """Make room for a head; answer whether that was done."""
        asked = head.request.gpus_in_all
        # Heads before it have been served.
        could = _could_have(self._round, self._soon, self._gpu_class, np.array([head.row]))
        if not could.all() or self._has_another_first(head):
            return False
        first, pools = self._round.venue_pools[self._gpu_class]
        venue = self._round.classes.venue[head.row]
        asking = [
            (pool, self._usable(pool, head.key, head.priority, {head.job}))
            for pool in pools[first[venue] : first[venue + 1]].tolist()
            if self._soon.free_gpus(pool) >= asked
        ]
        if any(self._fits(pool, head.request, self._soon.of(pool), usable).any() for pool, usable in asking):
            return False  # what leaves already is enough: it starts in its turn when that is gone
        asking.sort(key=lambda each: -self._soon.free_gpus(each[0]))
        ways = (way for pool, usable in asking[:POOLS_MAX] for way in self._ways_in(head, pool, usable))
        way = next(ways, None)
        if way is None or self._starts_as_soon(head, way):
            return False
        self._go(head, way)
        return True

    def _has_another_first(self, head: Head) -> bool:
        """Whether nodes are reserved for another job of its group, which counts on the group's quota."""
        return any(each.group == head.group and each.job != head.job for each in self._reservations)

    def _starts_as_soon(self, head: Head, way: _Way) -> bool:
        """Whether it is about to start by itself."""
        runs = self._round.snapshot.runs
        gone_ms = self._round.snapshot.now_ms + max(runs[RunId(each.run)].grace_ms for each in way.moved.occupants)
        return any(each.job == head.job and each.start_ms <= gone_ms for each in self._reservations)

    def _usable(self, pool: int, key: ClassKey, priority: int, jobs: Set[JobId]) -> BoolArray | None:
        """The nodes of a pool that a class may have, and that are not reserved for other ``jobs``."""
        usable, site_pool = self._round.usable(pool, key, priority), self._round.site_pools[pool]
        for each in self._reservations:
            if each.site == site_pool.site and each.job not in jobs:
                usable = np.ones(len(site_pool.node_ids), np.bool_) if usable is None else usable.copy()
                usable[[site_pool.index[part[0]] for part in each.gang]] = False
        return usable

    def _ways_in(self, head: Head, pool: int, usable: BoolArray | None) -> Iterator[_Way]:
        """At most one: of all domains of the pool the way that loses the least work."""
        ways = [way for within in self._domains(pool, head.request, usable) for way in self._ways(head, pool, within)]
        yield from sorted(ways, key=lambda each: each.moved.rank)[:1]

    def _fits(self, pool: int, request: Request, free: IntArray, usable: BoolArray | None) -> BoolArray:
        """By domain of the loosest level: whether the gang would fit there, were so much free."""
        found: BoolArray = self._sums(pool, request, free, usable) >= request.workers
        return found

    def _sums(self, pool: int, request: Request, free: IntArray, usable: BoolArray | None) -> IntArray:
        numbers = self._round.site_pools[pool].pool.layout.domains_of(request.loosest)
        return np.bincount(numbers, weights=_room(free, request, usable)).astype(np.int64)

    def _domains(self, pool: int, request: Request, usable: BoolArray | None) -> Iterator[BoolArray | None]:
        """The nodes that the gang may have together, where it would have room if all that can be moved were; most room first."""
        free, held = self._soon.of(pool), self._movable.of(pool).held
        fitting = np.flatnonzero(self._fits(pool, request, free + held, usable))
        most = np.argsort(-self._sums(pool, request, free, usable)[fitting], kind="stable")[:DOMAINS_MAX]
        return domains(self._round, pool, request, usable, fitting[most].tolist())

    def _ways(self, head: Head, pool: int, within: BoolArray | None) -> Iterator[_Way]:
        """At most one: the first choice of runs all of which have a place to go."""
        tried = (self._way(head, pool, within, moved) for moved in self._choices(head.request, pool, within))
        return islice((way for way in tried if way is not None), 1)

    def _way(self, head: Head, pool: int, within: BoolArray | None, moved: Displaced) -> _Way | None:
        """Where all go once these are moved; None where that is more than the head gets, or there is no room for one of them."""
        runs = [self._round.snapshot.runs[RunId(each.run)] for each in moved.occupants]
        if sum(run.gpus for run in runs) > head.request.gpus_in_all:
            return None
        trial = self._soon.trial(pool)
        for run in runs:
            trial.give_back(run)
        placement = trial.find(pool, head.request, within)
        assert placement is not None, "the runs that are moved leave room for the gang"
        site = self._round.site_pools[pool].site
        gang = trial.take(pool, head.request, placement)
        earmark = Earmark(head.job, head.group, head.key.shape, site, self._gpu_class, gang)
        moves: list[Earmark] = []
        for run in sorted(runs, key=lambda each: (-each.gpus, each.id)):
            again = _again(run)
            request = replace(Request.of(self._round.snapshot.shapes[again.shape]), workers=run.workers)
            usable = self._usable(pool, again.key, again.priority, {again.id, head.job})
            placement = trial.find(pool, request, usable)
            if placement is None:
                return None
            gang = trial.take(pool, request, placement)
            moves.append(Earmark(again.id, again.group, again.shape, site, self._gpu_class, gang))
        return _Way(pool, moved, trial, earmark, tuple(moves))

    def _choices(self, request: Request, pool: int, within: BoolArray | None) -> Iterator[Displaced]:
        """Whom to move so that a gang fits, the least lost work first; each choice leaves out one more node than the last."""
        free, movable = self._soon.of(pool), self._movable.of(pool)
        gain = _room(free + movable.held, request, within) - _room(free, request, within)
        nodes = np.flatnonzero(gain > 0)
        nodes = nodes[np.lexsort((movable.held[0, nodes] / gain[nodes], movable.cost[nodes] / gain[nodes]))]
        for left_out in range(min(CHOICES_MAX, len(nodes), self._tries)):
            self._tries -= 1
            room = Room(free, request, _Anybody(), within)
            ended: dict[int, Occupant] = {}
            for node in nodes[left_out:].tolist():
                for each in movable.on(node):
                    if each.run not in ended:
                        room.end(each)
                        ended[each.run] = each
                if room.fits or len(ended) > RUNS_MAX:
                    break
            if not room.fits:
                return
            yield Displaced.of(room.spare(list(ended.values())))

    def _go(self, head: Head, way: _Way) -> None:
        for each in way.moved.occupants:
            run = self._round.snapshot.runs[RunId(each.run)]
            self._decided.stops.append(Stop(run.id, run.job, StopCause.MOVED, head.job, run.grace_ms))
            self._movable.of(way.pool).drop(each)
        self._decided.earmarks.append(way.earmark)
        self._decided.moves.extend(way.moves)
        self._soon.adopt(way.soon)
        self._usage.charge(head.group, head.request.gpus_in_all)
        self._round.classes.next[head.row] += 1


def _again(run: LiveRun) -> WaitingJob:
    assert run.returns_as is not None, "only such runs are moved"
    return run.returns_as


def _room(free: IntArray, request: Request, within: BoolArray | None) -> IntArray:
    """Workers that fit on each node."""
    asked = np.array([request.gpus, request.cpus, request.memory_mib])
    counted = asked > 0
    room: IntArray = np.maximum((free[counted] // asked[counted, None]).min(axis=0), 0)
    return room if within is None else room * within
