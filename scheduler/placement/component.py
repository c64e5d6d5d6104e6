"""Ways to empty nodes that share runs: all that can be best where nodes are few, a greedy sequence where they are many.

Ending a run frees a part of each of its nodes, so nodes that share a run, and runs that share a node, have to be looked
at together. Such a component is a candidate of ``cover``: a way empties some of its nodes at some cost.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from scheduler.placement.cover import INT64_SAFE
from scheduler.placement.occupancy import NEVER, Leaving

#: Up to so many choices arrays are not worth their while.
FEW_CHOICES = 64

#: By node, the (run, workers) on it.
Standing = Mapping[int, Sequence[tuple[int, int]]]
#: (run, node that its workers leave); ``EVERYWHERE`` for a run that is ended.
Action = tuple[int, int]
EVERYWHERE = -1


class Way(NamedTuple):
    """Nodes emptied, GPU-milliseconds lost, runs ended, runs touched; and how: the first ``steps`` of ``actions``."""

    freed: int
    cost: int
    ended: int
    touched: int
    actions: Sequence[Action]
    steps: int


def components(standing: Standing) -> list[dict[int, Sequence[tuple[int, int]]]]:
    """Divide nodes into those connected by runs; each part and the list of them in the order of nodes."""
    head: dict[int, int] = {}

    def top(run: int) -> int:
        while head[run] != run:
            head[run] = head[head[run]]
            run = head[run]
        return run

    for runs in standing.values():
        first = top(head.setdefault(runs[0][0], runs[0][0]))
        for run, _ in runs[1:]:
            head.setdefault(run, run)
            head[top(run)] = first
    parts: dict[int, dict[int, Sequence[tuple[int, int]]]] = {}
    for node in sorted(standing):
        parts.setdefault(top(standing[node][0][0]), {})[node] = standing[node]
    return list(parts.values())


def exact_ways(standing: Standing, leaving: Leaving, choices_max: int) -> list[Way] | None:
    """Return every way that a cheapest cover may need, ascending by nodes; None where choices are more than the maximum.

    A choice is how many nodes of each class are emptied; nodes on which the same runs have as many workers are a class.
    Without an elastic run it is none or all of them. Emptying takes the lowest nodes of a class.
    """
    classes: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for node in sorted(standing):
        classes.setdefault(tuple(standing[node]), []).append(node)
    levels = [
        range(len(nodes) + 1) if any(leaving.droppable[run] for run, _ in signature) else (0, len(nodes))
        for signature, nodes in classes.items()
    ]
    choices = prod(len(level) for level in levels)
    if choices > choices_max:
        return None
    if choices <= FEW_CHOICES and not any(isinstance(level, range) for level in levels):
        return _rigid_ways(classes, leaving)
    runs = sorted({run for signature in classes for run, _ in signature})
    workers = np.array([[dict(signature).get(run, 0) for run in runs] for signature in classes], dtype=np.int64)
    return _best_choices(
        np.array(list(product(*levels)), dtype=np.int64), workers, list(classes.values()), runs, leaving
    )


def _best_choices(
    choices: NDArray[np.int64], workers: NDArray[np.int64], classes: list[list[int]], runs: list[int], leaving: Leaving
) -> list[Way]:
    """Of ``choices`` (a row each, nodes by class), keep those that no better choice makes needless."""
    dropped = choices @ workers
    droppable = np.array([leaving.droppable[run] for run in runs])
    most = dropped.max(axis=0).tolist()
    dear = sum(max(leaving.cost[run], leaving.shrink_cost[run] * each) for run, each in zip(runs, most, strict=True))
    whole = np.int64 if dear < INT64_SAFE else object
    ending = np.array([leaving.cost[run] for run in runs], dtype=whole)
    shrinking = np.array([leaving.shrink_cost[run] for run in runs], dtype=whole) * dropped
    fits = dropped <= droppable
    ended = ~fits | ((ending != NEVER) & (shrinking > ending)).astype(np.bool_)
    lawful = ~(ended & (ending == NEVER).astype(np.bool_)).any(axis=1)
    costs = np.where(ended, ending, shrinking).sum(axis=1)
    totals = (choices.sum(axis=1), ended.sum(axis=1), (dropped > 0).sum(axis=1))
    keys = []
    for row in np.flatnonzero(lawful).tolist():
        freed, ends, touched = (int(total[row]) for total in totals)
        keys.append((freed, (int(costs[row]), ends, touched, row)))
    ways = []
    for freed, (cost, ends, touched, row) in _undominated(keys):
        actions = _actions(choices[row].tolist(), ended[row].tolist(), workers.tolist(), classes, runs)
        ways.append(Way(freed, cost, ends, touched, actions, len(actions)))
    return ways


def _rigid_ways(classes: Mapping[tuple[tuple[int, int], ...], Sequence[int]], leaving: Leaving) -> list[Way]:
    """Every union of classes of nodes whose runs can only be ended, with what else that empties."""
    stood = [(frozenset(run for run, _ in signature), len(nodes)) for signature, nodes in classes.items()]
    unions: set[frozenset[int]] = {frozenset()}
    for runs, _ in stood:
        unions |= {union | runs for union in unions}
    keys = []
    for union in unions:
        freed = sum(size for runs, size in stood if runs <= union)
        keys.append((freed, (sum(leaving.cost[run] for run in union), len(union), len(union), sorted(union))))
    return [
        Way(freed, cost, ends, touched, [(run, EVERYWHERE) for run in union], len(union))
        for freed, (cost, ends, touched, union) in _undominated(keys)
    ]


_Key = TypeVar("_Key", bound=tuple[Any, ...])


def _undominated(choices: Iterable[tuple[int, _Key]]) -> list[tuple[int, _Key]]:
    """Of (nodes freed, key that begins with cost, ended, touched), those better than all that free more; ascending.

    One that is only as good stays: who can shrink for nothing still shrinks no more than is needed.
    """
    best: dict[int, _Key] = {}
    for freed, key in choices:
        if freed and (freed not in best or key < best[freed]):
            best[freed] = key
    kept: list[tuple[int, _Key]] = []
    for freed in sorted(best, reverse=True):
        if not kept or best[freed][:3] <= kept[-1][1][:3]:
            kept.append((freed, best[freed]))
    return kept[::-1]


def _actions(
    choice: list[int], ended: list[bool], workers: list[list[int]], classes: list[list[int]], runs: list[int]
) -> list[Action]:
    actions = [(run, EVERYWHERE) for run, ends in zip(runs, ended, strict=True) if ends]
    for count, nodes, row in zip(choice, classes, workers, strict=True):
        for run, number, ends in zip(runs, row, ended, strict=True):
            if number and not ends:
                actions.extend((run, node) for node in nodes[:count])
    return actions


def relaxed_costs(standing: Standing, leaving: Leaving) -> list[int]:
    """Return a price for each node, in their order, so that emptying any nodes costs no less than their prices.

    A run that goes from some of its nodes pays at least in proportion to its workers there, whether it shrinks or ends.
    """
    workers_of: dict[int, int] = {}
    for runs in standing.values():
        for run, workers in runs:
            workers_of[run] = workers_of.get(run, 0) + workers
    prices = []
    for runs in standing.values():
        price = 0
        for run, workers in runs:
            parts = [leaving.cost[run] * workers // workers_of[run]] if leaving.cost[run] != NEVER else []
            if leaving.droppable[run]:
                parts.append(leaving.shrink_cost[run] * workers)
            price += min(parts)
        prices.append(price)
    return prices


def greedy_ways(standing: Standing, leaving: Leaving, needed: int) -> list[Way]:
    """Return ever larger ways, each with all of the one before, up to ``needed`` nodes or as many as can be.

    In the manner of Lyra (Li and others, EuroSys 2023): the next node is the one with the least cost, where a run that has to end
    divides its cost over its nodes, since it frees them all; re-evaluated after each pick; ties to the lowest node.
    """
    picker = _Picker(standing, leaving)
    ways: list[Way] = []
    while picker.freed < needed and picker.pick():
        if picker.freed > (ways[-1].freed if ways else 0):
            way = Way(picker.freed, picker.cost, picker.ended, len(picker.paid), picker.actions, len(picker.actions))
            ways.append(way)
    return ways


class _Picker:
    """What is left on the nodes while the greedy rule goes on."""

    def __init__(self, standing: Standing, leaving: Leaving) -> None:
        self._leaving = leaving
        self._left = {node: dict(runs) for node, runs in standing.items()}
        self._nodes: dict[int, list[int]] = {}
        for node, runs in standing.items():
            for run, _ in runs:
                self._nodes.setdefault(run, []).append(node)
        self._dropped: dict[int, int] = {}
        self._prices = {node: self._price(node) for node in self._left}
        self._heap = [(price, node) for node, price in self._prices.items() if price is not None]
        heapq.heapify(self._heap)
        self.freed = self.cost = self.ended = 0
        self.paid: dict[int, int] = {}
        self.actions: list[Action] = []

    def pick(self) -> bool:
        """Empty the cheapest node; False where none can be emptied any more."""
        while self._heap:
            price, node = heapq.heappop(self._heap)
            if self._left[node] and self._prices[node] == price:
                changed: set[int] = set()
                for run, workers in sorted(self._left[node].items()):
                    self._send_away(run, node, workers)
                    changed.update(self._nodes[run])
                for each in sorted(changed):
                    self._price_anew(each)
                return True
        return False

    def _price_anew(self, node: int) -> None:
        price = self._price(node) if self._left[node] else None
        if price != self._prices[node]:
            self._prices[node] = price
            if price is not None:
                heapq.heappush(self._heap, (price, node))

    def _shrinks(self, run: int, workers: int) -> bool:
        dropped = self._dropped.get(run, 0) + workers
        if dropped > self._leaving.droppable[run]:
            return False
        return self._leaving.cost[run] == NEVER or self._leaving.shrink_cost[run] * dropped <= self._leaving.cost[run]

    def _price(self, node: int) -> int | None:
        """GPU-milliseconds that emptying the node is charged, or None where a run on it may neither shrink nor end."""
        price = 0
        for run, workers in self._left[node].items():
            if self._shrinks(run, workers):
                price += self._leaving.shrink_cost[run] * workers
            elif self._leaving.cost[run] == NEVER:
                return None
            else:
                price += self._leaving.cost[run] // len(self._nodes[run])
        return price

    def _send_away(self, run: int, node: int, workers: int) -> None:
        if self._shrinks(run, workers):
            self._dropped[run] = self._dropped.get(run, 0) + workers
            paid, leaves = self._leaving.shrink_cost[run] * self._dropped[run], [node]
            self.actions.append((run, node))
        else:
            paid, leaves = self._leaving.cost[run], self._nodes[run]
            self.actions.append((run, EVERYWHERE))
            self.ended += 1
        self.cost += paid - self.paid.get(run, 0)
        self.paid[run] = paid
        for each in leaves:
            if self._left[each].pop(run, None) is not None and not self._left[each]:
                self.freed += 1
