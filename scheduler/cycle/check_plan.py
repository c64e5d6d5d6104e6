"""Whether a plan is lawful, by adding up: written apart from the round, so that neither hides the other's mistake."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum

from quota.admission import Usage
from scheduler.cycle.plan import Plan, Start
from scheduler.cycle.snapshot import Snapshot, takes_work
from scheduler.model.ids import JobId, NodeId


class Law(StrEnum):
    """What a plan can break."""

    NOT_WAITING = "not_waiting"  #: a job that does not wait, or twice
    WRONG_GANG = "wrong_gang"  #: not all workers, unknown nodes, or nodes of several sites
    NODE_OVERFULL = "node_overfull"  #: more GPUs, CPUs or memory than are free
    SITE_CLOSED = "site_closed"
    DATA_CLASS = "data_class"
    CHECKPOINT_SITE = "checkpoint_site"
    WRONG_GPU_CLASS = "wrong_gpu_class"
    QUOTA = "quota"  #: a group holds more than its ceiling, or the federation more than there is
    GUARANTEE = "guarantee"  #: non-preemptible work above its group's guarantee
    NO_VERDICT = "no_verdict"  #: a class that waits on without a reason


@dataclass(frozen=True, slots=True)
class Violation:
    """One law broken, with what broke it."""

    law: Law
    detail: str


def check_plan(snapshot: Snapshot, plan: Plan) -> tuple[Violation, ...]:
    """Everything that is wrong with a plan; empty for a lawful one."""
    found: list[Violation] = []
    waiting = {turn[2]: each for each in snapshot.waiting for turn in each.turns}
    times = Counter(start.job for start in plan.starts)
    for start in plan.starts:
        known = waiting.get(start.job)
        if known is None or times[start.job] > 1:
            found.append(Violation(Law.NOT_WAITING, f"job {start.job}"))
            continue
        if (known.group, known.shape) != (start.group, start.shape):
            found.append(Violation(Law.NOT_WAITING, f"job {start.job} is of another class"))
            continue
        found += _check_place(snapshot, start)
        if known.bound_site not in (None, start.site):
            found.append(Violation(Law.CHECKPOINT_SITE, f"job {start.job}"))
    found += _check_nodes(snapshot, plan)
    found += _check_quotas(snapshot, plan)
    found += _check_verdicts(snapshot, plan, set(times))
    return tuple(found)


def _check_place(snapshot: Snapshot, start: Start) -> list[Violation]:
    shape, site = snapshot.shapes[start.shape], snapshot.sites.get(start.site)
    what = f"job {start.job}"
    if site is None or not takes_work(site):
        return [Violation(Law.SITE_CLOSED, what)]
    found = []
    if snapshot.rule_against(snapshot.clearance(start.group, shape), site) is not None:
        found.append(Violation(Law.DATA_CLASS, what))
    if start.gpu_class not in snapshot.candidates(shape):
        found.append(Violation(Law.WRONG_GPU_CLASS, what))
    rank = 0
    for node_id, _, first_rank, workers in start.gang:
        node = snapshot.nodes.get(node_id)
        lies_well = node is not None and node.site_id == start.site and node.gpu_class == start.gpu_class
        if not lies_well or first_rank != rank or workers < 1:
            found.append(Violation(Law.WRONG_GANG, what))
        rank += workers
    if rank != shape.workers:
        found.append(Violation(Law.WRONG_GANG, f"{what} has {rank} of {shape.workers} workers"))
    return found


def _check_nodes(snapshot: Snapshot, plan: Plan) -> list[Violation]:
    use: defaultdict[NodeId, list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(node_id: NodeId, workers: int, gpus: int, cpus: int, memory_mib: int) -> None:
        for index, amount in enumerate((gpus, cpus, memory_mib)):
            use[node_id][index] += workers * amount

    touched: set[NodeId] = set()
    for start in plan.starts:
        shape = snapshot.shapes[start.shape]
        for node_id, _, _, workers in start.gang:
            touched.add(node_id)
            add(node_id, workers, shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker)
    for run in snapshot.runs.values():
        for node_id, workers in run.gang:
            if node_id in touched:
                add(node_id, workers, run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)
    found = []
    for node_id in sorted(touched):
        node = snapshot.nodes.get(node_id)
        if node is None:
            continue
        gpus, cpus, memory_mib = use[node_id]
        if not node.healthy or gpus > node.gpus or cpus > node.cpus or memory_mib > node.memory_mib:
            found.append(Violation(Law.NODE_OVERFULL, f"node {node.name} would hold {use[node_id]}"))
    return found


def _check_quotas(snapshot: Snapshot, plan: Plan) -> list[Violation]:
    """Only what starts may not break a bound: a group that held too much before and starts nothing is no violation."""
    found = []
    for gpu_class in sorted({start.gpu_class for start in plan.starts}):
        tree = snapshot.tree.of_class(gpu_class)
        own = dict(snapshot.own_use.get(gpu_class, {}))
        firm: Counter[int] = Counter()
        started: Counter[int] = Counter()
        for start in plan.starts:
            if start.gpu_class == gpu_class:
                shape = snapshot.shapes[start.shape]
                own[start.group] = own.get(start.group, 0) + shape.gpus
                started[start.group] += shape.gpus
                if not shape.preemptible:
                    firm[start.group] += shape.gpus
        usage = Usage(tree, snapshot.capacity(gpu_class), tree.array({group: n for group, n in own.items() if n}))
        held = usage.held()
        on_path = {ancestor for group in started for ancestor in snapshot.tree.path(group)}
        for group in sorted(on_path):
            position = tree.position(group)
            if int(held[position]) > int(usage.bound[position]):
                found.append(Violation(Law.QUOTA, f"group {group} would hold {held[position]} of {gpu_class}"))
        before = Usage(
            tree,
            snapshot.capacity(gpu_class),
            tree.array({group: n for group, n in snapshot.own_use.get(gpu_class, {}).items() if n}),
        )
        for group, gpus in firm.items():
            position = tree.position(group)
            if int(before.used[position]) + gpus > int(usage.guaranteed[position]):
                found.append(Violation(Law.GUARANTEE, f"group {group} would run {gpus} that cannot be preempted"))
    return found


def _check_verdicts(snapshot: Snapshot, plan: Plan, started: set[JobId]) -> list[Violation]:
    told = {(each.group, each.shape, each.bound_site) for each in plan.verdicts}
    return [
        Violation(Law.NO_VERDICT, f"class {each.group}, {each.shape}")
        for each in snapshot.waiting
        if (each.group, each.shape, each.bound_site) not in told and any(turn[2] not in started for turn in each.turns)
    ]
