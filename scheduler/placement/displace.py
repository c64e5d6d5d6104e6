"""Which runs to end so that a gang fits into a pool: little lost work, and no run that can be spared.

Runs are ended in the order in which they are given, the least lost work for a GPU first, until the gang fits; then each, the
dearest first, is kept after all if the gang fits without it. Fitting only grows with every run that ends, so each of those
that remain is needed: ``make_way`` does that, compiled. Where workers take whole nodes, the exact choice of
``victims.cheapest_nodes`` stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scheduler.placement.occupancy import NEVER, Occupancy
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.request import Request
from scheduler.placement.victims import cheapest_nodes

#: With more runs in the way than this the exact choice is not looked for.
EXACT_RUNS_MAX = 512


@dataclass(frozen=True, slots=True)
class Occupant:
    """A run on nodes of a pool. ``parts`` lists (node's index, workers), ``amounts`` are a worker's GPUs, CPUs and memory.

    ``cost`` is the work that its end would destroy, in GPU-milliseconds; ``run`` tells occupants apart.
    """

    run: int
    cost: int
    amounts: tuple[int, int, int]
    parts: tuple[tuple[int, int], ...]


class Consent(Protocol):
    """Whom quotas and shares let go, as runs are ended one after the other. Starts with all runs kept."""

    def may_end(self, occupant: Occupant, /) -> bool:
        """Whether this run may be ended, given those that are."""
        ...

    def end(self, occupant: Occupant, /) -> None:
        """The run is ended."""
        ...

    def keep(self, occupant: Occupant, /) -> None:
        """The run is kept after all."""
        ...

    def suffices(self) -> bool:
        """Whether quotas admit the gang, given those that are ended. More that end never make it worse."""
        ...


@dataclass(frozen=True, slots=True)
class Displaced:
    """Whom to end, in the order of their runs' numbers, and what that costs."""

    occupants: tuple[Occupant, ...]
    cost: int

    @staticmethod
    def of(occupants: Iterable[Occupant]) -> Displaced:
        """With the costs added up."""
        ended = tuple(sorted(occupants, key=lambda each: each.run))
        return Displaced(ended, sum(each.cost for each in ended))

    @property
    def rank(self) -> tuple[int, int]:
        """The less the better."""
        return self.cost, len(self.occupants)


def cheapest(
    free: IntArray,
    request: Request,
    occupants: Sequence[Occupant],
    needed: Displaced,
    consent: Consent,
    usable: BoolArray | None = None,
) -> Displaced:
    """``needed``, as chosen one by one, or the exact choice where that is cheaper and may be made.

    ``free`` (amount, node) is free GPUs, CPUs and memory of a pool's nodes. ``occupants`` are those that might be ended, the
    first to go in front. ``consent`` is left as it was found. The gang goes to ``usable`` nodes alone (None: to any).
    """
    if needed.cost and len(occupants) <= EXACT_RUNS_MAX:
        exact = _exact(free, request, occupants, usable)
        cheaper = exact is not None and exact.rank < needed.rank
        if exact is not None and cheaper and Room(free, request, consent, usable).takes(exact, occupants):
            return exact
    return needed


class Room:
    """Workers of a gang that a pool has room for, as runs end."""

    def __init__(self, free: IntArray, request: Request, consent: Consent, usable: BoolArray | None) -> None:
        self._free, self._workers, self._consent = free.copy(), request.workers, consent
        self._asked = np.array([request.gpus, request.cpus, request.memory_mib])
        self._counted = self._asked > 0
        self._room = (self._free[self._counted] // self._asked[self._counted, None]).min(axis=0)
        self._usable = usable
        if usable is not None:
            self._room *= usable
        self._sum = int(self._room.sum())

    @property
    def fits(self) -> bool:
        """Whether nodes and quotas take the gang."""
        return self._sum >= self._workers and self._consent.suffices()

    def end(self, occupant: Occupant) -> None:
        """Its nodes are free."""
        self._change(occupant, 1)
        self._consent.end(occupant)

    def keep(self, occupant: Occupant) -> None:
        """It holds its nodes again."""
        self._change(occupant, -1)
        self._consent.keep(occupant)

    def spare(self, ended: Sequence[Occupant]) -> list[Occupant]:
        """Keep those that need not go, the dearest first; answer who remains ended."""
        needed = []
        for each in sorted(ended, key=lambda each: (-each.cost, -each.run)):
            self.keep(each)
            if not self.fits:
                self.end(each)
                needed.append(each)
        return needed

    def takes(self, choice: Displaced, order: Sequence[Occupant]) -> bool:
        """Whether a choice may be made, one by one in ``order``, and needs each of its runs. Leaves all kept."""
        chosen = {each.run for each in choice.occupants}
        ended: list[Occupant] = []
        for each in order:
            if each.run in chosen and self._consent.may_end(each):
                self.end(each)
                ended.append(each)
        taken = len(ended) == len(chosen) and self.fits
        if taken:
            needed = self.spare(ended)
            taken, ended = len(needed) == len(ended), needed
        for each in ended:
            self.keep(each)
        return taken

    def _change(self, occupant: Occupant, sign: int) -> None:
        for node, workers in occupant.parts:
            self._free[:, node] += sign * workers * np.array(occupant.amounts)
            if self._usable is not None and not self._usable[node]:
                continue
            room = int((self._free[self._counted, node] // self._asked[self._counted]).min())
            self._sum += room - int(self._room[node])
            self._room[node] = room


def _exact(
    free: IntArray, request: Request, occupants: Sequence[Occupant], usable: BoolArray | None
) -> Displaced | None:
    """The cheapest choice for workers that take whole nodes, by quotas unseen; None where they do not."""
    held = np.zeros(free.shape[1], np.int64)
    entries = [(number, node, workers) for number, each in enumerate(occupants) for node, workers in each.parts]
    for number, node, workers in entries:
        held[node] += workers * occupants[number].amounts[0]
    total = free[0] + held
    if not len(total) or int(total.max()) != request.gpus:
        return None
    # A node that keeps something that may not go, is smaller or not usable, has no room for a worker whatever ends.
    short = total < request.gpus if usable is None else (total < request.gpus) | ~usable
    stuck = np.flatnonzero(short).tolist()
    rows = [*entries, *((len(occupants), node, 1) for node in stuck)]
    run, place, many = np.array(rows, np.int64).reshape(-1, 3).T
    nothing = np.zeros(len(occupants) + 1, np.int64)
    costs = np.array([*(each.cost for each in occupants), NEVER], np.int64)
    victims = cheapest_nodes(Occupancy(len(total), run, place, many, costs, nothing, nothing), request.workers)
    return None if victims is None else Displaced.of(occupants[number] for number in victims.ended)
