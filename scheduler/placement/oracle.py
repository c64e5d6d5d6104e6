"""The published placement rule as a loop: slow, obvious, and the same answer as ``pool.Pool``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.model.shape import Topology
from scheduler.placement.arrays import FREE_GPU_COST
from scheduler.placement.request import LEVELS, TIGHTEST_FIRST, Placement, Request


@dataclass(slots=True)
class FreeNode:
    """What is free on a node; ``index`` is its rank by name. One that is not ``usable`` takes no worker, and any no more than
    its ``spare`` (GPUs, CPUs, memory; None: all that is free). ``share`` is what it has for each of its GPUs (``pool.share_of``).
    """

    index: int
    domain: tuple[str, ...]
    gpus: int
    cpus: int
    memory_mib: int
    usable: bool = True
    spare: tuple[int, int, int] | None = None
    share: tuple[int, int] = (0, 0)

    def room(self, request: Request) -> int:
        """How many workers fit."""
        workers = 0
        gpus, cpus, memory_mib = self.gpus, self.cpus, self.memory_mib
        if self.spare is not None:
            gpus, cpus, memory_mib = min(gpus, self.spare[0]), min(cpus, self.spare[1]), min(memory_mib, self.spare[2])
        while self.usable and (
            (workers + 1) * request.gpus <= gpus
            and (workers + 1) * request.cpus <= cpus
            and (workers + 1) * request.memory_mib <= memory_mib
        ):
            workers += 1
        return workers


def workers_max(nodes: Sequence[FreeNode], request: Request) -> int:
    """How many workers fit in one domain of the loosest level that the gang allows."""
    domains: dict[tuple[object, ...], int] = {}
    for node in nodes:
        domain = domain_of(node, request.loosest)
        domains[domain] = domains.get(domain, 0) + node.room(request)
    return max(domains.values(), default=0)


def place(nodes: Sequence[FreeNode], request: Request, level: Topology) -> Placement | None:
    """Place a gang in one domain of ``level``, or of the tightest level below it at which one domain holds it: of these the
    domain with the fewest free GPUs, ties by name. One node is chosen by what the gang costs there.
    """
    whole = _on_one(nodes, request)
    if whole is not None or level is Topology.NODE or request.workers == 1:
        return whole
    for each in TIGHTEST_FIRST[1 : TIGHTEST_FIRST.index(Topology.SITE if level is Topology.ANY else level) + 1]:
        holding = [part for part in _parts(nodes, each) if _room(part, request) >= request.workers]
        if holding:
            return _fill(min(holding, key=_free), request, request.workers, each)
    return None


def crowding(gpus: int, cpus: int, memory_mib: int, share: tuple[int, int]) -> int:
    """By how many thousandths of a GPU so many free GPUs crowd the cores and memory beside them, 0 where these would do for all.

    With enough for ``h`` of ``g`` GPUs that is ``g * (g / h - 1)``, by cores or by memory, whichever is more.
    """
    by_cpus, by_memory = gpus * gpus * share[0] // max(cpus, 1), gpus * gpus * share[1] // max(memory_mib, 1)
    return max(0, by_cpus - 1000 * gpus, by_memory - 1000 * gpus)


def cost(node: FreeNode, request: Request) -> int:
    """What it costs to put a whole gang on a node: crowding that it adds, and GPUs that it leaves free (thousandths of a GPU)."""
    gpus, cpus = node.gpus - request.workers * request.gpus, node.cpus - request.workers * request.cpus
    memory_mib = node.memory_mib - request.workers * request.memory_mib
    before = crowding(node.gpus, node.cpus, node.memory_mib, node.share)
    return crowding(gpus, cpus, memory_mib, node.share) - before + FREE_GPU_COST * gpus


def domain_of(node: FreeNode, level: Topology) -> tuple[object, ...]:
    """The node's domain of a level; the whole pool is one of the site."""
    if level is Topology.NODE:
        return (node.index,)
    if level in (Topology.SITE, Topology.ANY):
        return ()
    return node.domain[: LEVELS.index(level) + 1]


def _fill(members: Sequence[FreeNode], request: Request, workers: int, level: Topology) -> Placement:
    """Put workers into a domain that holds them: whole parts of it, and what is left into the tightest part that holds it."""
    placement: list[tuple[int, int]] = []
    if level is Topology.LEAF:
        return _fill_leaf(members, request, workers)
    within = TIGHTEST_FIRST[TIGHTEST_FIRST.index(level) - 1]
    unused = _parts(members, within)
    while True:
        enough = [part for part in unused if _room(part, request) >= workers]
        if enough:
            return (*placement, *_fill(min(enough, key=_free), request, workers, within))
        most = min(unused, key=lambda part: (-_room(part, request), _free(part)))
        placement += [(node.index, node.room(request)) for node in most if node.room(request)]
        unused.remove(most)
        workers -= _room(most, request)


def _fill_leaf(members: Sequence[FreeNode], request: Request, workers: int) -> Placement:
    unused = list(members)
    placement: list[tuple[int, int]] = []
    while True:
        enough = [node for node in unused if node.room(request) >= workers]
        if enough:
            last = min(enough, key=lambda node: (node.gpus, node.index))
            return (*placement, (last.index, workers))
        most = min(unused, key=lambda node: (-node.room(request), node.gpus, node.index))
        placement.append((most.index, most.room(request)))
        unused.remove(most)
        workers -= placement[-1][1]


def _parts(nodes: Sequence[FreeNode], level: Topology) -> list[list[FreeNode]]:
    """The domains of a level, by name."""
    parts: dict[tuple[object, ...], list[FreeNode]] = {}
    for node in sorted(nodes, key=lambda node: (domain_of(node, level), node.index)):
        parts.setdefault(domain_of(node, level), []).append(node)
    return list(parts.values())


def _room(part: Sequence[FreeNode], request: Request) -> int:
    return sum(node.room(request) for node in part)


def _free(part: Sequence[FreeNode]) -> int:
    return sum(node.gpus for node in part)


def _on_one(nodes: Sequence[FreeNode], request: Request) -> Placement | None:
    """Of the first nodes that hold the whole gang, one for each number of free GPUs, that of the least cost; None for none."""
    first: dict[int, FreeNode] = {}
    for node in nodes:
        if node.room(request) >= request.workers:
            first.setdefault(node.gpus, node)
    if not first:
        return None
    best = min(first.values(), key=lambda node: (cost(node, request), node.gpus))
    return ((best.index, request.workers),)
