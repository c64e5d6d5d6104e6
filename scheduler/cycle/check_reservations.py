"""What is wrong with a plan's reservations, by adding up who would be on their nodes when their time comes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.started import Started
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import NodeId

#: GPUs, CPUs, memory (MiB)
_Amounts = tuple[int, int, int]
_Held = tuple[int, int, int, int]  # until when (ms), and how much


def wrong_reservations(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Reservations for jobs that do not wait on, without all their workers, or with too little room at their time.

    Runs go when they are expected to, starts at their walltime. A run that was there already and of which nobody knows when
    it ends stays.
    """
    if not plan.reservations:
        return
    taken = {start.job for start in plan.starts} | {earmark.job for earmark in plan.earmarks}
    held = _held(snapshot, plan)
    reserved: defaultdict[NodeId, list[tuple[int, _Amounts]]] = defaultdict(list)
    for each in plan.reservations:
        shape = snapshot.shapes[each.shape]
        amounts = shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker
        if each.job in taken:
            continue
        if sum(part[3] for part in each.gang) != shape.workers:
            yield f"job {each.job} has {each.gang} of {shape.workers} workers reserved"
        for node, _, _, workers in each.gang:
            gpus, cpus, memory_mib = (workers * amount for amount in amounts)
            reserved[node].append((each.start_ms, (gpus, cpus, memory_mib)))
    for node_id, parts in reserved.items():
        there_is = snapshot.nodes[node_id]
        for moment in {at_ms for at_ms, _ in parts}:
            there = [amounts for until_ms, *amounts in held[node_id] if until_ms > moment]
            there += [list(amounts) for at_ms, amounts in parts if at_ms <= moment]
            gpus, cpus, memory_mib = (sum(amounts[at] for amounts in there) for at in range(3))
            fits = gpus <= there_is.gpus and cpus <= there_is.cpus and memory_mib <= there_is.memory_mib
            if not there_is.healthy or not fits:
                yield f"node {there_is.name} would hold {(gpus, cpus, memory_mib)} at {moment}"


def _held(snapshot: Snapshot, plan: Plan) -> defaultdict[NodeId, list[_Held]]:
    """By node: who is there until when."""
    held: defaultdict[NodeId, list[_Held]] = defaultdict(list)
    for run in snapshot.runs.values():
        until_ms = run.leaves_ms(snapshot.now_ms)
        for node, workers in run.gang:
            each = (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)
            gpus, cpus, memory_mib = (workers * amount for amount in each)
            held[node].append((NEVER_MS if until_ms is None else until_ms, gpus, cpus, memory_mib))
    for earmark in snapshot.earmarks.values():
        shape = snapshot.shapes[earmark.job.shape]
        for node, workers in earmark.gang:
            held[node].append(
                _for_ever(workers, shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker)
            )
    started = Started.of(snapshot, plan.starts)
    for start, row in zip(plan.starts, started.row.tolist(), strict=True):
        shape, walltime_ms = snapshot.shapes[start.shape], snapshot.table.key(row).stay.walltime_ms
        until_ms = NEVER_MS if walltime_ms is None else snapshot.now_ms + walltime_ms
        for node, _, _, workers in start.gang:
            _, gpus, cpus, memory_mib = _for_ever(
                workers, shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker
            )
            held[node].append((until_ms, gpus, cpus, memory_mib))
    return held


def _for_ever(workers: int, gpus: int, cpus: int, memory_mib: int) -> _Held:
    return NEVER_MS, workers * gpus, workers * cpus, workers * memory_mib
