"""Victims by trying everything: slow, obvious, and what ``cover`` and ``victims`` must equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations, product
from typing import NamedTuple

from scheduler.placement.occupancy import NEVER, Occupancy


class WayFacts(NamedTuple):
    """One way of a candidate: nodes freed, GPU-milliseconds lost, runs ended, runs touched."""

    freed: int
    cost: int
    ended: int
    touched: int


def cover_oracle(candidates: Sequence[Sequence[WayFacts]], needed: int) -> tuple[tuple[int | None, ...], int] | None:
    """Return the way of each candidate (None for none) and the cost of the best cover; None where there is none.

    The least (cost, ended, touched) wins, then the first candidate's earlier way and so on, none last.
    """
    best: tuple[tuple[int, int, int, tuple[int, ...]], tuple[int | None, ...]] | None = None
    for picks in product(*([*range(len(ways)), None] for ways in candidates)):
        taken = [ways[pick] for ways, pick in zip(candidates, picks, strict=True) if pick is not None]
        if sum(way.freed for way in taken) < needed:
            continue
        ranks = tuple(len(ways) if pick is None else pick for ways, pick in zip(candidates, picks, strict=True))
        key = (
            sum(way.cost for way in taken),
            sum(way.ended for way in taken),
            sum(way.touched for way in taken),
            ranks,
        )
        if best is None or key < best[0]:
            best = (key, picks)
    return None if best is None else (best[1], best[0][0])


class NodesFound(NamedTuple):
    """What the best choice costs (GPU-milliseconds), how many runs it ends and how many it touches."""

    cost: int
    ended: int
    touched: int


def nodes_oracle(occupancy: Occupancy, needed: int) -> NodesFound | None:
    """Return the least (cost, runs ended, runs touched) with which ``needed`` nodes are empty, or None."""
    runs = [_workers_of(occupancy, run) for run in range(len(occupancy.costs))]
    found = []
    for leaving in product(*(_choices(occupancy, run, workers) for run, workers in enumerate(runs))):
        standing = {node for workers, (_, nodes) in zip(runs, leaving, strict=True) for node in workers.keys() - nodes}
        if occupancy.nodes - len(standing) >= needed:
            found.append(_cost_of(occupancy, runs, leaving))
    return min(found, default=None)


def emptied_by(occupancy: Occupancy, ended: Iterable[int], left: Iterable[tuple[int, int]]) -> set[int]:
    """Return the nodes with nobody on them after runs were ended and (run, node) pairs were left."""
    gone, away = set(ended), set(left)
    pairs = zip(occupancy.run_of.tolist(), occupancy.node_of.tolist(), strict=True)
    standing = {node for run, node in pairs if run not in gone and (run, node) not in away}
    return set(range(occupancy.nodes)) - standing


def _workers_of(occupancy: Occupancy, run: int) -> dict[int, int]:
    entries = zip(occupancy.run_of.tolist(), occupancy.node_of.tolist(), occupancy.workers_of.tolist(), strict=True)
    return {node: workers for owner, node, workers in entries if owner == run}


def _choices(occupancy: Occupancy, run: int, workers: dict[int, int]) -> Iterator[tuple[bool, frozenset[int]]]:
    """(is ended, nodes it leaves) of all that may happen to a run."""
    for nodes in chain.from_iterable(combinations(workers, count) for count in range(len(workers) + 1)):
        if sum(workers[node] for node in nodes) <= int(occupancy.droppable[run]):
            yield False, frozenset(nodes)
    if int(occupancy.costs[run]) != NEVER:
        yield True, frozenset(workers)


def _cost_of(
    occupancy: Occupancy, runs: Sequence[dict[int, int]], leaving: Sequence[tuple[bool, frozenset[int]]]
) -> NodesFound:
    cost = ended = touched = 0
    for run, (ends, nodes) in enumerate(leaving):
        if ends:
            cost += int(occupancy.costs[run])
        else:
            cost += int(occupancy.shrink_costs[run]) * sum(runs[run][node] for node in nodes)
        ended += ends
        touched += ends or bool(nodes)
    return NodesFound(cost, ended, touched)
