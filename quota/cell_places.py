"""Where cells are now: a place for each that can be held, kept clear of what could not be called back from it.

Work that may be preempted can lie anywhere: whoever holds the cell calls it back. Firm work cannot be called back, so a node
with firm work counts for the cells of the groups that the work belongs to, and for others it is as good as bad. Places
are chosen anew whenever something changes, and stay where they can. In the order in which they are kept:

* places with firm work of their own group in them, and domains around firm work that would serve a cell of its group;
* places with other work of their own group in them, and, while none of the group's own work lies outside its places on nodes of
  their class, those that nobody works in, and those that others work in as far as no empty domain would serve instead.

All other cells go to the domains whose lent nodes are missed least, those with the group's own work in front (``cells.bind``).

The promise: while firm work starts only in places of groups that it belongs to, or outside of all places, what was
placed can be placed again, whatever else starts or ends. For the places of before still serve; those with firm work
in them are kept first, beside which the others pack. Only lost nodes make the cells worth fewer, and firm work that
was there before a cell was granted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quota.cell_choice import lost_in
from quota.cells import Granted, Right, bind
from quota.errors import CellError
from quota.packing import CellKind
from quota.refusal import Refusal
from quota.settlement import settle
from quota.topology import Place, Topology
from quota.tree import IntArray

#: What a GPU of a group's own work in a domain outweighs, in GPUs of others.
_OWN = 1 << 20


class Work(NamedTuple):
    """Work on a node: whose it is (a group with all above it), how many GPUs it holds there, and whether it is firm."""

    groups: frozenset[int]
    gpus: int
    firm: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """How many cells each right can hold now, 0 left out, and whose cell is in which place. No place lies in another."""

    worth: Mapping[Right, int]
    places: Mapping[Place, Right]


NOTHING_PLACED = Placed({}, {})


def place_cells(
    rights: Mapping[Right, int],
    topology: Topology,
    work: Mapping[str, Sequence[Work]],
    before: Mapping[Place, Right],
) -> Placed:
    """Find places for the cells of all ``rights``, given the ``work`` by node and the places of ``before``.

    The same arguments give the same places. Those in which others work may be exchanged again for as good ones.
    """
    firm = {
        node: frozenset.intersection(*(each.groups for each in work[node] if each.firm))
        for node in _with_firm(work)
        if node in topology.nodes
    }
    losses = _Losses(topology, work, rights)
    kept = _kept(rights, topology, work, firm, before, losses)
    if kept == before and stand(rights, topology, work, before):
        return Placed(dict(Counter(before.values())), dict(before))
    return _placed_anew(rights, topology, firm, kept, losses)


def _placed_anew(
    rights: Mapping[Right, int],
    topology: Topology,
    firm: Mapping[str, frozenset[int]],
    kept: Mapping[Place, Right],
    losses: _Losses,
) -> Placed:
    """Bind all cells beside those that are kept if they can be, on nodes that hold no firm work of others."""
    sick = {node.name for node in topology.nodes.values() if not node.healthy}
    wrong: set[str] = set()
    while True:
        inside = {node: right for place, right in kept.items() for node in topology.nodes_in(place)}
        closed = {node for node, groups in firm.items() if node not in inside or inside[node].group not in groups}
        closed |= wrong
        seen = topology.with_bad(sick | closed) if closed else topology
        granted = _bound(settle(Granted(rights=rights, bound=kept), seen).granted, seen, losses)
        more = {
            node
            for place, right in granted.bound.items()
            for node in topology.nodes_in(place)
            if node not in closed and node in firm and right.group not in firm[node]
        }
        if not more:
            return Placed(dict(Counter(granted.bound.values())), dict(granted.bound))
        wrong |= more


def stand(
    rights: Mapping[Right, int],
    topology: Topology,
    work: Mapping[str, Sequence[Work]],
    places: Mapping[Place, Right],
) -> bool:
    """Whether ``places`` hold all cells of all ``rights`` as they are, whatever would be better: apart, and clear."""
    if Counter(places.values()) != Counter(rights):
        return False
    clear = {name for name, node in topology.nodes.items() if node.healthy}
    firm = _with_firm(work)
    taken: set[str] = set()
    covered = 0
    for place, right in places.items():
        forest = topology.of_class(place.gpu_class)
        position, nodes = forest.positions.get(place.domain), topology.nodes_in(place)
        if position is None or forest.level[position] is not right.kind.level:
            return False
        serving = clear.intersection(nodes)
        for node in firm & serving if firm else ():
            if not all(right.group in each.groups for each in work[node] if each.firm):
                serving.remove(node)
        if len(serving) < right.kind.nodes:
            return False
        taken.update(nodes)
        covered += len(nodes)
    return len(taken) == covered  # as many as apart from each other


def _with_firm(work: Mapping[str, Sequence[Work]]) -> set[str]:
    return {node for node, here in work.items() for each in here if each.firm}


def _kept(
    rights: Mapping[Right, int],
    topology: Topology,
    work: Mapping[str, Sequence[Work]],
    firm: Mapping[str, frozenset[int]],
    before: Mapping[Place, Right],
    losses: _Losses,
) -> dict[Place, Right]:
    """Return the places that stay if they can, the more important in front."""
    held = {place: nodes for place, right in before.items() if right in rights and (nodes := topology.nodes_in(place))}
    covered = {node for nodes in held.values() for node in nodes}
    outside = {
        (topology.nodes[node].gpu_class, each.groups)
        for node in work.keys() - covered
        if node in topology.nodes
        for each in work[node]
    }
    strays = {(gpu_class, group) for gpu_class, groups in outside for group in groups}
    first: dict[Place, Right] = {}
    second: dict[Place, Right] = {}
    lent: defaultdict[CellKind, list[tuple[int, Place]]] = defaultdict(list)
    for place, nodes in held.items():
        right = before[place]
        has_strays = (place.gpu_class, right.group) in strays
        here = [each for node in nodes if node in work for each in work[node]]
        own = [each.firm for each in here if right.group in each.groups]
        if True in own:
            first[place] = right
        elif own or (not here and not has_strays):
            second[place] = right
        elif not has_strays:
            lent[right.kind].append((sum([each.gpus for each in here]), place))
    for kind, places in lent.items():
        stay = max(len(places) - losses.empty(kind), 0)
        second.update({place: before[place] for _, place in sorted(places)[:stay]})
    taken = {node for place in (*first, *second) for node in held[place]}
    for place, right in _around_firm(rights, topology, firm, taken):
        first[place] = right
    return first | second


def _around_firm(
    rights: Mapping[Right, int], topology: Topology, firm: Mapping[str, frozenset[int]], taken: set[str]
) -> Iterator[tuple[Place, Right]]:
    """Yield places that would serve a cell of the group whose firm work lies there, apart from each other and from ``taken``."""
    of_group: defaultdict[int, list[Right]] = defaultdict(list)
    for right in sorted(rights):
        of_group[right.group].append(right)
    for node in sorted(firm):
        for right in [right for group in sorted(firm[node]) for right in of_group.get(group, ())]:
            forest = topology.of_class(right.kind.gpu_class)
            path = forest.path(forest.positions[node]) if node in forest.positions and node not in taken else []
            domain = next((forest.names[each] for each in path if forest.level[each] == right.kind.level), None)
            if domain is None:
                continue
            place = Place(right.kind.gpu_class, domain)
            nodes = topology.nodes_in(place)
            serving = [
                each for each in nodes if topology.nodes[each].healthy and right.group in firm.get(each, {right.group})
            ]
            if len(serving) >= right.kind.nodes and taken.isdisjoint(nodes):
                taken.update(nodes)
                yield place, right


class _Losses:
    """What calling work back would lose, by domain: own work of a right's group is what its cell should be around."""

    def __init__(self, topology: Topology, work: Mapping[str, Sequence[Work]], rights: Collection[Right]) -> None:
        """Only ``rights`` are asked about."""
        self._topology = topology
        groups = frozenset(right.group for right in rights)
        self._everybody = {node: sum(map(_loss, here)) for node, here in work.items()}
        self._own: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for node, here in work.items():
            for each in here:
                for group in groups & each.groups:
                    self._own[group][node] -= _loss(each) + _OWN * each.gpus
        self._sums: dict[str, IntArray] = {}

    def of(self, right: Right) -> IntArray:
        """Return what would be lost for a right in each domain of its class, by position."""
        forest = self._topology.of_class(right.kind.gpu_class)
        sums = self._of_class(right.kind.gpu_class)
        return sums + lost_in(forest, self._own[right.group]) if self._own[right.group] else sums

    def empty(self, kind: CellKind) -> int:
        """Count the domains in which nobody works and that would serve a kind."""
        forest, sums = self._topology.of_class(kind.gpu_class), self._of_class(kind.gpu_class)
        serving = (forest.level_array == kind.level) & (forest.healthy_array >= kind.nodes)
        return int((serving & (sums == 0)).sum())

    def _of_class(self, gpu_class: str) -> IntArray:
        if gpu_class not in self._sums:
            self._sums[gpu_class] = lost_in(self._topology.of_class(gpu_class), self._everybody)
        return self._sums[gpu_class]


def _loss(work: Work) -> int:
    return 1 + work.gpus


def _bound(granted: Granted, topology: Topology, losses: _Losses) -> Granted:
    """Bind every cell that is worth something and not bound."""
    held = Counter(granted.bound.values())
    for right in sorted(granted.worth):
        missing = granted.worth[right] - held[right]
        if missing <= 0:
            continue
        answer = bind(granted, right.group, right.kind, topology, cells=missing, lost=losses.of(right))
        if isinstance(answer, Refusal):
            raise CellError(f"{right} is worth cells that cannot be bound: {answer.numbers}")
        granted = answer.granted
    return granted
