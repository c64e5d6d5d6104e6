"""Step 5: nodes are reserved for a job that cannot start though its group is owed so much, from when they will be free.

Backfill: whoever comes after it may have these nodes until then, by walltime, and no longer. Without that the small jobs of
others, which fit into whatever is freed, would keep a big gang waiting without bound.

The published rule, by GPU class:

1. When in its turn the first job of a group cannot start, though the group is below its share and no quota on its path would
   keep the job from starting, nodes are looked for. One job a group is looked at, ``LOOKS_MAX`` in a round, and each on its
   last candidate class alone. Jobs that found room on none of their classes have come too late for their turn on the last one,
   behind all that name it first: then all is handed out anew, and they are tried there together with these.
2. The moment is the first at which a pool has room for the gang, when runs end as they are expected to and earlier
   reservations stand; a node counts for as long as its lender's windows, recalls and maintenance let such a job start on it. Of
   pools with the same moment the one with the fewest free GPUs is taken, ties by site name; inside, nodes go by the rule of
   ``placement.board``. Where runs that end at no known time are in the way, nothing is reserved.
   What comes before the gang in its group, and waits for its turn on another class, may still have the nodes first.
3. Who would still be on such a node at the moment may have of it what the reservation leaves. The same goes for what the group's
   later jobs take of its share.

EASY (Lifka, 1995) reserves for the first job alone, conservative backfilling (Mu'alem and Feitelson, 2001) for all. Nothing is
kept between rounds: each works it out anew, so that a run that ends early brings the moment forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scheduler.cycle.leaving import Leaving
from scheduler.cycle.plan import Earmark, GangPart, Reservation
from scheduler.cycle.round import Round
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import JobId
from scheduler.placement.board import Board
from scheduler.placement.moment import first_moment
from scheduler.placement.pool import BoolArray, IntArray, Pool
from scheduler.placement.request import Placement, Request

LOOKS_MAX = 16


def unserved(reservations: Sequence[Reservation], earmarks: Sequence[Earmark]) -> tuple[Reservation, ...]:
    """Those whose jobs have got no earmark since: who has one counts on no other nodes."""
    served = {each.job for each in earmarks}
    return tuple([each for each in reservations if each.job not in served])


class _Found(NamedTuple):
    """Where a gang fits first, and what is free of that pool's nodes by then (3, node)."""

    moment: int
    pool: int
    free: IntArray
    placement: Placement


class Reservations:
    """Those of one GPU class in one round."""

    def __init__(self, round_: Round, gpu_class: str, made: list[Reservation]) -> None:
        """Those that are made are put behind ``made``."""
        self._round, self._gpu_class = round_, gpu_class
        self._usage, self._shares = round_.usages[gpu_class], round_.shares(gpu_class)
        self._later = round_.later[gpu_class]
        self._looks = 0
        self._taken: dict[int, IntArray] = {}  # by pool: what is reserved of its nodes
        self._leaving = Leaving(round_, gpu_class)
        self._made = made

    def begin(self, choice: int, in_turn: BoolArray | None) -> None:
        """Jobs are now tried on their candidate of this number; rows ``in_turn`` on their last one, together with the first."""
        last = self._round.last_choice == choice
        now = last
        if in_turn is not None:
            now = last | in_turn if choice == 0 else last & ~in_turn
        now = now & (self._round.last_class == self._round.gpu_classes.index(self._gpu_class))
        self._later.last[:] = now & (self._looks < LOOKS_MAX) & self._leaving.is_any
        self._later.done[:] = False

    def might_ask(self, rows: IntArray) -> BoolArray:
        """Which of these classes nodes might be reserved for."""
        position = self._round.classes.position[rows]
        below = (self._usage.own < self._shares.own)[position]
        might: BoolArray = self._later.last[rows] & ~self._later.looked[position] & below
        return might

    def look(self, row: int) -> None:
        """Reserve nodes for the head of a class, where there will be any."""
        self._looks += 1
        if self._looks == LOOKS_MAX:
            self._later.last[:] = False
        request = Request.of(self._round.snapshot.shapes[self._round.snapshot.table.key(row).shape])
        found = self._find(row, request)
        if found is not None:
            self._hold(row, request, found)

    def _find(self, row: int, request: Request) -> _Found | None:
        round_ = self._round
        venue = round_.classes.venue[row]
        first, pools = round_.venue_pools[self._gpu_class]
        best: tuple[int, int, int] | None = None
        free_then: dict[int, tuple[IntArray, BoolArray]] = {}
        for turn, pool in enumerate(pools[first[venue] : first[venue + 1]].tolist()):
            moment, free, usable = self._first_moment(row, request, pool)
            if moment >= 0:
                free_then[turn] = free, usable
                rank = (moment, int(free[0][usable].sum()), turn)
                best = rank if best is None else min(best, rank)
        if best is None:
            return None
        moment, _, turn = best
        pool = int(pools[first[venue] + turn])
        free, usable = free_then[turn]
        board = Board([Pool(round_.site_pools[pool].pool.layout, *np.maximum(free * usable, 0))])
        placements = (board.place(0, request, level) for level in request.levels())
        placement = next(each for each in placements if each is not None)
        return _Found(moment, pool, free, placement)

    def _first_moment(self, row: int, request: Request, pool: int) -> tuple[int, IntArray, BoolArray]:
        """The first moment in one pool (-1 for none), what is free then, and which nodes may be had then."""
        round_ = self._round
        nodes, parts = round_.board.nodes, self._leaving.of(pool)
        here = slice(int(nodes.first[pool]), int(nodes.first[pool + 1]))
        free = np.stack((nodes.gpus[here], nodes.cpus[here], nodes.memory[here]))
        if not len(parts.end):
            return -1, free, free[0] < 0
        for held in (self._taken.get(pool), round_.site_pools[pool].over):
            if held is not None:
                free -= held
        priority = -int(round_.classes.minus_priority[round_.classes.next[row]])
        key = round_.snapshot.table.key(row)
        until = round_.latest_starts(pool, key, priority)
        # Who has a cell may want it before: what is lent of it can be had now, but not counted on.
        if round_.snapshot.cells.holders:
            until = np.where(round_.snapshot.kept_from(round_.site_pools[pool], key.group), -1, until)
        asked = (request.workers, request.gpus, request.cpus, request.memory_mib)
        domains = round_.site_pools[pool].pool.layout.domains_of(request.loosest)
        moments = [
            int(first_moment(free.copy(), *parts, np.where(domains == number, until, -1), *asked))
            for number in range(int(domains.max(initial=-1)) + 1)
        ]
        moment = min((each for each in moments if each >= 0), default=-1)
        gone = parts.end <= moment
        for amount in range(3):
            np.add.at(free[amount], parts.node[gone], parts.amounts[amount, gone])
        return moment, free, until >= moment

    def _hold(self, row: int, request: Request, found: _Found) -> None:
        round_ = self._round
        nodes, classes, site_pool = round_.board.nodes, round_.classes, round_.site_pools[found.pool]
        taken = self._taken.setdefault(found.pool, np.zeros((3, len(site_pool.node_ids)), np.int64))
        parts: list[GangPart] = []
        rank = 0
        for index, workers in found.placement:
            at = int(nodes.first[found.pool]) + index
            amounts = workers * np.array([request.gpus, request.cpus, request.memory_mib])
            spare = found.free[:, index] - amounts
            held = nodes.held_from[at] < NEVER_MS
            nodes.spare[:, at] = np.minimum(nodes.spare[:, at], spare) if held else spare
            nodes.held_from[at] = min(int(nodes.held_from[at]), found.moment)
            taken[:, index] += amounts
            parts.append((site_pool.node_ids[index], site_pool.pool.layout.names[index], rank, workers))
            rank += workers
        nodes.held[found.pool] = True
        position, asked = int(classes.position[row]), request.gpus_in_all
        stays = int(self._usage.own[position]) - self._leaving.gone_by(position, found.moment)
        self._later.from_ms[position] = found.moment
        self._later.room[position] = int(self._shares.own[position]) - stays - asked
        key, job = round_.snapshot.table.key(row), JobId(int(classes.job[classes.next[row]]))
        round_.reserved[job] = found.pool, tuple(index for index, _ in found.placement)
        self._made.append(
            Reservation(job, key.group, key.shape, site_pool.site, self._gpu_class, tuple(parts), found.moment)
        )
