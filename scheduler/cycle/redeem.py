"""Jobs for which nodes are held: start those whose nodes have room by now, give up those whose nodes are lost.

Quota was charged with the earmark, but runs that make way for quota alone may stand on other nodes: while any of them is
leaving below a group that holds more than its bound, the job waits for it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from quota.admission import Usage
from quota.tree import IntArray
from scheduler.cycle.facts import Earmarked
from scheduler.cycle.plan import GangPart, Start
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool, Snapshot, takes_work
from scheduler.cycle.waiting import turn_of
from scheduler.model.ids import JobId, NodeId

#: GPUs, CPUs, memory (MiB)
Amounts = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Redemption:
    """What becomes of earmarks now; those in neither list are waited for."""

    starts: tuple[Start, ...]
    withdrawn: tuple[JobId, ...]


def redeem(round_: Round) -> Redemption:
    """Look at every earmark: by priority, turn and id. Runs alone are in its way, since earmarks fit together.

    Has to come before the round hands anything out.
    """
    snapshot = round_.snapshot
    if not snapshot.earmarks:
        return Redemption((), ())
    leaving = {name: _leaving_below(round_, name) for name in round_.usages}
    use, live = _use_of_runs(snapshot), {run.job for run in snapshot.runs.values()}
    starts, withdrawn = [], []
    turn = sorted(snapshot.earmarks.values(), key=lambda each: turn_of(each.job))
    for earmark in turn:
        if not _stands(snapshot, earmark):
            withdrawn.append(earmark.job.id)
            continue
        if earmark.job.id in live:  # it is moved, and has yet to stop where it is
            continue
        if earmark.gpu_class in leaving and _waits_for_quota(round_, earmark, leaving[earmark.gpu_class]):
            continue
        held = _held_by(snapshot, earmark)
        if all(_fits(snapshot, node, use[node], amounts) for node, amounts in held.items()):
            for node, amounts in held.items():
                use[node] = _sum(use[node], amounts)
            starts.append(_start(snapshot, earmark))
    return Redemption(tuple(starts), tuple(withdrawn))


def _leaving_below(round_: Round, gpu_class: str) -> IntArray:
    """By position: GPUs of runs that are leaving, in the whole subtree."""
    usage = round_.usages[gpu_class]
    return Usage(usage.tree, usage.capacity, round_.snapshot.use(gpu_class).leaving).used


def _waits_for_quota(round_: Round, earmark: Earmarked, leaving: IntArray) -> bool:
    usage = round_.usages[earmark.gpu_class]
    held, at = usage.held(), usage.tree.position(earmark.job.group)
    while at >= 0:
        if leaving[at] and held[at] > usage.bound[at]:
            return True
        at = int(usage.tree.parent[at])
    return False


def _stands(snapshot: Snapshot, earmark: Earmarked) -> bool:
    """Whether the job may still start there once the nodes are free."""
    site = snapshot.sites.get(earmark.site)
    if site is None or not takes_work(site) or earmark.job.bound_site not in (None, site.id):
        return False
    clearance = snapshot.clearance(earmark.job.group, snapshot.shapes[earmark.job.shape])
    if snapshot.rule_against(clearance, site) is not None:
        return False
    pool = snapshot.pools.get((earmark.site, earmark.gpu_class))
    if pool is None or not _are_lent(snapshot, pool, earmark):
        return False
    nothing = (0, 0, 0)
    held = _held_by(snapshot, earmark)
    return all(node in snapshot.nodes and _fits(snapshot, node, nothing, each) for node, each in held.items())


def _are_lent(snapshot: Snapshot, pool: SitePool, earmark: Earmarked) -> bool:
    """Whether the job may still have the nodes for as long as it needs them."""
    if pool.pool.terms is None:
        return True
    return all(
        node in pool.index and snapshot.may_use(pool, pool.index[node], earmark.job.key, earmark.job.priority)
        for node, _ in earmark.gang
    )


def _use_of_runs(snapshot: Snapshot) -> defaultdict[NodeId, Amounts]:
    wanted = {node for earmark in snapshot.earmarks.values() for node, _ in earmark.gang}
    use: defaultdict[NodeId, Amounts] = defaultdict(lambda: (0, 0, 0))
    for run in snapshot.runs.values():
        each = (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)
        for node, workers in run.gang:
            if node in wanted:
                use[node] = _sum(use[node], _times(workers, each))
    return use


def _held_by(snapshot: Snapshot, earmark: Earmarked) -> dict[NodeId, Amounts]:
    shape = snapshot.shapes[earmark.job.shape]
    each = (shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker)
    return {node: _times(workers, each) for node, workers in earmark.gang}


def _fits(snapshot: Snapshot, node_id: NodeId, use: Amounts, amounts: Amounts) -> bool:
    node = snapshot.nodes[node_id]
    gpus, cpus, memory_mib = _sum(use, amounts)
    return node.healthy and gpus <= node.gpus and cpus <= node.cpus and memory_mib <= node.memory_mib


def _start(snapshot: Snapshot, earmark: Earmarked) -> Start:
    parts: list[GangPart] = []
    rank = 0
    for node, workers in earmark.gang:
        parts.append((node, snapshot.nodes[node].name, rank, workers))
        rank += workers
    job = earmark.job
    return Start(job.id, job.group, job.shape, earmark.site, earmark.gpu_class, tuple(parts))


def _times(workers: int, each: Amounts) -> Amounts:
    return workers * each[0], workers * each[1], workers * each[2]


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]
