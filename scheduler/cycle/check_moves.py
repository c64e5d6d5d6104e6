"""What is wrong with a plan's moves: where the jobs of runs that are moved go on, looked at one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from scheduler.cycle.check_restarts import wrong_restart
from scheduler.cycle.plan import Earmark, Plan, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import JobId, NodeId, SiteId


def wrong_moves(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Runs that write a checkpoint, each with nodes of its site where its job may go on, no more GPUs than they make room for.

    What is held for those that move, and for whom they move, is reserved for nobody else.
    """
    if not plan.moves:
        return
    stops = {stop.job: stop for stop in plan.stops if stop.cause is StopCause.MOVED}
    pledged = {earmark.job: earmark for earmark in plan.earmarks}
    if len({each.job for each in plan.moves}) != len(plan.moves):
        yield "a job is moved twice"
    moved: Counter[JobId] = Counter()
    for each in plan.moves:
        stop = stops.get(each.job)
        run = None if stop is None else snapshot.runs.get(stop.run)
        preemptor = None if stop is None or stop.preemptor is None else pledged.get(stop.preemptor)
        if run is None or preemptor is None:
            yield f"job {each.job} is moved for nobody"
            continue
        moved[preemptor.job] += run.gpus
        yield from wrong_restart(snapshot, each, run)
        if each.workers != run.workers:
            yield f"run {run.id} goes on with {each.workers} of {run.workers} workers"
        if (preemptor.site, preemptor.gpu_class) != (run.site, run.gpu_class):
            yield f"run {run.id} is moved for job {preemptor.job}, which starts elsewhere"
    for job, gpus in moved.items():
        if gpus > snapshot.shapes[pledged[job].shape].gpus:
            yield f"{gpus} GPUs are moved for job {job}, which asks for fewer"
    yield from _wrong_reserved(plan, [*plan.moves, *(pledged[job] for job in moved)])


def _wrong_reserved(plan: Plan, held: list[Earmark]) -> Iterator[str]:
    reserved: defaultdict[tuple[SiteId, NodeId], set[JobId]] = defaultdict(set)
    taken = {earmark.job for earmark in plan.earmarks}
    for each in plan.reservations:
        for part in each.gang if each.job not in taken else ():
            reserved[each.site, part[0]].add(each.job)
    for earmark in held:
        for part in earmark.gang:
            if reserved[earmark.site, part[0]] - {earmark.job}:
                yield f"node {part[0]} is held for job {earmark.job} and reserved for another"
