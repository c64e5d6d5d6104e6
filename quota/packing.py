"""Packing cells: can all of these be held at once, and where?

A cell asks for a domain of one level with a declared number of healthy nodes of one GPU class, and holds it
whole: what exceeds the declared number is its spare. So domains of a level are interchangeable only as far
as they hold the declared number, and no two held domains lie in each other.

HiveD (Zhao et al., OSDI 2020) counts: going down the levels, what is free at a level, less what is wanted
there, is split and counts as its children one level below, and must never be negative. In a uniform
topology that is exact. Here domains differ, so the count becomes a bound: of the domains that would serve
a kind of cells, each wider (or equally wide, but larger) kind takes away at least those that its cheapest
domains contain. When the bound fails, nothing packs. When it holds, a search goes down the levels, each
time giving the wider cells the domains whose loss hurts the narrower cells least, and goes back on its
choices where that does not work out. It is over forms (``topology``), not over domains, and after
``choices_max`` choices it gives up: the answer is then "not proven", never a wrong "yes".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quota.cell_shape import Level
from quota.errors import CellError
from quota.topology import ClassForest

#: Choices after which a search gives up. Uniform topologies need one a kind of cells.
CHOICES_MAX = 300


class _Kind(NamedTuple):
    gpu_class: str
    level: Level
    nodes: int


class CellKind(_Kind):
    """Cells that one domain may serve as well as another: one level, GPU class and declared ``nodes``."""

    __slots__ = ()

    def __new__(cls, gpu_class: str, level: Level, nodes: int) -> CellKind:
        """Raise CellError for a cell without nodes, or of the nodes' level with several."""
        if nodes < 1 or (level is Level.NODE and nodes > 1):
            raise CellError(f"there is no cell of level {level.name} with {nodes} nodes")
        return super().__new__(cls, gpu_class, level, nodes)

    def __str__(self) -> str:
        return f"{self.gpu_class} {self.level.name.lower()} of {self.nodes}"


@dataclass(frozen=True, slots=True)
class Packing:
    """The positions that serve each kind, by name: as many as were wanted, none inside another."""

    places: Mapping[CellKind, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """No packing. ``proven``: there is none; otherwise the search gave up."""

    proven: bool


def pack(
    forest: ClassForest, free: Sequence[int], wanted: Mapping[CellKind, int], choices_max: int = CHOICES_MAX
) -> Packing | Unpacked:
    """Find places for all ``wanted`` cells (kind -> how many) inside the ``free`` domains, which lie apart.

    All kinds are of the forest's class. The answer depends on the arguments alone.
    """
    search = _Search(forest, wanted, choices_max)
    counts: defaultdict[int, int] = defaultdict(int)
    for position in free:
        if forest.healthy[position]:
            counts[forest.form[position]] += 1
    choices = search.run(0, dict(counts))
    if choices is None:
        return Unpacked(proven=not search.gave_up)
    return Packing(_realised(forest, free, search.stages, choices))


#: For each stage, how many domains of which form are taken.
_Choice = tuple[tuple[int, int], ...]


class _Search:
    """Depth first over stages, one a kind: wide before narrow, large before small."""

    def __init__(self, forest: ClassForest, wanted: Mapping[CellKind, int], choices_max: int) -> None:
        self.forms = forest.forms
        self.stages = [(kind, count) for kind, count in wanted.items() if count > 0]
        self.stages.sort(key=lambda stage: (-stage[0].level, -stage[0].nodes))
        self.inside = [self._inside(kind) for kind, _ in self.stages]
        self.choices_left = choices_max
        self.gave_up = False
        self.failed: set[tuple[int, _Choice]] = set()

    def _inside(self, kind: CellKind) -> list[int]:
        """Return, by form, how many domains in it would serve ``kind``."""
        inside: list[int] = []
        for form in self.forms:
            if form.level > kind.level:
                inside.append(sum(inside[child] * count for child, count in form.children))
            else:
                inside.append(int(self._serves(len(inside), kind)))
        return inside

    def _serves(self, form: int, kind: CellKind) -> bool:
        return self.forms[form].level == kind.level and self.forms[form].healthy >= kind.nodes

    def run(self, stage: int, counts: Mapping[int, int]) -> list[_Choice] | None:
        """Return the choices of ``stage`` and all later ones in ``counts`` free domains by form, or None."""
        if stage == len(self.stages):
            return []
        kind, count = self.stages[stage]
        counts = self._split(counts, kind.level)
        key = (stage, tuple(sorted(counts.items())))
        if key in self.failed:
            return None
        room = self.room(stage, counts)
        if all(have >= want for have, (_, want) in zip(room, self.stages[stage:], strict=True)):
            serving = [form for form in counts if self._serves(form, kind)]
            serving.sort(key=lambda form: (self._damage(form, stage, counts), self.forms[form].healthy, form))
            for choice in _choices([(form, counts[form]) for form in serving], count):
                if self.choices_left == 0:
                    self.gave_up = True
                    return None
                self.choices_left -= 1
                taken = dict(choice)
                left = {form: have - taken.get(form, 0) for form, have in counts.items()}
                later = self.run(stage + 1, {form: have for form, have in left.items() if have})
                if later is not None:
                    return [choice, *later]
        self.failed.add(key)
        return None

    def _split(self, counts: Mapping[int, int], level: Level) -> dict[int, int]:
        """Split all domains wider than ``level`` into their children, again and again."""
        split: defaultdict[int, int] = defaultdict(int, counts)
        for form in range(len(self.forms) - 1, -1, -1):
            if form in split and self.forms[form].level > level:
                count = split.pop(form)
                for child, often in self.forms[form].children:
                    split[child] += count * often
        return dict(split)

    def room(self, stage: int, counts: Mapping[int, int]) -> list[int]:
        """Return, for ``stage`` and each later one, a bound on the cells of it that the earlier ones leave."""
        everywhere = self._everywhere(counts)
        room = []
        for later in range(stage, len(self.stages)):
            inside = self.inside[later]
            most = sum(inside[form] * count for form, count in counts.items())
            for earlier in range(stage, later):
                most -= self._cheapest(earlier, inside, everywhere)
            room.append(most)
        return room

    def _everywhere(self, counts: Mapping[int, int]) -> list[int]:
        """Return how often each form occurs in the free domains, at any depth."""
        everywhere = [counts.get(form, 0) for form in range(len(self.forms))]
        for form in range(len(self.forms) - 1, -1, -1):
            if everywhere[form]:
                for child, often in self.forms[form].children:
                    everywhere[child] += everywhere[form] * often
        return everywhere

    def _cheapest(self, stage: int, inside: Sequence[int], everywhere: Sequence[int]) -> int:
        """Return the least that ``inside`` sums to over as many domains as ``stage`` wants and that serve it."""
        kind, left = self.stages[stage]
        serving = [(inside[form], count) for form, count in enumerate(everywhere) if count and self._serves(form, kind)]
        cost = 0
        for each, count in sorted(serving):
            cost += each * min(left, count)
            left -= min(left, count)
        return cost

    def _damage(self, form: int, stage: int, counts: Mapping[int, int]) -> int:
        """Return what taking one domain of ``form`` costs later stages, each by how scarce its domains are."""
        damage = 0
        for inside, (_, wanted) in zip(self.inside[stage + 1 :], self.stages[stage + 1 :], strict=True):
            there = sum(inside[each] * count for each, count in counts.items())
            damage += (inside[form] * wanted << 32) // max(there, 1)
        return damage


def _choices(available: Sequence[tuple[int, int]], count: int) -> Iterator[_Choice]:
    """Yield all ways to take ``count`` of (form, how many there are); the most of the first ones first."""
    taken = [0] * len(available)

    def fill(start: int, left: int) -> int:
        for each in range(start, len(available)):
            taken[each] = min(left, available[each][1])
            left -= taken[each]
        return left

    if fill(0, count):
        return
    while True:
        yield tuple((form, take) for (form, _), take in zip(available, taken, strict=True) if take)
        behind = room = 0
        for each in range(len(available) - 1, -1, -1):
            if taken[each] and room:
                taken[each] -= 1
                fill(each + 1, behind + 1)
                break
            behind += taken[each]
            room += available[each][1] - taken[each]
        else:
            return


def _realised(
    forest: ClassForest, free: Sequence[int], stages: Sequence[tuple[CellKind, int]], choices: Sequence[_Choice]
) -> dict[CellKind, tuple[int, ...]]:
    """Return the domains behind the choices of forms, the first by name of each form."""
    pool: defaultdict[int, list[int]] = defaultdict(list)
    for position in free:
        pool[forest.form[position]].append(position)
    places: dict[CellKind, tuple[int, ...]] = {}
    for (kind, _), choice in zip(stages, choices, strict=True):
        for form in range(len(forest.forms) - 1, -1, -1):
            if form in pool and forest.forms[form].level > kind.level:
                for position in pool.pop(form):
                    for child in forest.children[position]:
                        pool[forest.form[child]].append(child)
        chosen: list[int] = []
        for form, count in choice:
            pool[form].sort()
            chosen.extend(pool[form][:count])
            del pool[form][:count]
        places[kind] = tuple(sorted(chosen))
    return places
