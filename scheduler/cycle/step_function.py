"""Numbers of nodes over time that change at moments and stay the same between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from scheduler.model.errors import InvariantBroken

IntArray = NDArray[np.int64]

#: At a moment, so many nodes more or fewer.
Change = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class StepFunction:
    """``nodes[i]`` from ``times_ms[i]`` on until before ``times_ms[i + 1]``; the last number has no end.

    Both are int64 arrays of one length, at least 1; times rise strictly. Nothing is known before the first: asking for
    it raises InvariantBroken.
    """

    times_ms: IntArray
    nodes: IntArray

    @staticmethod
    def of(start_ms: int, nodes: int, changes: Iterable[Change] = ()) -> StepFunction:
        """``nodes`` from ``start_ms`` on, and what changes; earlier changes have happened by then."""
        by_time = {start_ms: nodes}
        for at_ms, by in changes:
            known_ms = max(at_ms, start_ms)
            by_time[known_ms] = by_time.get(known_ms, 0) + by
        times = sorted(by_time)
        steps = list(accumulate(by_time[at_ms] for at_ms in times))
        return StepFunction(np.array(times, dtype=np.int64), np.array(steps, dtype=np.int64))

    @staticmethod
    def total(functions: Sequence[StepFunction]) -> StepFunction:
        """The sum of one function or more, from where all of them are known."""
        times = common_times(functions)
        nodes = functions[0].over(times)
        for each in functions[1:]:
            nodes = nodes + each.over(times)
        return StepFunction(times, nodes)

    @property
    def start_ms(self) -> int:
        """Where it begins."""
        return int(self.times_ms[0])

    def at(self, at_ms: int) -> int:
        """Nodes at a moment."""
        return int(self.nodes[self._index(at_ms)])

    def over(self, times_ms: IntArray) -> IntArray:
        """Nodes at each of some moments, none of them before the start."""
        return self.nodes[self.times_ms.searchsorted(times_ms, side="right") - 1]

    def less(self, other: StepFunction) -> StepFunction:
        """What is left when ``other`` is taken; it may be negative."""
        return StepFunction.total([self, StepFunction(other.times_ms, -other.nodes)])

    def minimum(self, from_ms: int, to_ms: int | None) -> int:
        """The fewest nodes at any moment of [from_ms, to_ms), which is not empty; None has no end."""
        last = len(self.times_ms) if to_ms is None else int(self.times_ms.searchsorted(to_ms))
        return int(self.nodes[self._index(from_ms) : last].min())

    def first_below(self, nodes: int, from_ms: int) -> int | None:
        """The first moment from ``from_ms`` on with fewer than ``nodes``; None: never."""
        index = self._index(from_ms)
        below = self.nodes[index:] < nodes
        found = int(below.argmax())
        return max(from_ms, int(self.times_ms[index + found])) if below[found] else None

    def next_drop(self, now_ms: int) -> tuple[int, int] | None:
        """The first moment after ``now_ms`` at which there are fewer nodes than just before, and how many; None: never."""
        index = self._index(now_ms)
        falls = np.diff(self.nodes[index:]) < 0
        if not falls.any():
            return None
        found = index + 1 + int(falls.argmax())
        return int(self.times_ms[found]), int(self.nodes[found])

    def _index(self, at_ms: int) -> int:
        index = int(self.times_ms.searchsorted(at_ms, side="right")) - 1
        if index < 0:
            raise InvariantBroken(f"asked about {at_ms}, but nothing is known before {self.start_ms}")
        return index


def common_times(functions: Sequence[StepFunction]) -> IntArray:
    """Every moment at which one of them changes, from where all of them are known."""
    start_ms = max(each.start_ms for each in functions)
    times = np.concatenate([each.times_ms for each in functions])
    times.sort()
    times = times[times.searchsorted(start_ms) :]
    return times[np.concatenate(([True], times[1:] != times[:-1]))]
