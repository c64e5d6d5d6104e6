"""The sweep behind ``certificate_completion``: all jobs walk forward in time together, swapping dear seconds for cheap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.cycle.certificate_case import FloatArray, IntArray


class Pieces(NamedTuple):
    """Stretches of time, by job and then time: the bin, the start after the release, the length, a second's price."""

    job: IntArray
    bin: IntArray
    start: FloatArray
    length: FloatArray
    price: FloatArray

    def of(self, chosen: NDArray[np.bool_]) -> Pieces:
        """Return some of them."""
        return Pieces(self.job[chosen], self.bin[chosen], self.start[chosen], self.length[chosen], self.price[chosen])


class Walk:
    """The state of the sweep.

    Over pieces: ``_ranked`` lists them by job and falling price, ``_rank_of`` is its inverse. Over all jobs: ``cost``
    is the least found so far and ``_stop`` the completion where it was found, with the pointer and what was held
    there. Over the jobs still walking: ``_place`` is the piece swept now and ``_inside`` how much of it is behind;
    ``_pointer`` is the rank of the dearest piece held and ``_left`` how much of it is; ``_spent`` is the sum of the
    prices held; ``_end`` is one past the job's last piece, and its last rank.
    """

    def __init__(self, pieces: Pieces, duration: FloatArray, cost: FloatArray, spent_min: FloatArray) -> None:
        """Start where each job has run at once, at ``cost``. Every job with pieces holds those before ``duration``."""
        self._pieces = pieces
        self._ranked = np.lexsort((-pieces.price, pieces.job))
        self._rank_of = np.empty(len(self._ranked), dtype=np.int64)
        self._rank_of[self._ranked] = np.arange(len(self._ranked))
        self.cost = cost.copy()
        self._stop, self._stop_pointer, self._stop_left = duration.copy(), np.full(len(cost), -1), np.zeros(len(cost))
        counts = np.bincount(pieces.job, minlength=len(cost))
        held = np.bincount(pieces.job[pieces.start < duration[pieces.job]], minlength=len(cost))
        self._job = np.flatnonzero(counts)
        self._end = np.cumsum(counts)[self._job]
        self._pointer = self._end - counts[self._job]
        self._place = self._pointer + held[self._job]
        self._inside = np.zeros(len(self._job))
        self._left = pieces.length[self._ranked[self._pointer]]
        self._spent = (cost - duration)[self._job]
        self._spent_min = spent_min[self._job]

    def finish(self) -> None:
        """Walk until no job can complete at less cost."""
        while len(self._job):
            self._step()
            place = np.minimum(self._place, len(self._ranked) - 1)
            alive = (self._place < self._end) & (self._pointer < self._end)
            alive &= self._pieces.start[place] + self._spent_min < self.cost[self._job]
            if not alive.all():
                self._keep(alive)

    def seconds(self) -> FloatArray:
        """Return how much of each piece is held at the best completion of its job."""
        pieces = self._pieces
        pointer = self._stop_pointer[pieces.job]
        before = np.clip(self._stop[pieces.job] - pieces.start, 0.0, pieces.length)
        at_pointer = np.where(self._rank_of == pointer, self._stop_left[pieces.job], 0.0)
        return np.where(self._rank_of > pointer, before, at_pointer)

    def _step(self) -> None:
        """Sweep each job to its next event: the end of a piece, or the end of what is held at the pointer."""
        pieces, place = self._pieces, self._place
        room = pieces.length[place] - self._inside
        swaps = self._rank_of[place] > self._pointer
        moved = np.where(swaps, np.minimum(room, self._left), 0.0)
        gain = pieces.price[self._ranked[self._pointer]] - pieces.price[place]
        self._spent -= gain * moved
        self._inside += moved
        self._left -= moved
        completion = pieces.start[place] + self._inside
        total = completion + self._spent
        better = np.flatnonzero(swaps & (total < self.cost[self._job]))
        if len(better):
            job = self._job[better]
            self.cost[job], self._stop[job] = total[better], completion[better]
            self._stop_pointer[job], self._stop_left[job] = self._pointer[better], self._left[better]
        passed = ~swaps | (moved >= room)
        self._place = place + passed
        self._sink(np.flatnonzero(swaps & (self._left <= 0.0)), passed)
        self._inside[passed] = 0.0

    def _sink(self, walkers: IntArray, passed: NDArray[np.bool_]) -> None:
        """Move the pointers of some walkers on to the next dearest piece of which they hold anything."""
        while len(walkers):
            self._pointer[walkers] += 1
            walkers = walkers[self._pointer[walkers] < self._end[walkers]]
            piece = self._ranked[self._pointer[walkers]]
            behind = piece < self._place[walkers]
            inside = np.where((piece == self._place[walkers]) & ~passed[walkers], self._inside[walkers], 0.0)
            self._left[walkers] = np.where(behind, self._pieces.length[piece], inside)
            walkers = walkers[~behind & (inside <= 0.0)]

    def _keep(self, alive: NDArray[np.bool_]) -> None:
        """Forget the walkers that are done."""
        self._job, self._end, self._place, self._pointer = (
            array[alive] for array in (self._job, self._end, self._place, self._pointer)
        )
        self._inside, self._left, self._spent, self._spent_min = (
            array[alive] for array in (self._inside, self._left, self._spent, self._spent_min)
        )
