"""All ways in which the runs of a pool can be made to leave nodes, as options of ``cover``, and what each of them does.

A component of nodes that share runs is one candidate, named by its lowest node. Most are a gang alone on its nodes, or
one node with its small runs: these are made with arrays, only the others one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scheduler.placement.component import (
    EVERYWHERE,
    Action,
    Way,
    components,
    exact_ways,
    greedy_ways,
    relaxed_costs,
)
from scheduler.placement.cover import IntArray, Options, WholeArray
from scheduler.placement.occupancy import NEVER, Occupancy


class Block(NamedTuple):
    """Ways of one kind: arrays of a length, and the actions of the way at a position."""

    lowest: IntArray
    freed: IntArray
    cost: WholeArray
    ended: IntArray
    touched: IntArray
    actions: Callable[[int], Iterable[Action]]

    @staticmethod
    def of(ways: Sequence[tuple[int, Way]]) -> Block:
        """A block of ways, each with the lowest node of its component."""
        columns = [[lowest, way.freed, way.ended, way.touched] for lowest, way in ways]
        lowest, freed, ended, touched = np.array(columns, dtype=np.int64).reshape(-1, 4).T
        cost = np.array([way.cost for _, way in ways], dtype=np.int64)
        return Block(lowest, freed, cost, ended, touched, lambda way: ways[way][1].actions[: ways[way][1].steps])


@dataclass(frozen=True, slots=True)
class Offers:
    """Options in the order of components; ``order`` leads from each to its place in the blocks laid end to end."""

    options: Options
    order: IntArray
    blocks: Sequence[Block]

    @staticmethod
    def of(blocks: Sequence[Block]) -> Offers:
        """All ways of the blocks. Those of one component stand in one block, side by side."""
        lowest, freed, cost, ended, touched = (
            np.concatenate([block[column] for block in blocks]) for column in range(5)
        )
        order = np.argsort(lowest, kind="stable")
        return Offers(Options(lowest, freed, cost, ended, touched).at(order), order, blocks)

    def actions(self, way: int) -> Iterable[Action]:
        """What the option at a position does."""
        position = int(self.order[way])
        for block in self.blocks:
            if position < len(block.freed):
                return block.actions(position)
            position -= len(block.freed)
        raise IndexError(way)


@dataclass(frozen=True, slots=True)
class Ways:
    """What can be done to the nodes; ``lower`` is None where it is exact, else what bounds every choice from below."""

    offers: Offers
    lower: Options | None

    @staticmethod
    def of(occupancy: Occupancy, needed: int, choices_max: int) -> Ways:
        """The ways of every component, those with more than ``choices_max`` choices by the greedy rule."""
        layout = _Layout.of(occupancy)
        blocks = [_lone_runs(occupancy, layout), _lone_nodes(occupancy, layout)]
        exact: list[tuple[int, Way]] = []
        greedy: list[tuple[int, Way]] = []
        relaxed: list[tuple[int, Way]] = []
        for part in components(occupancy.standing_on(occupancy.movable[layout.tangled])):
            lowest = next(iter(part))
            ways = exact_ways(part, occupancy.leaving, choices_max)
            if ways is not None:
                exact.extend((lowest, way) for way in ways)
                continue
            greedy.extend((lowest, way) for way in greedy_ways(part, occupancy.leaving, needed))
            prices = zip(part, relaxed_costs(part, occupancy.leaving), strict=True)
            relaxed.extend((node, Way(1, price, 0, 1, (), 0)) for node, price in prices)
        offers = Offers.of([*blocks, Block.of(exact), Block.of(greedy)])
        lower = Offers.of([*blocks, Block.of(exact), Block.of(relaxed)]).options if greedy else None
        return Ways(offers, lower)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Entries of ``Occupancy.movable`` by kind, and for each run in them where its entries begin and how many they are.

    ``alone`` are positions in ``runs`` of those that share no node and can be taken as a whole; ``stacked`` are entries
    on nodes whose runs stand nowhere else; ``tangled`` are the entries that remain.
    """

    runs: IntArray
    starts: IntArray
    sizes: IntArray
    alone: IntArray
    stacked: IntArray
    tangled: IntArray

    @staticmethod
    def of(occupancy: Occupancy) -> _Layout:
        """Tell the entries of an occupancy apart."""
        entries = occupancy.movable
        run, node, workers = occupancy.run_of[entries], occupancy.node_of[entries], occupancy.workers_of[entries]
        starts = np.flatnonzero(np.diff(run, prepend=-1))
        if not len(starts):
            return _Layout(run, starts, starts, starts, starts, starts)
        sizes = np.diff(starts, append=len(run))
        runs, rigid = run[starts], occupancy.droppable[run[starts]] == 0
        shares = np.maximum.reduceat(occupancy.runs_on[node], starts) > 1
        even = np.minimum.reduceat(workers, starts) == np.maximum.reduceat(workers, starts)
        alone = ~shares & (rigid | even)
        simple = np.repeat(~alone & rigid & (sizes == 1), sizes)
        mixed = np.zeros(occupancy.nodes, dtype=np.bool_)
        mixed[node[~simple]] = True
        stacked = simple & ~mixed[node]
        tangled = ~stacked & ~np.repeat(alone, sizes)
        return _Layout(runs, starts, sizes, np.flatnonzero(alone), np.flatnonzero(stacked), np.flatnonzero(tangled))


def _lone_runs(occupancy: Occupancy, layout: _Layout) -> Block:
    """Each run that shares no node: off its lowest node, its two lowest and so on while it can shrink, or ended."""
    run, begin, size = layout.runs[layout.alone], layout.starts[layout.alone], layout.sizes[layout.alone]
    workers = occupancy.workers_of[occupancy.movable[begin]]
    cost, price = occupancy.costs[run], occupancy.shrink_costs[run] * workers
    affordable = np.where((cost == NEVER) | (price == 0), size, cost // np.maximum(price, 1))
    steps = np.minimum(np.minimum(occupancy.droppable[run] // workers, size), affordable)
    count = steps + ((cost != NEVER) & (steps < size))
    owner = np.repeat(np.arange(len(run)), count)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + 1
    ends = step > steps[owner]
    nodes = occupancy.node_of[occupancy.movable]

    def actions(way: int) -> Iterable[Action]:
        each = owner[way]
        if ends[way]:
            return [(int(run[each]), EVERYWHERE)]
        return [(int(run[each]), node) for node in nodes[begin[each] : begin[each] + step[way]].tolist()]

    return Block(
        lowest=nodes[begin][owner],
        freed=np.where(ends, size[owner], step),
        cost=np.where(ends, cost[owner], price[owner] * step),
        ended=ends.astype(np.int64),
        touched=np.ones(len(owner), dtype=np.int64),
        actions=actions,
    )


def _lone_nodes(occupancy: Occupancy, layout: _Layout) -> Block:
    """Each node that several runs share which stand nowhere else and cannot shrink: all of them are ended."""
    entries = occupancy.movable[layout.stacked]
    nodes, place, count = np.unique(occupancy.node_of[entries], return_inverse=True, return_counts=True)
    cost = np.zeros(len(nodes), dtype=np.int64)
    np.add.at(cost, place, occupancy.costs[occupancy.run_of[entries]])
    by_node = occupancy.run_of[entries][np.argsort(place, kind="stable")]
    ends = np.cumsum(count)

    def actions(way: int) -> Iterable[Action]:
        return [(run, EVERYWHERE) for run in by_node[ends[way] - count[way] : ends[way]].tolist()]

    return Block(nodes, np.ones(len(nodes), dtype=np.int64), cost, count, count, actions)
