"""Which domains to bind: those that are missed least, as long as all other cells keep a place.

A domain may be taken at once when it is a reserved place of the kind itself, or overlaps no reserved place.
Otherwise the other cells have to be packed anew beside it, and it is passed over where that fails. Since
the reserved places of the kind are always there to be taken, the choice never fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quota.errors import CellError
from quota.packing import CellKind, Unpacked, pack
from quota.topology import ClassForest
from quota.tree import IntArray

#: How often one choice packs the other cells anew; domains that would need it again are passed over then.
REPACKINGS_MAX = 8

_Places = Mapping[CellKind, Sequence[int]]


def choose(
    forest: ClassForest, kind: CellKind, cells: int, held: Sequence[int], reserved: _Places, lost: IntArray
) -> tuple[list[int], dict[CellKind, list[int]]]:
    """Return ``cells`` positions for cells of ``kind``, and the places reserved for all others then.

    ``held`` are the positions of bound cells, ``reserved`` has at least ``cells`` places of the kind, ``lost``
    is what calling back each domain would lose, by position. Raises CellError when a reserved place
    is too small.
    """
    if any(forest.healthy[place] < kind.nodes for place in reserved.get(kind, ())):
        raise CellError(f"places reserved for {kind} have lost nodes since cells were last settled")
    order = _missed_least(forest, kind, held, lost)
    rank = {place: turn for turn, place in enumerate(order)}
    kept = _Kept(forest, reserved)
    chosen: list[int] = []
    repackings = 0
    for place in order:
        if len(chosen) == cells:
            break
        if place in kept.places[kind]:
            kept.drop(kind, place)
        elif not kept.overlaps(place):
            kept.drop(kind, max(kept.places[kind], key=rank.__getitem__))
        else:
            if repackings == REPACKINGS_MAX:
                continue
            repackings += 1
            packed = pack(forest, forest.free([*held, *chosen, place]), kept.counts(kind))
            if isinstance(packed, Unpacked):
                continue
            kept = _Kept(forest, {kind: (), **packed.places})
        chosen.append(place)
    for place in sorted(kept.places[kind], key=rank.__getitem__)[: cells - len(chosen)]:
        kept.drop(kind, place)
        chosen.append(place)
    return chosen, {each: sorted(places) for each, places in kept.places.items()}


class _Kept:
    """Reserved places that change while domains are chosen."""

    def __init__(self, forest: ClassForest, reserved: _Places) -> None:
        self.forest = forest
        self.places = {kind: set(places) for kind, places in reserved.items()}
        self.all = {place for places in reserved.values() for place in places}
        places = np.array(sorted(self.all), dtype=np.int64)
        self.inside = forest.gathered(places, np.ones_like(places))  #: by position, how many places lie in it

    def drop(self, kind: CellKind, place: int) -> None:
        """Reserve ``place`` no longer."""
        self.places[kind].remove(place)
        self.all.remove(place)
        self.inside[self.forest.path(place)] -= 1

    def overlaps(self, place: int) -> bool:
        """Return whether a reserved place is ``place``, lies in it or around it."""
        return bool(self.inside[place]) or any(each in self.all for each in self.forest.path(place))

    def counts(self, kind: CellKind) -> dict[CellKind, int]:
        """Count the places by kind, one of ``kind`` less."""
        return {each: len(places) - (each == kind) for each, places in self.places.items()}


def lost_in(forest: ClassForest, lent: Mapping[str, int]) -> IntArray:
    """Return by position what calling back the ``lent`` nodes of each domain would lose (sums within 64 bits)."""
    known = [(forest.positions[name], loss) for name, loss in lent.items() if name in forest.positions]
    return forest.gathered(*np.array(known, dtype=np.int64).reshape(-1, 2).T)


def _missed_least(forest: ClassForest, kind: CellKind, held: Sequence[int], lost: IntArray) -> list[int]:
    """Return the free domains that serve ``kind``, the one missed least in front.

    Least lost; then the smallest free domain around it; then the fewest healthy nodes of its own; by name.
    """
    taken = np.zeros(len(forest.names), dtype=np.bool_)
    taken[held] = True
    broken = forest.gathered(np.array(held, dtype=np.int64), np.ones(len(held), dtype=np.int64)) > 0
    serving = (forest.level_array == kind.level) & (forest.healthy_array >= kind.nodes) & ~broken
    places = widest = np.flatnonzero(serving)
    while True:
        above = forest.wider_array[widest]
        beside = ~(taken[above] & (above >= 0))
        places, widest, above = places[beside], widest[beside], above[beside]
        climbs = (above >= 0) & ~broken[above]
        if not climbs.any():
            break
        widest = np.where(climbs, above, widest)
    healthy = forest.healthy_array
    order: list[int] = places[np.lexsort((places, healthy[places], healthy[widest], lost[places]))].tolist()
    return order
