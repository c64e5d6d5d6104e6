"""The physical topology as a forest of domains: site > hall > spine > leaf > node.

Nothing has to be uniform: a domain may have children of any lower levels, leaves may have different numbers
of nodes, and nodes may be bad. A node is a domain too, of the lowest level. Each GPU class sees a forest of
its own, with the nodes of that class alone, so that classes never compete for domains.

Domains that look alike from above (the same level, the same kinds of children as often) have the same
*form*. A nation of tens of thousands of nodes has a few hundred forms, and packing (``packing``) counts
forms, not domains.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from quota.cell_shape import Level
from quota.errors import TopologyError
from quota.tree import IntArray


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain above the nodes. ``name`` is unique in the topology; ``parent`` is a wider domain, or None."""

    name: str
    level: Level
    parent: str | None


@dataclass(frozen=True, slots=True)
class Node:
    """One machine in the tightest ``domain`` that it has. ``name`` is unique among nodes and domains."""

    name: str
    domain: str
    gpu_class: str
    healthy: bool = True


class Place(NamedTuple):
    """The nodes of one GPU class in a domain. Those of another class in the same domain are another place."""

    gpu_class: str
    domain: str


@dataclass(frozen=True, slots=True)
class Form:
    """What all domains of one form have in common. ``children`` are (form, how many), dead ones left out."""

    level: Level
    healthy: int
    children: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class ClassForest:
    """The topology as one GPU class sees it. Sequences have one entry a position; positions go by name.

    ``healthy`` counts healthy nodes of the class in a domain. ``form`` indexes ``forms``, in which children
    stand before their parents. ``wider`` is the parent's position or -1. Arrays hold the same as sequences.
    """

    gpu_class: str
    names: tuple[str, ...]
    positions: Mapping[str, int]
    level: Sequence[Level]
    wider: Sequence[int]
    children: Sequence[Sequence[int]]
    healthy: Sequence[int]
    form: Sequence[int]
    forms: Sequence[Form]
    level_array: IntArray
    wider_array: IntArray
    healthy_array: IntArray

    @property
    def roots(self) -> list[int]:
        """The positions of domains that lie in no other, by name."""
        return [position for position, wider in enumerate(self.wider) if wider < 0]

    def within(self, position: int) -> list[int]:
        """Return the positions of the nodes of a domain, bad ones too, by name."""
        found, stack = [], [position]
        while stack:
            each = stack.pop()
            if self.level[each] is Level.NODE:
                found.append(each)
            stack.extend(self.children[each])
        return sorted(found)

    def path(self, position: int) -> list[int]:
        """Return the positions of all domains around one, itself first."""
        found = []
        while position >= 0:
            found.append(position)
            position = self.wider[position]
        return found

    def gathered(self, places: IntArray, amounts: IntArray) -> IntArray:
        """Return, by position, the sum of the ``amounts`` at ``places`` that lie in each domain, (position,)."""
        sums = np.zeros(len(self.names), dtype=np.int64)
        while len(places):
            np.add.at(sums, places, amounts)
            wider = self.wider_array[places]
            places, amounts = wider[wider >= 0], amounts[wider >= 0]
        return sums

    def free(self, held: Iterable[int]) -> list[int]:
        """Return the widest domains that neither lie in a held one nor have one inside, by name.

        The held ones lie apart from each other. O(children of the domains around held ones).
        """
        held = set(held)
        around = {above for each in held for above in self.path(each)[1:]}
        found, stack = [], self.roots
        while stack:
            each = stack.pop()
            if each in around:
                stack.extend(self.children[each])
            elif each not in held:
                found.append(each)
        return sorted(found)


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """All domains and nodes, by name. Bad nodes are part of their domains and hold nothing."""

    domains: Mapping[str, Domain]
    nodes: Mapping[str, Node]
    _forests: dict[str, ClassForest] = field(default_factory=dict)
    _inside: dict[Place, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def build(domains: Iterable[Domain], nodes: Iterable[Node]) -> Topology:
        """Compile a topology from domains and nodes in any order.

        Raises TopologyError for a name given twice, an unknown domain, a domain not narrower than its
        parent, or one of the nodes' level.
        """
        by_name: dict[str, Domain] = {}
        for domain in domains:
            if domain.name in by_name:
                raise TopologyError(f"domain {domain.name} is given twice")
            by_name[domain.name] = domain
        for domain in by_name.values():
            if domain.level is Level.NODE:
                raise TopologyError(f"domain {domain.name} has the level of a node")
            if domain.parent is None:
                continue
            if domain.parent not in by_name:
                raise TopologyError(f"domain {domain.name} lies in the unknown domain {domain.parent}")
            if by_name[domain.parent].level <= domain.level:
                raise TopologyError(f"domain {domain.name} is no narrower than {domain.parent} around it")
        machines: dict[str, Node] = {}
        for node in nodes:
            if node.name in machines or node.name in by_name:
                raise TopologyError(f"the name of node {node.name} is given twice")
            if node.domain not in by_name:
                raise TopologyError(f"node {node.name} lies in the unknown domain {node.domain}")
            machines[node.name] = node
        return Topology(by_name, machines)

    def with_bad(self, names: Collection[str]) -> Topology:
        """Return the same topology in which exactly the nodes called ``names`` are bad.

        Raises TopologyError for a node that is not there.
        """
        bad = set(names)
        if unknown := sorted(bad - self.nodes.keys()):
            raise TopologyError(f"there are no nodes {unknown[:10]}")
        nodes = {
            node.name: Node(node.name, node.domain, node.gpu_class, node.name not in bad)
            for node in self.nodes.values()
        }
        return Topology(self.domains, nodes)

    def nodes_in(self, place: Place) -> tuple[str, ...]:
        """Return the nodes of a place, bad ones too, by name; none where it is not there. Looked for once."""
        if place not in self._inside:
            forest = self.of_class(place.gpu_class)
            position = forest.positions.get(place.domain)
            inside = () if position is None else tuple(forest.names[each] for each in forest.within(position))
            self._inside[place] = inside
        return self._inside[place]

    def of_class(self, gpu_class: str) -> ClassForest:
        """Return the forest of one GPU class, empty where the class has no node. Compiled once."""
        if gpu_class not in self._forests:
            self._forests[gpu_class] = _compile(self, gpu_class)
        return self._forests[gpu_class]


def _compile(topology: Topology, gpu_class: str) -> ClassForest:
    nodes = [node for node in topology.nodes.values() if node.gpu_class == gpu_class]
    wider_of: dict[str, str | None] = {}
    for node in nodes:
        wider_of[node.name] = node.domain
        above: str | None = node.domain
        while above is not None and above not in wider_of:
            wider_of[above] = topology.domains[above].parent
            above = wider_of[above]
    names = tuple(sorted(wider_of))
    positions = {name: position for position, name in enumerate(names)}
    level = [topology.domains[name].level if name in topology.domains else Level.NODE for name in names]
    wider = [-1 if (around := wider_of[name]) is None else positions[around] for name in names]
    children: list[list[int]] = [[] for _ in names]
    for position, parent in enumerate(wider):
        if parent >= 0:
            children[parent].append(position)
    sound = {positions[node.name] for node in nodes if node.healthy}
    healthy, form, forms = _forms(level, children, sound)
    arrays = (np.array(values, dtype=np.int64) for values in (level, wider, healthy))
    return ClassForest(gpu_class, names, positions, level, wider, children, healthy, form, forms, *arrays)


def _forms(
    level: Sequence[Level], children: Sequence[Sequence[int]], sound: Collection[int]
) -> tuple[list[int], list[int], list[Form]]:
    """Return healthy nodes and form by position, and all forms; level by level, so that children come first."""
    healthy, form = [0] * len(level), [-1] * len(level)
    forms: list[Form] = []
    known: dict[Form, int] = {}
    by_level: defaultdict[Level, list[int]] = defaultdict(list)
    for position, each in enumerate(level):
        by_level[each].append(position)
    for each in sorted(by_level):
        for position in by_level[each]:
            below = Counter(form[child] for child in children[position] if healthy[child])
            count = sum(healthy[child] for child in children[position]) + (position in sound)
            healthy[position] = count
            shape = Form(each, count, tuple(sorted(below.items())))
            if shape not in known:
                known[shape] = len(forms)
                forms.append(shape)
            form[position] = known[shape]
    return healthy, form, forms
