"""Guarantees with a shape: rights to cells, granted so that all can be held at once, and bound on demand.

A right is a group's claim to a number of cells of one kind (``packing.CellKind``). ``grant`` gives one only
if every granted cell, together with those that are bound already and stay where they are, can be held at
once. ``bind`` gives one cell of a right a physical domain; until then the domain may be lent.

The promise: a group that has bound fewer cells of a right than the right is *worth* can always bind one
more, if only opportunistic use is preempted. It holds by construction: ``reserved`` always names a place
for every cell that is not bound, apart from each other and from the bound ones. ``bind`` looks for the
domain whose lent nodes are missed least and, among equals, for the one in the tightest free domain around
(the buddy rule of HiveD, which keeps wide domains whole), and takes it only when the rest still has places.
``unbind`` gives the place back as a reserved one. When nodes fail, ``settlement`` says what becomes of it.

The classes of GPUs have nothing to do with each other: a cell holds the nodes of its class in its domain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from quota.cell_choice import choose, lost_in
from quota.errors import CellError
from quota.packing import CellKind, Packing, Unpacked, pack
from quota.refusal import Refusal, RefusalCode
from quota.topology import ClassForest, Place, Topology
from quota.tree import IntArray


class Right(NamedTuple):
    """Whose cells, and of which kind."""

    group: int
    kind: CellKind


@dataclass(frozen=True, slots=True)
class Granted:
    """All rights and what they hold; never changed in place. Domains are named as in the topology.

    ``rights`` counts cells as granted, ``worth`` those that can be held with the nodes there are (the same
    unless nodes are bad). ``bound`` maps a place to the right that holds it, in the order of binding.
    ``reserved`` has a place for each cell of a kind that is worth something and not bound.
    """

    rights: Mapping[Right, int] = field(default_factory=dict)
    worth: Mapping[Right, int] = field(default_factory=dict)
    bound: Mapping[Place, Right] = field(default_factory=dict)
    reserved: Mapping[CellKind, tuple[str, ...]] = field(default_factory=dict)

    def bound_of(self, right: Right) -> tuple[str, ...]:
        """Return the domains that a right holds, the longest held first."""
        return tuple(place.domain for place, holder in self.bound.items() if holder == right)


@dataclass(frozen=True, slots=True)
class Bound:
    """Cells bound: the state from now on, their domains, and the lent nodes in these, to be called back first."""

    granted: Granted
    domains: tuple[str, ...]
    called_back: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """One cell not bound: the place kept for it, and the lent nodes in it that it would call back."""

    kind: CellKind
    domain: str
    lent: tuple[str, ...]


def grant(granted: Granted, group: int, wish: Mapping[CellKind, int], topology: Topology) -> Granted | Refusal:
    """Add ``wish`` (kind -> cells) to the rights of ``group``, whole or not at all.

    Refused when the cells of all rights could not be held at once: nodes that are bad now count as gone, and
    bound cells stay. The refusal is about the first kind of the wish, the widest first, that does not fit
    when those before it are granted; granted as far as its ``limit`` it would fit. Raises CellError for a
    negative number.
    """
    added = granted
    for kind in sorted(wish, key=lambda each: (each.gpu_class, -each.level, -each.nodes)):
        cells = wish[kind]
        if cells < 0:
            raise CellError(f"group {group} cannot be granted {cells} cells of {kind}")
        more = _with_more(added, Right(group, kind), cells, topology)
        if isinstance(more, Unpacked):
            return _refusal(added, Right(group, kind), cells, topology)
        added = more
    return added


def bind(
    granted: Granted,
    group: int,
    kind: CellKind,
    topology: Topology,
    *,
    cells: int = 1,
    lent: Mapping[str, int] | None = None,
    lost: IntArray | None = None,
) -> Bound | Refusal:
    """Bind ``cells`` more cells of a right, whole or not at all, to the domains that are missed least.

    ``lent`` maps nodes in opportunistic use to what calling them back would lose, in any unit; who has these sums by
    position of the class's forest already gives them as ``lost`` (``cell_choice.lost_in``). Refused with
    GUARANTEE_REACHED, and for no other reason, when the right is not worth as many. Raises CellError for less
    than one cell, and when a reserved place is too small: after a change of nodes, ``settlement.settle``
    comes first.
    """
    if cells < 1:
        raise CellError(f"group {group} cannot bind {cells} cells of {kind}")
    right, lent = Right(group, kind), lent or {}
    worth, used = granted.worth.get(right, 0), len(granted.bound_of(right))
    if used + cells > worth:
        free = worth - used
        numbers = {"asked": cells, "used": used, "reserved": 0, "limit": worth, "free": free, "short": cells - free}
        code = RefusalCode.GUARANTEE_REACHED
        return Refusal(code=code, group=group, gpu_class=kind.gpu_class, field=str(kind), numbers=numbers)
    forest = topology.of_class(kind.gpu_class)
    lost = lost_in(forest, lent) if lost is None else lost
    places, reserved = choose(forest, kind, cells, held(granted, forest), _reserved(granted, forest), lost)
    bound = {**granted.bound, **{Place(kind.gpu_class, forest.names[place]): right for place in places}}
    after = _reserve(replace(granted, bound=bound), reserved, forest)
    nodes = sorted(forest.names[node] for place in places for node in forest.within(place))
    return Bound(after, tuple(forest.names[place] for place in places), tuple(name for name in nodes if name in lent))


def unbind(granted: Granted, place: Place) -> Granted:
    """Give a bound place back: it may be lent, and is kept for the cell that held it.

    Raises CellError when it is not bound.
    """
    if place not in granted.bound:
        raise CellError(f"domain {place.domain} is not bound to a cell of {place.gpu_class}")
    kind = granted.bound[place].kind
    bound = {each: right for each, right in granted.bound.items() if each != place}
    places = tuple(sorted((*granted.reserved.get(kind, ()), place.domain)))
    return replace(granted, bound=bound, reserved={**granted.reserved, kind: places})


def callable_back(granted: Granted, topology: Topology, lent: Collection[str]) -> tuple[Claim, ...]:
    """Return, for every cell that is not bound, its place and which of the ``lent`` nodes lie in it.

    All claims can be met at once. Lent nodes outside of every claim are called back for nobody's guarantee.
    """
    claims = []
    for kind, domains in sorted(granted.reserved.items()):
        forest = topology.of_class(kind.gpu_class)
        for domain in domains:
            nodes = forest.within(forest.positions[domain])
            claims.append(Claim(kind, domain, tuple(name for each in nodes if (name := forest.names[each]) in lent)))
    return tuple(claims)


def lendable(granted: Granted, topology: Topology, gpu_class: str) -> tuple[str, ...]:
    """Return the healthy nodes of a class that lie in no bound cell, by name."""
    forest = topology.of_class(gpu_class)
    nodes = (node for free in forest.free(held(granted, forest)) for node in forest.within(free))
    return tuple(sorted(forest.names[node] for node in nodes if forest.healthy[node]))


def held(granted: Granted, forest: ClassForest) -> list[int]:
    """Return the positions of the bound domains of the forest's class, the longest held first."""
    return [forest.positions[place.domain] for place in granted.bound if place.gpu_class == forest.gpu_class]


def unbound(worth: Mapping[Right, int], bound: Iterable[Right], gpu_class: str) -> Counter[CellKind]:
    """Count the cells of a class that are worth something and not bound, by kind."""
    cells: Counter[CellKind] = Counter()
    for right, count in worth.items():
        cells[right.kind] += count
    for right in bound:
        cells[right.kind] -= 1
    return Counter({kind: count for kind, count in cells.items() if kind.gpu_class == gpu_class and count > 0})


def with_places(granted: Granted, packed: Packing, forest: ClassForest) -> Granted:
    """Return ``granted`` with the reserved places of a class taken from ``packed``."""
    return _reserve(granted, packed.places, forest)


def _with_more(granted: Granted, right: Right, cells: int, topology: Topology) -> Granted | Unpacked:
    """Return ``granted`` with more cells of one right, or how it failed. Short rights make it fail."""
    rights = {**granted.rights, right: granted.rights.get(right, 0) + cells}
    rights = {each: count for each, count in rights.items() if count}
    forest = topology.of_class(right.kind.gpu_class)
    packed = pack(forest, forest.free(held(granted, forest)), unbound(rights, granted.bound.values(), forest.gpu_class))
    if isinstance(packed, Unpacked):
        return packed
    mine = {each: count for each, count in rights.items() if each.kind.gpu_class == forest.gpu_class}
    worth = {each: count for each, count in granted.worth.items() if each.kind.gpu_class != forest.gpu_class}
    return with_places(replace(granted, rights=rights, worth={**worth, **mine}), packed, forest)


def _refusal(granted: Granted, right: Right, asked: int, topology: Topology) -> Refusal:
    """Return why ``asked`` more cells of a right do not go, with the most that would."""
    forest = topology.of_class(right.kind.gpu_class)
    low, high = 0, asked
    while high - low > 1:
        middle = (low + high) // 2
        fits = not isinstance(_with_more(granted, right, middle, topology), Unpacked)
        low, high = (middle, high) if fits else (low, middle)
    everything = unbound({**granted.rights, right: granted.rights.get(right, 0) + asked}, (), forest.gpu_class)
    anywhere = pack(forest, forest.roots, everything)
    code = RefusalCode.CELLS_IN_THE_WAY
    if isinstance(anywhere, Unpacked):
        code = RefusalCode.CELLS_EXCEEDED if anywhere.proven else RefusalCode.CELLS_UNPROVEN
    numbers = {
        "asked": asked,
        "limit": low,
        "short": asked - low,
        "granted": sum(count for each, count in granted.rights.items() if each.kind == right.kind),
        "bad": sum(not node.healthy and node.gpu_class == right.kind.gpu_class for node in topology.nodes.values()),
    }
    return Refusal(code=code, group=right.group, gpu_class=right.kind.gpu_class, field=str(right.kind), numbers=numbers)


def _reserved(granted: Granted, forest: ClassForest) -> dict[CellKind, tuple[int, ...]]:
    """Return the reserved places of the forest's class as positions."""
    return {
        kind: tuple(forest.positions[domain] for domain in domains)
        for kind, domains in granted.reserved.items()
        if kind.gpu_class == forest.gpu_class
    }


def _reserve(granted: Granted, places: Mapping[CellKind, Sequence[int]], forest: ClassForest) -> Granted:
    others = {kind: domains for kind, domains in granted.reserved.items() if kind.gpu_class != forest.gpu_class}
    mine = {kind: tuple(forest.names[each] for each in mine) for kind, mine in places.items() if mine}
    return replace(granted, reserved={**others, **mine})
