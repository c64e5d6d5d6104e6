"""Step 6: for heads that found no place, shrink or end others' runs at little lost work, and hold for the head what they leave.

A run is ended only together with an earmark that needs it: for a job of higher priority in its own group (preempted), or
for a group below its share from one above its own (reclaimed); see ``entitlement``. It has run for the minimum run time and
may be preempted. What leaving runs hold counts as free already, since an earmark waits for all of them. What elastic runs have
beyond their least workers is given back first (``shrink``); it counts for nothing when shares say whose runs may be ended.
What others run in the cells of a head's group is called back before shares are asked (``call_back``).

Heads are gone through until none is served any more: a run that goes can leave room, and its group below its share. So the next
round on unchanged input stops nothing. Each time but the last serves a head, of which there are at most ``EARMARKS_MAX``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from quota.admission import Usage
from quota.fair_share import FairShares
from scheduler.cycle.call_back import CallingBack
from scheduler.cycle.entitlement import Claim
from scheduler.cycle.give_back import GivenBack
from scheduler.cycle.heads import EARMARKS_MAX, Head, Heads
from scheduler.cycle.in_the_way import InTheWay
from scheduler.cycle.plan import Earmark, Stop, StopCause
from scheduler.cycle.restart import Restarts
from scheduler.cycle.round import Round
from scheduler.cycle.shrink import Shrinking, Spares
from scheduler.cycle.soon import Soon, domains
from scheduler.model.ids import GroupId, RunId
from scheduler.placement.displace import Displaced, cheapest
from scheduler.placement.make_way import Gang, make_way
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.waiting import tried_on

_NOBODY = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What the step decides: every stop serves an earmark of the same list; ``sizes`` are for the jobs of runs that shrink."""

    stops: tuple[Stop, ...]
    earmarks: tuple[Earmark, ...]
    sizes: tuple[Earmark, ...] = ()


def reclaim(round_: Round, soon: Soon, given_back: GivenBack) -> Reclaimed:
    """Serve the heads that are left, the group whose turn it is first, until none can claim anything.

    Runs that are ``given_back`` are nobody's to end, and what they hold goes to their lender. Their groups' quota they hold no
    more, as if they were leaving already: the next round finds them so, and has to find nothing else to claim (law 4).
    Charges and releases the round's usages, moves its classes on, and takes from ``soon``.
    """
    if not round_.waits_on:
        return Reclaimed((), ())
    decided = _Decided([], [], [], [])
    leaving = [
        (usage, group, gpus)
        for gpu_class, usage in round_.usages.items()
        for group, gpus in round_.snapshot.leaving(gpu_class)
    ]
    leaving += _told_to_go(round_, given_back)
    # What is earmarked waits until they are gone; what starts, and what is told of the rest, counts them.
    for usage, group, gpus in leaving:
        usage.release(group, gpus)
    going = frozenset(stop.run for stop in given_back.stops)
    restarts = Restarts(round_, going)
    on = {
        gpu_class: _OnClass(round_, soon, gpu_class, number, going, restarts, decided)
        for number, gpu_class in enumerate(round_.gpu_classes)
    }
    while sum([on[gpu_class].serve(choice) for choice in range(round_.choices.shape[1]) for gpu_class in on]):
        # A group that lost a run may be below its share now, and what else a run held is free for others.
        round_.share_anew(decided.earmarks)
    for usage, group, gpus in (*leaving, *decided.released):
        usage.charge(group, gpus)
    return Reclaimed(tuple(decided.stops), tuple(decided.earmarks), tuple(decided.sizes))


def _told_to_go(round_: Round, given_back: GivenBack) -> Iterator[tuple[Usage, GroupId, int]]:
    """What given back runs hold, but for what they keep where they go on with fewer workers."""
    snapshot = round_.snapshot
    kept = {each.job: each for each in given_back.sizes}
    for stop in given_back.stops:
        run, size = snapshot.runs[stop.run], kept.get(stop.job)
        workers = 0 if size is None else sum(workers for _, _, _, workers in size.gang)
        yield round_.usages[run.gpu_class], run.group, run.gpus - workers * run.gpus_per_worker


@dataclass(frozen=True, slots=True)
class _Decided:
    """What grows. ``released`` is what stops have made usages forget, (usage, group, GPUs)."""

    stops: list[Stop]
    earmarks: list[Earmark]
    sizes: list[Earmark]
    released: list[tuple[Usage, GroupId, int]]


class _OnClass:
    """The step on one GPU class, as often as anything changes."""

    def __init__(
        self,
        round_: Round,
        soon: Soon,
        gpu_class: str,
        number: int,
        going: frozenset[RunId],
        restarts: Restarts,
        decided: _Decided,
    ) -> None:
        self._round, self._soon, self._gpu_class, self._number = round_, soon, gpu_class, number
        self._going, self._decided = going, decided
        self._spares, self._called = Spares(round_, soon, gpu_class, restarts), CallingBack(round_, soon, gpu_class)
        self._left = EARMARKS_MAX

    def serve(self, choice: int) -> int:
        """Serve heads of which this class is the candidate of that number; answer how many were served."""
        round_, gpu_class = self._round, self._gpu_class
        rows = tried_on(round_.classes, round_.choices, choice, self._number) if self._left else _NOBODY
        if len(rows):
            could = _could_claim(round_, gpu_class, rows) | self._spares.might_serve(rows)
            rows = rows[could | self._called.might_serve(rows)]
        if not len(rows) or not self._claims.are_any:
            return 0
        self._claims.forget_shares()
        served = Heads(round_, gpu_class).serve(rows.tolist(), self._claims.claim, served_max=self._left)
        self._left -= served
        return served

    @cached_property
    def _claims(self) -> _Claims:
        return _Claims(
            self._round,
            self._soon,
            self._gpu_class,
            self._going,
            self._spares,
            self._called,
            self._decided,
        )


def _could_claim(round_: Round, gpu_class: str, rows: IntArray) -> BoolArray:
    """Rows whose group is below its share by so much, or runs something of lower priority than their head."""
    classes, usage = round_.classes, round_.usages[gpu_class]
    owner, priority, gpus = round_.snapshot.use(gpu_class).displaceable
    there = gpus > 0
    if not there.any():
        return np.zeros(len(rows), np.bool_)
    position, asked = classes.position[rows], (classes.workers * classes.gpus)[rows]
    shares = round_.shares(gpu_class).own
    below = asked <= (shares - usage.own)[position]
    lowest = np.full(len(usage.tree), np.iinfo(np.int64).max)
    np.minimum.at(lowest, owner[there], priority[there])
    below &= bool((usage.own > shares)[owner[there]].any())
    could: BoolArray = below | (lowest[position] < -classes.minus_priority[classes.next[rows]])
    return could


class _Claims:
    """Claims on one GPU class."""

    def __init__(
        self,
        round_: Round,
        soon: Soon,
        gpu_class: str,
        going: frozenset[RunId],
        spares: Spares,
        called: CallingBack,
        decided: _Decided,
    ) -> None:
        self._round, self._soon, self._gpu_class = round_, soon, gpu_class
        self._usage = round_.usages[gpu_class]
        self._way = InTheWay(round_.snapshot, round_.site_pools, gpu_class, self._usage, going)
        self._spares, self._called, self._decided = spares, called, decided

    @property
    def _shares(self) -> FairShares:
        return self._round.shares(self._gpu_class)

    @property
    def are_any(self) -> bool:
        """Whether there is a run that may be ended or shrunk for anybody."""
        return len(self._way) > 0 or self._spares.are_any

    def forget_shares(self) -> None:
        """They may be others now."""
        self._way.forget_shares()

    def claim(self, head: Head) -> bool:
        """Find whom to shrink or to end for a head, and hold for it what they leave."""
        shrinking = self._spares.find(head)
        if shrinking is None:
            return self._call_back(head) or self._end_others(head)
        if not shrinking.dropped:
            return False  # what leaves already is enough: it starts in its turn when that is gone
        self._shrink(head, shrinking)
        return True

    def _shrink(self, head: Head, shrinking: Shrinking) -> None:
        runs = [self._round.snapshot.runs[run] for run in shrinking.runs]
        sizes = self._spares.give(shrinking)
        for run, size in zip(runs, sizes, strict=True):
            self._decided.stops.append(Stop(run.id, run.job, StopCause.SHRUNK, head.job, run.grace_ms))
            self._decided.released.append((self._usage, run.group, run.gpus - size.workers * run.gpus_per_worker))
            self._way.stop(run)
        self._decided.sizes.extend(sizes)
        self._hold(head, shrinking.pool)

    def _call_back(self, head: Head) -> bool:
        found = self._called.find(head, self._way)
        if found is None:
            return False
        self._end(head, *found)
        return True

    def _end_others(self, head: Head) -> bool:
        asked = head.request.gpus_in_all
        kept = self._spares.beyond(self._shares)
        numbers = self._way.might_go(self._shares, kept, head.position, asked, head.priority)
        if not len(numbers):
            return False
        first, pools = self._round.venue_pools[self._gpu_class]
        venue = self._round.classes.venue[head.row]
        given = self._way.gpus_by_pool(numbers, len(self._round.site_pools))
        mine = pools[first[venue] : first[venue + 1]].tolist()
        mine = [pool for pool in mine if int(self._soon.of(pool)[0].sum()) + int(given[pool]) >= asked]
        usable = {pool: self._round.usable(pool, head.key, head.priority) for pool in mine}
        claim = Claim(self._usage, kept, head.group, asked, firm=head.firm, run_of=self._way.run)
        # Runs in other pools are ended only where quotas, and not nodes, are in the way.
        for with_others in (False,) if claim.suffices() else (False, True):
            choices: list[tuple[Displaced, int]] = []
            for pool in mine:
                order = self._way.ordered(numbers, pool, with_others=with_others)
                for within in domains(self._round, pool, head.request, usable[pool]):
                    found = self._displace(head, order, pool, claim, kept, within)
                    if found is None:
                        continue
                    if not found.occupants:
                        return False  # what leaves already is enough: it starts in its turn when that is gone
                    choices.append((found, pool))
            if choices:
                self._end(head, *min(choices, key=lambda each: each[0].rank))
                return True
        return False

    def _displace(
        self, head: Head, order: IntArray, pool: int, claim: Claim, kept: FairShares, within: BoolArray | None
    ) -> Displaced | None:
        """Choose whom of the runs ``order`` to end so that a head fits ``within`` a pool; None where that cannot be had."""
        free, request = self._soon.of(pool), head.request
        usable = np.ones(free.shape[1], np.bool_) if within is None else within
        gang = Gang(request.workers, request.gpus, request.cpus, request.memory_mib, head.position, head.firm)
        needed, quotas = np.empty(len(order), np.int64), self._round.quotas(self._gpu_class)._replace(share=kept.own)
        count = make_way(free, usable, pool, gang, self._way.columns, order, quotas, kept.share, needed)
        if count < 0:
            return None
        found = Displaced.of(self._way.occupant(number, pool) for number in needed[:count].tolist())
        return cheapest(free, request, self._way.occupants(order, pool), found, claim, within)

    def _end(self, head: Head, displaced: Displaced, pool: int, within: BoolArray | None = None) -> None:
        for each in displaced.occupants:
            run = self._way.run(each.run)
            cause = StopCause.PREEMPTED if run.group == head.group else StopCause.RECLAIMED
            self._decided.stops.append(Stop(run.id, run.job, cause, head.job, run.grace_ms))
            self._decided.released.append((self._usage, run.group, run.gpus))
            self._way.stop(run)
            self._spares.forget(run.id)
            self._usage.release(run.group, run.gpus)
            self._soon.give_back(run)
        self._hold(head, pool, within)

    def _hold(self, head: Head, pool: int, within: BoolArray | None = None) -> None:
        """On ``within`` of the pool's nodes; None: on any that the head may use."""
        usable = self._round.usable(pool, head.key, head.priority) if within is None else within
        placement = self._soon.find(pool, head.request, usable)
        assert placement is not None, "what leaves makes room for the gang"
        gang = self._soon.take(pool, head.request, placement)
        self._usage.charge(head.group, head.request.gpus_in_all)
        self._way.forget_shares()
        site = self._round.site_pools[pool].site
        self._decided.earmarks.append(Earmark(head.job, head.group, head.key.shape, site, self._gpu_class, gang))
        self._round.classes.next[head.row] += 1
