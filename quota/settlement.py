"""What becomes of granted cells when nodes fail or come back, or when rights are given up.

What rights are worth is computed as if every cell could move, so that it does not depend on who came first:
cells are handed out one at a time, the next to the right with the smallest (cells + 1/2) / granted, as long
as all can be held at once; a kind of which no more fits is closed (ties: the larger cells first, then the
lower group id). That is the sentence by which guarantees in numbers scale down (``apportionment``), with
"they can be held at once" (``packing``) in place of "they sum to no more than there is".

Bound cells then stay where they are, except those
* broken: their domain no longer has the declared number of healthy nodes;
* demoted: their right is no longer worth as many; the work in them has become opportunistic;
* uprooted: their right is worth them, but where they lie the rest cannot be held. They bind anew elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from quota.cells import Granted, Right, unbound, with_places
from quota.errors import CellError
from quota.packing import CellKind, Packing, pack
from quota.topology import ClassForest, Place, Topology


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A right that is worth fewer cells than granted."""

    right: Right
    granted: int
    worth: int


@dataclass(frozen=True, slots=True)
class Loosed:
    """A cell that its right does not hold any longer; ``healthy`` counts nodes of the class in the domain."""

    domain: str
    right: Right
    healthy: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The state from now on, and everything that it takes away, by name and number."""

    granted: Granted
    shortfalls: tuple[Shortfall, ...]
    broken: tuple[Loosed, ...]
    demoted: tuple[Loosed, ...]
    uprooted: tuple[Loosed, ...]


def settle(granted: Granted, topology: Topology) -> Settled:
    """Fit ``granted`` to the nodes that are healthy now. The same state and topology settle the same way.

    Settling twice changes nothing the second time.
    """
    broken: list[Loosed] = []
    demoted: list[Loosed] = []
    uprooted: list[Loosed] = []
    after = replace(granted, worth={}, bound={}, reserved={})
    for gpu_class in sorted({right.kind.gpu_class for right in (*granted.rights, *granted.bound.values())}):
        forest = topology.of_class(gpu_class)
        rights = {right: count for right, count in granted.rights.items() if right.kind.gpu_class == gpu_class}
        worth = worth_of(rights, forest)
        cells = [
            Loosed(domain, right, forest.healthy[forest.positions[domain]] if domain in forest.positions else 0)
            for (of_class, domain), right in granted.bound.items()
            if of_class == gpu_class
        ]
        whole = [cell for cell in cells if cell.healthy >= cell.right.kind.nodes]
        kept = _within_worth(whole, worth)
        stay, packed = _in_place(kept, worth, forest)
        broken += _without(cells, whole)
        demoted += _without(whole, kept)
        uprooted += _without(kept, stay)
        bound = {**after.bound, **{Place(gpu_class, cell.domain): cell.right for cell in stay}}
        after = with_places(replace(after, worth={**after.worth, **worth}, bound=bound), packed, forest)
    after = replace(after, bound={place: after.bound[place] for place in granted.bound if place in after.bound})
    short = [
        Shortfall(right, count, after.worth.get(right, 0))
        for right, count in sorted(granted.rights.items())
        if after.worth.get(right, 0) < count
    ]
    return Settled(after, tuple(short), tuple(broken), tuple(demoted), tuple(uprooted))


def revoke(granted: Granted, group: int, kind: CellKind, cells: int, topology: Topology) -> Settled:
    """Take ``cells`` of a right away and settle: those bound last are demoted first, short rights may gain.

    Raises CellError when the right has fewer.
    """
    right = Right(group, kind)
    left = granted.rights.get(right, 0) - cells
    if cells < 0 or left < 0:
        raise CellError(f"group {group} cannot give up {cells} of {granted.rights.get(right, 0)} cells of {kind}")
    rights = {each: count for each, count in granted.rights.items() if each != right}
    return settle(replace(granted, rights=rights | ({right: left} if left else {})), topology)


def worth_of(rights: Mapping[Right, int], forest: ClassForest) -> dict[Right, int]:
    """Return how many cells each right of the forest's class is worth, 0 left out."""
    # A double tells any two such ratios apart: see ``tree.GPUS_MAX``.
    turns = sorted(
        ((2 * cell + 1) / count, -right.kind.level, -right.kind.nodes, right.group, right)
        for right, count in rights.items()
        for cell in range(count)
    )
    waiting = [right for *_, right in turns]
    worth: list[Right] = []
    while waiting:
        fit = _longest(worth, waiting, forest)
        worth += waiting[:fit]
        closed = waiting[fit].kind if fit < len(waiting) else None
        waiting = [right for right in waiting[fit:] if right.kind != closed]
    return dict(Counter(worth))


def _longest(worth: Sequence[Right], waiting: Sequence[Right], forest: ClassForest) -> int:
    """Return how many of ``waiting`` in a row can be held beside ``worth``; all are tried first."""
    low, high, middle = 0, len(waiting) + 1, len(waiting)
    while high - low > 1:
        cells = Counter(right.kind for right in (*worth, *waiting[:middle]))
        fits = isinstance(pack(forest, forest.roots, cells), Packing)
        low, high = (middle, high) if fits else (low, middle)
        middle = (low + high) // 2
    return low


def _within_worth(cells: Sequence[Loosed], worth: Mapping[Right, int]) -> list[Loosed]:
    """Return the cells that their rights are worth, the longest held first."""
    kept: list[Loosed] = []
    used: Counter[Right] = Counter()
    for cell in cells:
        used[cell.right] += 1
        if used[cell.right] <= worth.get(cell.right, 0):
            kept.append(cell)
    return kept


def _without(cells: Sequence[Loosed], others: Sequence[Loosed]) -> list[Loosed]:
    left = set(others)
    return [cell for cell in cells if cell not in left]


def _in_place(cells: Sequence[Loosed], worth: Mapping[Right, int], forest: ClassForest) -> tuple[list[Loosed], Packing]:
    """Return the cells that can stay, and places for all others.

    All of them if possible; otherwise the longest held as far as possible, and then each later one beside
    which the rest still packs, so that none is uprooted for nothing.
    """
    low, high, middle = 0, len(cells) + 1, len(cells)
    while high - low > 1:
        fits = _packed(cells[:middle], worth, forest) is not None
        low, high = (middle, high) if fits else (low, middle)
        middle = (low + high) // 2
    stay = list(cells[:low])
    for cell in cells[low:]:
        if _packed([*stay, cell], worth, forest) is not None:
            stay.append(cell)
    packed = _packed(stay, worth, forest)
    assert packed is not None, "what rights are worth can be held when every cell may move"
    return stay, packed


def _packed(cells: Sequence[Loosed], worth: Mapping[Right, int], forest: ClassForest) -> Packing | None:
    free = forest.free(forest.positions[cell.domain] for cell in cells)
    packed = pack(forest, free, unbound(worth, (cell.right for cell in cells), forest.gpu_class))
    return packed if isinstance(packed, Packing) else None
