"""What nodes are reserved for blocked heads, found by trying one moment after the other: slow, obvious, as ``reservations``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from quota.admission import Usage, available
from quota.fair_share import FairShares
from scheduler.cycle.facts import ClassKey
from scheduler.cycle.plan import GangPart, Reservation, Start
from scheduler.cycle.reservations import LOOKS_MAX
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import NEVER_MS, may_stay
from scheduler.cycle.waiting import Turn
from scheduler.model.ids import GroupId, NodeId, SiteId
from scheduler.model.shape import Shape
from scheduler.model.site import Node
from scheduler.placement import oracle
from scheduler.placement.oracle import FreeNode
from scheduler.placement.request import Request

Amounts = tuple[int, int, int]
#: (node, workers, amounts a worker, end): a part of a gang that leaves at a known time
Leaving = tuple[NodeId, int, Amounts, int]


@dataclass(slots=True)
class Held:
    """A node that is reserved from a moment on, and what others may have of it then."""

    from_ms: int
    spare: Amounts


@dataclass(slots=True)
class SlowReservations:
    """All of one round."""

    looked: set[tuple[str, GroupId]] = field(default_factory=set)
    held: dict[NodeId, Held] = field(default_factory=dict)
    taken: dict[NodeId, Amounts] = field(default_factory=dict)
    #: by class and group: from when on, and what is left of its share then
    groups: dict[tuple[str, GroupId], list[int]] = field(default_factory=dict)
    made: list[Reservation] = field(default_factory=list)

    def spare(self, node: NodeId, end_ms: int) -> Amounts | None:
        """What a gang that ends then may have of a node; None: all that is free."""
        held = self.held.get(node)
        return None if held is None or end_ms <= held.from_ms else held.spare

    def keeps_from(self, gpu_class: str, group: GroupId, gpus: int, end_ms: int) -> bool:
        """Whether its own group's reservation keeps a gang from starting."""
        from_ms, room = self.groups.get((gpu_class, group), (NEVER_MS, 0))
        return end_ms > from_ms and gpus > room

    def started(self, start: Start, shape: Shape, end_ms: int) -> None:
        """A gang has started: count what it will still have when nodes are reserved."""
        mine = self.groups.get((start.gpu_class, start.group))
        if mine is not None and end_ms > mine[0]:
            mine[1] -= shape.gpus
        for node, _, _, workers in start.gang:
            if self.spare(node, end_ms) is not None:
                self.held[node].spare = _minus(self.held[node].spare, _times(workers, _each(shape)))

    def look(
        self,
        snapshot: Snapshot,
        usage: Usage,
        shares: FairShares,
        gpu_class: str,
        key: ClassKey,
        turn: Turn,
        sites: Sequence[tuple[SiteId, list[tuple[FreeNode, Node]]]],
        leaving: Sequence[tuple[GroupId, Leaving]],
    ) -> None:
        """The head of a class cannot start. ``sites`` are those that may serve it, by name, with what is free there."""
        priority, shape, position = -turn[0], snapshot.shapes[key.shape], usage.tree.position(key.group)
        looks = sum(name == gpu_class for name, _ in self.looked)
        below = int(usage.own[position]) < int(shares.own[position])
        if not below or (gpu_class, key.group) in self.looked or looks == LOOKS_MAX or available(usage, key.group) <= 0:
            return
        if not shape.preemptible and shape.gpus > int(usage.guaranteed[position]) - int(usage.used[position]):
            return
        if not _is_within_bounds(usage, position, shape.gpus):
            return
        self.looked.add((gpu_class, key.group))
        found = None
        for moment in sorted({end for _, (_, _, _, end) in leaving}):
            fits = []
            for at, (site, nodes) in enumerate(sites):
                then = self._free_at(snapshot, moment, key, priority, nodes, [each for _, each in leaving])
                ends_here = any(end == moment and _is_at(nodes, node) for _, (node, _, _, end) in leaving)
                if ends_here and oracle.workers_max(then, Request.of(shape)) >= shape.workers:
                    free = sum(node.gpus for node in then if node.usable)
                    fits.append((free, at, site, nodes, then))
            if fits:
                found = moment, min(fits, key=lambda each: each[:2])
                break
        if found is None:
            return
        moment, (_, _, site, nodes, then) = found
        gone = sum(
            workers * each[0] for group, (_, workers, each, end) in leaving if group == key.group and end <= moment
        )
        stays = int(usage.own[position]) - gone
        self.groups[gpu_class, key.group] = [moment, int(shares.own[position]) - stays - shape.gpus]
        gang = self._hold(shape, moment, nodes, then)
        self.made.append(Reservation(turn[2], key.group, key.shape, site, gpu_class, gang, moment))

    def _free_at(
        self,
        snapshot: Snapshot,
        moment: int,
        key: ClassKey,
        priority: int,
        nodes: Iterable[tuple[FreeNode, Node]],
        leaving: Sequence[Leaving],
    ) -> list[FreeNode]:
        found = []
        for free, node in nodes:
            amounts = _minus((free.gpus, free.cpus, free.memory_mib), self.taken.get(node.id, (0, 0, 0)))
            amounts = _minus(amounts, _over(snapshot, node))
            for each_node, workers, each, end in leaving:
                if each_node == node.id and end <= moment:
                    amounts = _minus(amounts, _times(-workers, each))
            usable = _may_start(snapshot, node, key, priority, moment)
            found.append(FreeNode(free.index, free.domain, *amounts, usable=usable, share=free.share))
        return found

    def _hold(
        self, shape: Shape, moment: int, nodes: list[tuple[FreeNode, Node]], then: list[FreeNode]
    ) -> tuple[GangPart, ...]:
        request = Request.of(shape)
        cut = []
        for each in then:
            gpus, cpus, memory_mib = (max(a, 0) * each.usable for a in (each.gpus, each.cpus, each.memory_mib))
            cut.append(FreeNode(each.index, each.domain, gpus, cpus, memory_mib, share=each.share))
        placements = (oracle.place(cut, request, level) for level in request.levels())
        parts: list[GangPart] = []
        for index, workers in next(each for each in placements if each is not None):
            node, amounts = nodes[index][1].id, _times(workers, _each(shape))
            parts.append((node, nodes[index][1].name, sum(part[3] for part in parts), workers))
            spare = _minus((then[index].gpus, then[index].cpus, then[index].memory_mib), amounts)
            known = self.held.get(node)
            if known is None:
                self.held[node] = Held(moment, spare)
            else:
                lower = (min(known.spare[0], spare[0]), min(known.spare[1], spare[1]), min(known.spare[2], spare[2]))
                self.held[node] = Held(min(known.from_ms, moment), lower)
            self.taken[node] = _minus(self.taken.get(node, (0, 0, 0)), _times(-1, amounts))
        return tuple(parts)


def leaving_of(
    snapshot: Snapshot, starts: Sequence[Start], ends_ms: Sequence[int], gpu_class: str
) -> list[tuple[GroupId, Leaving]]:
    """Parts of a class's runs and starts that leave at a known time."""
    found: list[tuple[GroupId, Leaving]] = []
    for run in snapshot.runs.values():
        end = run.leaves_ms(snapshot.now_ms)
        if end is not None and run.gpu_class == gpu_class:
            each = (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)
            found += [(run.group, (node, workers, each, end)) for node, workers in run.gang]
    for start, end in zip(starts, ends_ms, strict=True):
        if start.gpu_class == gpu_class and end < NEVER_MS:
            each = _each(snapshot.shapes[start.shape])
            found += [(start.group, (part[0], part[3], each, end)) for part in start.gang]
    return found


def _may_start(snapshot: Snapshot, node: Node, key: ClassKey, priority: int, moment: int) -> bool:
    """Whether such a job may start on a node at a moment, as the node is lent now."""
    pool = snapshot.pools[node.site_id, node.gpu_class]
    if not node.healthy:
        return False
    if pool.pool.terms is None or pool.pool.until_ms is None:
        return True
    at = pool.node_ids.index(node.id)
    shape, terms = snapshot.shapes[key.shape], snapshot.terms[int(pool.pool.terms[at])]
    sector, groups = snapshot.groups[key.group].sector, snapshot.path(key.group)
    if not terms.lets_in(sector, shape.data_class, groups) or not terms.serves(priority):
        return False
    if terms.cell is not None and terms.cell not in groups:
        return False
    if not shape.preemptible and not terms.lets_firm_in(key.group, groups):
        return False
    return may_stay(
        terms,
        int(pool.pool.until_ms[at]),
        key.stay,
        preemptible=shape.preemptible,
        now_ms=moment,
        minimum_run_ms=snapshot.preemption.minimum_run_ms,
    )


def _is_within_bounds(usage: Usage, position: int, gpus: int) -> bool:
    """Whether every bound below the federation's own would let so much more in."""
    idle = 0
    while position > 0:
        inside = int(usage.inside[position])
        if gpus > int(usage.bound[position]) - inside + idle:
            return False
        idle += max(int(usage.reserve[position]) - inside, 0)
        position = int(usage.tree.parent[position])
    return True


def _is_at(nodes: Iterable[tuple[FreeNode, Node]], node: NodeId) -> bool:
    return any(each.id == node for _, each in nodes)


def _each(shape: Shape) -> Amounts:
    return shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker


def _times(workers: int, each: Amounts) -> Amounts:
    return workers * each[0], workers * each[1], workers * each[2]


def _minus(one: Amounts, other: Amounts) -> Amounts:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def _over(snapshot: Snapshot, node: Node) -> Amounts:
    """What is held of a node beyond what it has: earmarks wait for the runs that leave."""
    left = node.gpus, node.cpus, node.memory_mib
    for run in snapshot.runs.values():
        each = run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker
        for at, workers in run.gang:
            left = _minus(left, _times(workers * (at == node.id), each))
    for earmark in snapshot.earmarks.values():
        for at, workers in earmark.gang:
            left = _minus(left, _times(workers * (at == node.id), _each(snapshot.shapes[earmark.job.shape])))
    gpus, cpus, memory_mib = (max(-amount, 0) for amount in left)
    return gpus, cpus, memory_mib
