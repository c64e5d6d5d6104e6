"""The round as a loop that works everything out anew at every step: slow, obvious, and the same starts as ``decide``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quota.admission import Usage, admit
from quota.fair_share import fair_share
from quota.fair_tree import fair_tree
from quota.order import turn_key
from quota.refusal import Refusal as QuotaRefusal
from quota.standing_oracle import standing_turns_oracle
from quota.tree import ClassTree, IntArray
from scheduler.cycle.plan import GangPart, Reservation, Start
from scheduler.cycle.reservations_oracle import SlowReservations, leaving_of
from scheduler.cycle.snapshot import Snapshot, takes_work
from scheduler.cycle.stay import NEVER_MS
from scheduler.cycle.waiting import Turn, WaitingClass
from scheduler.model.ids import JobId, SiteId
from scheduler.model.shape import Shape, Topology
from scheduler.model.site import Node
from scheduler.placement import oracle
from scheduler.placement.oracle import FreeNode
from scheduler.placement.pool import share_of
from scheduler.placement.request import Placement, Request


def decide_slowly(snapshot: Snapshot) -> tuple[Start, ...]:
    """The starts of one round."""
    return decide_and_reserve_slowly(snapshot)[0]


def decide_and_reserve_slowly(snapshot: Snapshot) -> tuple[tuple[Start, ...], tuple[Reservation, ...]]:
    """The starts of one round, and its reservations in the order in which they are made."""
    starts: list[Start] = []
    reserved = SlowReservations()
    choices = max((len(snapshot.candidates(shape)) for shape in snapshot.shapes.values()), default=0)
    for choice in range(choices):
        for gpu_class in snapshot.gpu_classes:
            failed: set[int] = set()
            if not _could_any(snapshot, starts, choice, gpu_class):
                continue
            while (start := _next_start(snapshot, starts, reserved, choice, gpu_class, failed)) is not None:
                starts.append(start)
                reserved.started(start, snapshot.shapes[start.shape], _end_of(snapshot, start))
    return tuple(starts), tuple(reserved.made)


def _could_any(snapshot: Snapshot, starts: list[Start], choice: int, gpu_class: str) -> bool:
    """Whether quotas and the number of free GPUs alone would let anybody start, on this candidate or a later one."""
    usage, free = _usage(snapshot, starts, gpu_class), _free(snapshot, starts, gpu_class)
    started = {start.job for start in starts}
    for waiting in snapshot.waiting:
        shape = snapshot.shapes[waiting.shape]
        if gpu_class not in snapshot.candidates(shape)[choice:] or all(turn[2] in started for turn in waiting.turns):
            continue
        answer = admit(usage, waiting.group, shape.gpus, inside_guarantee=not shape.preemptible)
        most = max(
            (sum(node.gpus for node, _ in free[site]) for site in free if _may(snapshot, waiting, shape, site)),
            default=0,
        )
        if not isinstance(answer, QuotaRefusal) and shape.gpus <= most:
            return True
    return False


def _end_of(snapshot: Snapshot, start: Start) -> int:
    """When a gang that starts now is over by its walltime."""
    (stay,) = {each.key.stay for each in snapshot.waiting if start.job in {turn[2] for turn in each.turns}}
    return NEVER_MS if stay.walltime_ms is None else snapshot.now_ms + stay.walltime_ms


def _next_start(
    snapshot: Snapshot,
    starts: list[Start],
    reserved: SlowReservations,
    choice: int,
    gpu_class: str,
    failed: set[int],
) -> Start | None:
    """The start of the head whose turn it is, or of the next one that can start; None when nobody can."""
    started = {start.job for start in starts}
    usage = _usage(snapshot, starts, gpu_class)
    tree = snapshot.tree.of_class(gpu_class)
    asked: dict[int, int] = {}
    for waiting in snapshot.waiting:
        shape = snapshot.shapes[waiting.shape]
        if snapshot.candidates(shape)[:1] == (gpu_class,):
            asked[waiting.group] = asked.get(waiting.group, 0) + shape.gpus * len(waiting.turns)
    shares = fair_share(tree, snapshot.use(gpu_class).counted + tree.array(asked), snapshot.capacity(gpu_class))
    ranks = _past_ranks(snapshot, tree), _standing_ranks(snapshot, tree)
    heads: list[tuple[tuple[object, ...], Turn, int, WaitingClass]] = []
    classes = sorted(snapshot.waiting, key=lambda each: (each.group, each.shape, each.bound_site or 0))
    for number, waiting in enumerate(classes):
        left = [turn for turn in waiting.turns if turn[2] not in started]
        candidates = snapshot.candidates(snapshot.shapes[waiting.shape])
        if left and number not in failed and choice < len(candidates) and candidates[choice] == gpu_class:
            heads.append((turn_key(usage, shares, waiting.group, *ranks), left[0], number, waiting))
    for _, turn, number, waiting in sorted(heads, key=lambda head: (head[0], head[3].group, head[1], head[2])):
        found = _try(snapshot, starts, reserved, usage, gpu_class, waiting, turn[2])
        if found is not None:
            return found
        failed.add(number)
        if choice == _last_choice(snapshot, waiting):
            shape = snapshot.shapes[waiting.shape]
            free = _free(snapshot, starts, gpu_class)
            sites = [site for site in free if _may(snapshot, waiting, shape, site)]
            sites.sort(key=lambda site: snapshot.sites[site].name)
            ends = [_end_of(snapshot, start) for start in starts]
            reserved.look(
                snapshot,
                usage,
                shares,
                gpu_class,
                waiting.key,
                turn,
                [(site, free[site]) for site in sites],
                leaving_of(snapshot, starts, ends, gpu_class),
            )
    return None


def _past_ranks(snapshot: Snapshot, tree: ClassTree) -> IntArray:
    """Whose turn it is by past use, in Fair Tree's own words."""
    own = snapshot.past_use.own(tree.gpu_class)
    turns = fair_tree(tree, [0] * len(tree) if own is None else own.tolist()).order.tolist()
    return np.array([turns.index(position) for position in range(len(tree))], np.int64)


def _standing_ranks(snapshot: Snapshot, tree: ClassTree) -> IntArray:
    """Whose turn it is by standing, path by path."""
    kept = snapshot.standing.own(tree.gpu_class)
    return np.array(standing_turns_oracle(tree, [0] * len(tree) if kept is None else kept.tolist()), np.int64)


def _last_choice(snapshot: Snapshot, waiting: WaitingClass) -> int:
    """The last of the class's candidates that anybody has or a quota names."""
    names = snapshot.candidates(snapshot.shapes[waiting.shape])
    return max((at for at, name in enumerate(names) if name in snapshot.gpu_classes), default=-1)


def _try(
    snapshot: Snapshot,
    starts: list[Start],
    reserved: SlowReservations,
    usage: Usage,
    gpu_class: str,
    waiting: WaitingClass,
    job: JobId,
) -> Start | None:
    shape = snapshot.shapes[waiting.shape]
    walltime_ms = waiting.key.stay.walltime_ms
    end_ms = NEVER_MS if walltime_ms is None else snapshot.now_ms + walltime_ms
    if reserved.keeps_from(gpu_class, waiting.group, shape.gpus, end_ms):
        return None
    answer = admit(usage, waiting.group, shape.gpus, inside_guarantee=not shape.preemptible)
    if isinstance(answer, QuotaRefusal):
        return None
    free = _free(snapshot, starts, gpu_class)
    sites = [site for site in free if _may(snapshot, waiting, shape, site)]
    sites.sort(key=lambda site: (sum(node.gpus for node, _ in free[site]), snapshot.sites[site].name))
    for level in Request.of(shape).levels():
        for site in sites:
            mine = [
                (replace(each, spare=reserved.spare(node.id, end_ms)), node)
                for each, node in _for(snapshot, free[site], waiting, job)
            ]
            gang = _place(mine, Request.of(shape), level)
            if gang is not None:
                return Start(job, waiting.group, waiting.shape, site, gpu_class, gang)
    return None


def _for(
    snapshot: Snapshot, nodes: list[tuple[FreeNode, Node]], waiting: WaitingClass, job: JobId
) -> list[tuple[FreeNode, Node]]:
    """The nodes as a job may use them."""
    priority = next(-turn[0] for turn in waiting.turns if turn[2] == job)
    found = []
    for free, node in nodes:
        pool = snapshot.pools[node.site_id, node.gpu_class]
        usable = snapshot.may_use(pool, pool.node_ids.index(node.id), waiting.key, priority)
        found.append((replace(free, usable=usable), node))
    return found


def _may(snapshot: Snapshot, waiting: WaitingClass, shape: Shape, site_id: SiteId) -> bool:
    site = snapshot.sites[site_id]
    clearance = snapshot.clearance(waiting.group, shape)
    allowed = snapshot.rule_against(clearance, site) is None
    asked = waiting.bound_site in (None, site_id) and site_id not in waiting.key.refused_by
    return allowed and takes_work(site) and asked


def _place(nodes: list[tuple[FreeNode, Node]], request: Request, level: Topology) -> tuple[GangPart, ...] | None:
    placement: Placement | None = oracle.place([free for free, _ in nodes], request, level)
    if placement is None:
        return None
    parts: list[GangPart] = []
    rank = 0
    for index, workers in placement:
        node = nodes[index][1]
        parts.append((node.id, node.name, rank, workers))
        rank += workers
    return tuple(parts)


def _usage(snapshot: Snapshot, starts: list[Start], gpu_class: str) -> Usage:
    started: dict[int, int] = {}
    for start in starts:
        if start.gpu_class == gpu_class:
            started[start.group] = started.get(start.group, 0) + snapshot.shapes[start.shape].gpus
    tree = snapshot.tree.of_class(gpu_class)
    return Usage(tree, snapshot.capacity(gpu_class), snapshot.use(gpu_class).counted + tree.array(started))


def _free(snapshot: Snapshot, starts: list[Start], gpu_class: str) -> dict[SiteId, list[tuple[FreeNode, Node]]]:
    """What is free on each site's nodes of a class, in the order of their names."""
    found: dict[SiteId, list[tuple[FreeNode, Node]]] = {}
    for node in sorted(snapshot.nodes.values(), key=lambda each: (each.name, each.id)):
        if node.gpu_class != gpu_class or node.site_id not in snapshot.sites:
            continue
        lent = node.healthy and _is_lent(snapshot, node)
        gpus, cpus, memory_mib = (node.gpus, node.cpus, node.memory_mib) if lent else (0, 0, 0)
        for run in snapshot.runs.values():
            workers = sum(count for each, count in run.gang if each == node.id)
            gpus -= workers * run.gpus_per_worker
            cpus -= workers * run.cpus_per_worker
            memory_mib -= workers * run.memory_mib_per_worker
        for earmark in snapshot.earmarks.values():
            shape = snapshot.shapes[earmark.job.shape]
            workers = sum(count for each, count in earmark.gang if each == node.id)
            gpus -= workers * shape.gpus_per_worker
            cpus -= workers * shape.cpus_per_worker
            memory_mib -= workers * shape.memory_mib_per_worker
        for start in starts:
            shape = snapshot.shapes[start.shape]
            workers = sum(part[3] for part in start.gang if part[0] == node.id)
            gpus -= workers * shape.gpus_per_worker
            cpus -= workers * shape.cpus_per_worker
            memory_mib -= workers * shape.memory_mib_per_worker
        members = found.setdefault(node.site_id, [])
        share = share_of(node.gpus, node.cpus, node.memory_mib)
        free = FreeNode(len(members), node.domain, max(gpus, 0), max(cpus, 0), max(memory_mib, 0), share=share)
        members.append((free, node))
    return found


def _is_lent(snapshot: Snapshot, node: Node) -> bool:
    pool = snapshot.pools[node.site_id, node.gpu_class]
    return pool.pool.until_ms is None or int(pool.pool.until_ms[pool.node_ids.index(node.id)]) > 0
