"""What is wrong where elastic gangs get another number of workers, looked at one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from scheduler.cycle.check_restarts import wrong_restart
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import Earmark, Plan, Stop, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, NodeId, SiteId

SIZING_CAUSES = frozenset({StopCause.SHRUNK, StopCause.GROWN})


def wrong_sizes(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Elastic runs that write a checkpoint, each with nodes of its own on which its job goes on: fewer for somebody's sake, or
    more that are reserved for nobody. Starts have a number of workers that their jobs take."""
    stops = {stop.job: stop for stop in plan.stops if stop.cause in SIZING_CAUSES}
    sized = {each.job for each in plan.sizes}
    if len(sized) != len(plan.sizes):
        yield "a job goes on twice"
    for job in sorted(stops.keys() - sized):
        yield f"job {job} is stopped to go on nowhere"
    reserved = _reserved(plan)
    for each in plan.sizes:
        stop = stops.get(each.job)
        run = None if stop is None else snapshot.runs.get(stop.run)
        if stop is None or run is None:
            yield f"job {each.job} has no run that is stopped"
            continue
        yield from wrong_restart(snapshot, each, run)
        yield from _wrong_number(each, stop, run)
        before = dict(run.gang)
        for node, _, _, workers in each.gang if stop.cause is StopCause.GROWN else ():
            if workers > before.get(node, 0) and (each.site, node) in reserved:
                yield f"job {each.job} grows onto node {node}, which is reserved"
    yield from _wrong_starts(snapshot, plan)


def gpus_dropped(snapshot: Snapshot, plan: Plan) -> Iterator[tuple[str, GroupId, int]]:
    """What runs that shrink give up: GPU class, group and GPUs."""
    yield from ((gpu_class, group, -gpus) for gpu_class, group, gpus in _changes(snapshot, plan) if gpus < 0)


def gpus_grown(snapshot: Snapshot, plan: Plan) -> Iterator[tuple[str, GroupId, int]]:
    """What runs that grow get besides: GPU class, group and GPUs."""
    yield from (each for each in _changes(snapshot, plan) if each[2] > 0)


def _changes(snapshot: Snapshot, plan: Plan) -> Iterator[tuple[str, GroupId, int]]:
    run_of = {stop.job: snapshot.runs.get(stop.run) for stop in plan.stops if stop.cause in SIZING_CAUSES}
    for each in plan.sizes:
        run = run_of.get(each.job)
        if run is not None:
            yield run.gpu_class, run.group, (each.workers - run.workers) * run.gpus_per_worker


def _reserved(plan: Plan) -> set[tuple[SiteId, NodeId]]:
    taken = {earmark.job for earmark in plan.earmarks}
    return {(each.site, part[0]) for each in plan.reservations if each.job not in taken for part in each.gang}


def _wrong_number(size: Earmark, stop: Stop, run: LiveRun) -> Iterator[str]:
    """Fewer of the nodes and workers that it has, or more, but between what its job takes."""
    before, after = dict(run.gang), {node: workers for node, _, _, workers in size.gang}
    if run.workers_min is None or run.workers_max is None:
        yield f"run {run.id} is not elastic"
        return
    if not run.workers_min <= size.workers <= run.workers_max:
        yield f"run {run.id} goes on with {size.workers} workers"
    less, more = (before, after) if stop.cause is StopCause.GROWN else (after, before)
    if less == more or any(workers > more.get(node, 0) for node, workers in less.items()):
        yield f"run {run.id} is {stop.cause.value} from {before} to {after}"
    if stop.cause is StopCause.GROWN and stop.preemptor is not None:
        yield f"run {run.id} grows for job {stop.preemptor}"


def _wrong_starts(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Elastic jobs that start within several domains of the level that they require."""
    wide: defaultdict[int, set[tuple[str, ...]]] = defaultdict(set)
    if not snapshot.shapes.any_elastic:
        return
    for start in plan.starts:
        shape = snapshot.shapes[start.shape]
        if shape.workers_max is not None:
            wide[start.job] = {snapshot.nodes[part[0]].domain_at(shape.required) for part in start.gang}
    for job, domains in wide.items():
        if len(domains) > 1:
            yield f"job {job} starts in {len(domains)} domains"
