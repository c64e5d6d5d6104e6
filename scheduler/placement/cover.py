"""The cheapest way to free a number of nodes when each candidate offers a few ways to: a knapsack cover, exact.

The published rule: of all sets of ways, at most one a candidate, that free at least the nodes needed, the one with

1. the least cost; then the fewest runs ended; then the fewest runs touched (ended or shrunk);
2. then candidate by candidate from the first, a way before none and an earlier way before a later one: that is the
   lowest indices.

Nothing in such a set is idle: without any one of its ways it would be no cover, or it would not have been the least.

The method is the textbook's for the multiple-choice knapsack problem (Kellerer, Pferschy, Pisinger, "Knapsack Problems",
2004, chapters 7 and 11). A price of one node gives Lagrange's lower bound; a greedy cover gives an upper one; a way whose
reduced cost lies beyond the gap is in no cheapest cover, or in each of them. What remains goes through a dynamic
programme over (candidate, nodes still needed), one array operation a way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
#: int64, or Python's own whole numbers where int64 would overflow.
WholeArray = NDArray[Any]

#: Sums of two numbers below this stay within int64.
INT64_SAFE = 2**62


@dataclass(frozen=True, slots=True)
class Options:
    """What may be taken: arrays of one length, a way each; the ways of one candidate stand side by side.

    ``candidate`` ascends; ``freed`` is in nodes (0 or more), ``cost`` in GPU-milliseconds lost (0 or more), ``ended`` and
    ``touched`` are in runs, and each way touches at least one.
    """

    candidate: IntArray
    freed: IntArray
    cost: WholeArray
    ended: IntArray
    touched: IntArray

    def at(self, positions: IntArray) -> Options:
        """Only the ways at ascending ``positions``."""
        columns = (self.candidate, self.freed, self.cost, self.ended, self.touched)
        return Options(*(column[positions] for column in columns))


@dataclass(frozen=True, slots=True)
class Cover:
    """The cheapest cover: ascending positions of its ways, its cost, and Lagrange's bound under every cover's cost."""

    ways: tuple[int, ...]
    cost: int
    lower_bound: int


def cheapest_cover(costs: IntArray, nodes_freed: IntArray, needed: int) -> tuple[int, ...] | None:
    """Return the candidates, each whole or not at all, that free ``needed`` nodes at the least cost.

    ``costs`` are in GPU-milliseconds, ``nodes_freed`` in nodes. Ties go to fewer candidates, then to the lowest indices.
    The answer ascends; None says that all of them together would not do. O(candidates x needed).
    """
    ones = np.ones(len(costs), dtype=np.int64)
    cover = cheapest_ways(Options(np.arange(len(costs)), nodes_freed, costs, ones, ones), needed)
    return None if cover is None else cover.ways


def cheapest_ways(options: Options, needed: int) -> Cover | None:
    """Return the best set of ways by the published rule, or None where all candidates together free too few nodes.

    O(ways x needed) steps and bits where the bounds settle nothing; mostly far fewer.
    """
    if needed <= 0:
        return Cover((), 0, 0)
    useful = np.flatnonzero(options.freed > 0)
    if not len(useful):
        return None
    problem = _Problem.of(options.at(useful), needed)
    if int(problem.most.sum()) < needed:
        return None
    bounds = _bounded(problem)
    settled, open_ways = _fixed(problem, bounds)
    left = needed - int(problem.options.freed[settled].sum())
    upper = bounds.upper - int(problem.options.cost[settled].sum())
    open_ways = open_ways[_not_surplus(problem.options.at(open_ways), left)]
    chosen = open_ways[_programme(problem.options.at(open_ways), left, upper)]
    ways = np.sort(useful[np.concatenate((settled, chosen))])
    return Cover(tuple(ways.tolist()), sum(options.cost[ways].tolist()), bounds.lower)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Ways that free something, none of them more than is needed; ``starts`` is where each candidate's begin."""

    options: Options
    needed: int
    starts: IntArray
    group: IntArray
    most: IntArray

    @staticmethod
    def of(options: Options, needed: int) -> _Problem:
        """The problem of freeing ``needed`` nodes, in Python's whole numbers where int64 would overflow."""
        freed = np.minimum(options.freed, needed)
        new = np.diff(options.candidate, prepend=-1) != 0
        cost = options.cost
        if sum(cost.tolist()) * (needed + 1) >= INT64_SAFE:
            cost = cost.astype(object)
        options = Options(options.candidate, freed, cost, options.ended, options.touched)
        starts = np.flatnonzero(new)
        return _Problem(options, needed, starts, np.cumsum(new) - 1, np.maximum.reduceat(freed, starts))

    def freed_at(self, price: int) -> tuple[IntArray, WholeArray]:
        """What each candidate frees, and at what cost, when a node is worth ``price``; nothing where that is a loss."""
        reduced = self.options.cost - price * self.options.freed
        best = np.minimum.reduceat(reduced, self.starts)
        freed = np.maximum.reduceat(np.where(reduced == best[self.group], self.options.freed, 0), self.starts)
        freed = np.where(best < 0, freed, 0)
        return freed, np.where(best < 0, best + price * freed, 0)

    def all_freed(self) -> tuple[IntArray, WholeArray]:
        """The most that each candidate frees, at the least cost of that."""
        dear = max(self.options.cost.tolist()) + 1
        cost = np.where(self.options.freed == self.most[self.group], self.options.cost, dear)
        return self.most, np.minimum.reduceat(cost, self.starts)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """A price of one node, Lagrange's bound at that price, and the cost of some cover."""

    price: int
    lower: int
    upper: int


def _bounded(problem: _Problem) -> _Bounds:
    """Walk to the best price by secants: between a choice that frees too few nodes and one that frees enough.

    Any price p gives the bound p x needed + the sum over candidates of min(0, cost - p x freed).
    """
    few_freed, few_cost = np.zeros_like(problem.most), np.zeros_like(problem.options.cost, shape=problem.most.shape)
    enough_freed, enough_cost = problem.all_freed()
    few, enough = (0, 0), (int(enough_freed.sum()), int(enough_cost.sum()))
    bounds = (0, 0)
    while True:
        price = max(0, (enough[1] - few[1]) // (enough[0] - few[0]))
        freed, cost = problem.freed_at(price)
        found = (int(freed.sum()), int(cost.sum()))
        bounds = max(bounds, (found[1] + price * (problem.needed - found[0]), price))
        if found in (few, enough):
            break
        if found[0] < problem.needed:
            few, few_freed, few_cost = found, freed, cost
        else:
            enough, enough_freed, enough_cost = found, freed, cost
    upper = _trimmed(enough_freed, enough_cost, problem.needed)
    missing = problem.needed - few[0]
    closes = problem.options.freed - few_freed[problem.group] >= missing
    if closes.any():
        more = (problem.options.cost - few_cost[problem.group])[closes]
        upper = min(upper, few[1] + int(more.min()))
    return _Bounds(bounds[1], bounds[0], upper)


def _trimmed(freed: IntArray, cost: WholeArray, needed: int) -> int:
    """Leave out of a cover what it does not need, the dearest first; what remains costs so much."""
    idle, total = int(freed.sum()) - needed, int(cost.sum())
    order = np.argsort(-cost, kind="stable")
    for nodes, price in zip(freed[order].tolist(), cost[order].tolist(), strict=True):
        if not idle:
            break
        if nodes <= idle:
            idle -= nodes
            total -= price
    return total


def _fixed(problem: _Problem, bounds: _Bounds) -> tuple[IntArray, IntArray]:
    """Divide the ways: those in every cheapest cover, and those that may or may not be in one; the others are in none."""
    reduced = problem.options.cost - bounds.price * problem.options.freed
    best = np.minimum(np.minimum.reduceat(reduced, problem.starts), 0)
    gap = bounds.upper - bounds.lower
    possible = (reduced - best[problem.group] <= gap) & (problem.options.cost <= bounds.upper)
    count = np.add.reduceat(possible.astype(np.int64), problem.starts)
    forced = possible & ((count == 1) & (-best > gap))[problem.group]
    return np.flatnonzero(forced), np.flatnonzero(possible & ~forced)


def _not_surplus(options: Options, needed: int) -> IntArray:
    """Leave out candidates of one way that cannot matter: no more of one size than would cover all, the best ones."""
    if needed <= 0:
        return np.arange(len(options.freed))
    order = np.lexsort((options.touched, options.ended, options.cost, options.freed))
    order = order[np.bincount(options.candidate)[options.candidate[order]] == 1]
    sizes = options.freed[order]
    rank = np.arange(len(order)) - np.searchsorted(sizes, sizes)
    surplus = order[rank >= -(-needed // sizes)]
    return np.setdiff1d(np.arange(len(options.freed)), surplus, assume_unique=True)


def _programme(options: Options, needed: int, upper: int) -> IntArray:
    """Return the positions of the best cover that costs at most ``upper``, which exists.

    ``least[k]`` is the least (cost, ended, touched), as one number, by which the candidates looked at cover ``k`` nodes.
    Candidates are taken from the last to the first, so that the way back meets the first one first.
    """
    ways = len(options.freed)
    if needed <= 0 or not ways:
        return np.empty(0, dtype=np.int64)
    digit = 1 + max(int(options.ended.sum()), int(options.touched.sum()))
    never = (upper + 1) * digit * digit
    cost = options.cost if never < INT64_SAFE else options.cost.astype(object)
    price = (cost * digit + options.ended) * digit + options.touched
    prices = [price[way : way + 1] for way in range(ways)]  # adding an array of one is quicker than adding a number
    freed, candidate = np.minimum(options.freed, needed).tolist(), options.candidate.tolist()
    last = 2 * needed + 1
    table = np.zeros(last, dtype=cost.dtype)  # a need below zero is met: it costs nothing
    table[needed + 1 :] = never
    least, total = table[needed:], np.empty(needed + 1, dtype=cost.dtype)
    taken = np.empty((ways, needed + 1), dtype=np.bool_)
    before = table
    for way in range(ways - 1, -1, -1):
        if way == ways - 1 or candidate[way + 1] != candidate[way]:
            several = way > 0 and candidate[way - 1] == candidate[way]
            before = table.copy() if several else table  # one candidate's ways do not add up
        np.add(before[needed - freed[way] : last - freed[way]], prices[way], out=total)
        np.less_equal(total, least, out=taken[way])
        np.minimum(total, least, out=least)
    return _way_back(taken, freed, candidate, needed)


def _way_back(taken: NDArray[np.bool_], freed: list[int], candidate: list[int], needed: int) -> IntArray:
    chosen: list[int] = []
    used = -1
    for way in range(len(freed)):
        if needed <= 0:
            break
        if candidate[way] != used and taken[way, needed]:
            chosen.append(way)
            used = candidate[way]
            needed -= freed[way]
    return np.array(chosen, dtype=np.int64)
