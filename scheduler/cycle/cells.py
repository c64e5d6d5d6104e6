"""Cells of a snapshot: where they are now, and which firm work that keeps off which nodes.

``quota.cell_places`` finds the places; here runs and earmarks become the work that lies there, and what comes of it becomes terms
of nodes. Preemptible work is let in everywhere. Firm work is let into the cells of groups that it belongs to; a group that
has cells of a GPU class starts firm work of that class nowhere else, since beside them it has no guarantee of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from quota.cell_places import Placed, Work, place_cells, stand
from quota.cell_promises import rights_of
from quota.cells import Right
from quota.topology import Place, Topology
from quota.tree import QuotaTree
from scheduler.cycle.cell_topology import cell_topology, node_name, node_of
from scheduler.cycle.snapshot import CellView, SitePool, Snapshot
from scheduler.cycle.stay import NEVER_MS, Terms
from scheduler.cycle.waiting import Venue
from scheduler.model.ids import GroupId, NodeId
from scheduler.placement.pool import IntArray


def groups_with_cells(tree: QuotaTree) -> dict[str, frozenset[GroupId]]:
    """By GPU class the groups whose quotas grant cells; classes without any are left out."""
    found: defaultdict[str, set[GroupId]] = defaultdict(set)
    for (group, gpu_class), quota in tree.quotas.items():
        if quota.cells:
            found[gpu_class].add(GroupId(group))
    return {gpu_class: frozenset(groups) for gpu_class, groups in sorted(found.items())}


class CellKeeper:
    """Works out places anew where something has changed, as near to those of before as can be. Not thread-safe."""

    def __init__(self, before: Mapping[Place, Right] = MappingProxyType({})) -> None:
        """``before`` is where cells were; they are left there at first if all of them can be."""
        self._before, self._is_new = before, True
        self._tree: QuotaTree | None = None
        self._work: defaultdict[str, list[Work]] | None = None  #: None: to be read from the next snapshot
        self._topology: Topology | None = None
        self._placed: Placed | None = None
        self._shaped: QuotaTree | None = None  #: the last tree that was shown

    def forget_nodes(self) -> None:
        """Nodes, sites or what they lend have changed."""
        self._topology = self._placed = None

    def forget_rights(self) -> None:
        """Groups or quotas have changed."""
        self._work = self._placed = None

    def hold(
        self, group: GroupId, gang: Iterable[tuple[NodeId, int]], gpus_per_worker: int, *, firm: bool, sign: int
    ) -> None:
        """A gang of a class with cells has come to hold nodes (1), or holds them no more (-1)."""
        self._placed = None
        if self._work is None or self._tree is None:
            return
        groups = frozenset(self._tree.path(group))
        for node, workers in gang:
            here, work = self._work[node_name(node)], Work(groups, workers * gpus_per_worker, firm)
            if sign > 0:
                here.append(work)
            else:
                here.remove(work)
            if not here:
                del self._work[node_name(node)]

    def copy(self) -> CellKeeper:
        """The same, which from now on changes by itself."""
        twin = CellKeeper(self._before)
        twin._topology = self._topology
        return twin

    def show(self, snapshot: Snapshot, having: Mapping[str, frozenset[GroupId]]) -> Snapshot:
        """The same moment with its cells in their places; ``having`` is ``groups_with_cells`` of its tree."""
        if not having and not snapshot.cells.having:
            self._before, self._placed = {}, None
            return snapshot
        if self._topology is None:
            self._topology = cell_topology(snapshot)
        if self._work is None:
            self._tree, self._work = snapshot.tree, _work(snapshot, having)
        if self._placed is None:
            rights = {right: number for each in having for right, number in rights_of(snapshot.tree, each).items()}
            if self._is_new and stand(rights, self._topology, self._work, self._before):
                self._placed = Placed(dict(Counter(self._before.values())), self._before)
            else:
                self._placed = place_cells(rights, self._topology, self._work, self._before)
            self._is_new = False
            self._before = self._placed.places
        shown = _shown(snapshot, self._topology, self._placed, having)
        shaped = {(int(group), gpu_class): gpus for (group, gpu_class), gpus in shown.cells.gpus.items()}
        if self._shaped is None or self._shaped.shaped != shaped or self._shaped.quotas is not snapshot.tree.quotas:
            self._shaped = snapshot.tree.with_shaped(shaped)
        return replace(shown, tree=self._shaped)


def with_cells(snapshot: Snapshot) -> Snapshot:
    """The same moment with the cells that its tree grants, as near as can be to where others are under another tree."""
    before = snapshot.cells
    shown = CellKeeper(before.places).show(snapshot, groups_with_cells(snapshot.tree))
    if shown.cells.having == before.having:
        return shown
    table, rows = shown.table, shown.table.rows.tolist()
    numbers: dict[Venue, int] = {}
    venue = table.venue.copy()
    for row in rows:
        venue[row] = numbers.setdefault(shown.venue(table.key(row)), len(numbers))
    return replace(shown, table=replace(table, venue=venue, venues=tuple(numbers)))


def placed_under(snapshot: Snapshot, tree: QuotaTree, gpu_class: str) -> Placed:
    """Where the cells of a class would be under another tree as things stand."""
    work = _work(replace(snapshot, tree=tree), {gpu_class})
    return place_cells(rights_of(tree, gpu_class), cell_topology(snapshot), work, snapshot.cells.places)


def _work(snapshot: Snapshot, classes: Container[str]) -> defaultdict[str, list[Work]]:
    """What lies on nodes of some classes, by node: runs that are not leaving, and what nodes are held for."""
    found: defaultdict[str, list[Work]] = defaultdict(list)
    groups_of: dict[GroupId, frozenset[int]] = {}
    for gpu_class, group, firm, gpus, gang in _gangs(snapshot):
        if gpu_class not in classes:
            continue
        if group not in groups_of:
            groups_of[group] = frozenset(map(int, snapshot.path(group)))
        for node, workers in gang:
            found[node_name(node)].append(Work(groups_of[group], workers * gpus, firm))
    return found


def _gangs(snapshot: Snapshot) -> Iterator[tuple[str, GroupId, bool, int, tuple[tuple[NodeId, int], ...]]]:
    for run in snapshot.runs.values():
        if not run.leaving:
            yield run.gpu_class, run.group, not run.preemptible, run.gpus_per_worker, run.gang
    for earmark in snapshot.earmarks.values():
        shape = snapshot.shapes[earmark.job.shape]
        yield earmark.gpu_class, earmark.job.group, not shape.preemptible, shape.gpus_per_worker, earmark.gang


def _shown(
    snapshot: Snapshot, topology: Topology, placed: Placed, classes: Mapping[str, frozenset[GroupId]]
) -> Snapshot:
    holders: dict[NodeId, GroupId] = {}
    gpus: defaultdict[tuple[GroupId, str], int] = defaultdict(int)
    for place, right in placed.places.items():
        group, gpu_class = GroupId(right.group), place.gpu_class
        nodes = [node_of(name) for name in topology.nodes_in(place)]
        holders |= dict.fromkeys(nodes, group)
        gpus[group, gpu_class] += right.kind.nodes * max((snapshot.nodes[node].gpus for node in nodes), default=0)
    touched = classes.keys() | snapshot.cells.having.keys()
    terms = dict(zip(snapshot.terms, range(len(snapshot.terms)), strict=True))
    pools = {
        key: _kept_clear(pool, holders, classes.get(key[1], frozenset()), terms) if key[1] in touched else pool
        for key, pool in snapshot.pools.items()
    }
    cells = CellView(worth=placed.worth, places=placed.places, holders=holders, gpus=dict(gpus), having=classes)
    return replace(snapshot, pools=pools, terms=tuple(terms), cells=cells)


def _kept_clear(
    pool: SitePool, holders: Mapping[NodeId, GroupId], having: frozenset[GroupId], terms: dict[Terms, int]
) -> SitePool:
    """The pool with terms that keep firm work off others' cells; new ones get their number in ``terms``."""
    nothing = np.zeros(len(pool.node_ids), np.int64)
    number = nothing if pool.pool.terms is None else pool.pool.terms
    until = nothing + NEVER_MS if pool.pool.until_ms is None else pool.pool.until_ms
    holder: IntArray = np.array([holders.get(node, 0) for node in pool.node_ids], np.int64)
    by_number = tuple(terms)
    width = int(holder.max(initial=0)) + 1
    kinds, which = np.unique(number * width + holder, return_inverse=True)
    numbers = []
    for kind in kinds.tolist():
        base, group = divmod(kind, width)
        changed = replace(by_number[base], cell=GroupId(group) if group else None, having_cells=having)
        numbers.append(terms.setdefault(changed, len(terms)))
    column = np.array(numbers, np.int64)[which]
    return replace(pool, pool=replace(pool.pool, terms=column, until_ms=until))
