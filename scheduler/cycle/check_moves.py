"""What is wrong with a plan's moves: where the jobs of runs that are moved go on, looked at one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import Earmark, Plan, StopCause
from scheduler.cycle.snapshot import Snapshot, takes_work
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
        yield from _wrong_run(each, run)
        yield from _wrong_place(snapshot, each, run)
        if (preemptor.site, preemptor.gpu_class) != (run.site, run.gpu_class):
            yield f"run {run.id} is moved for job {preemptor.job}, which starts elsewhere"
    for job, gpus in moved.items():
        if gpus > snapshot.shapes[pledged[job].shape].gpus:
            yield f"{gpus} GPUs are moved for job {job}, which asks for fewer"
    yield from _wrong_reserved(plan, [*plan.moves, *(pledged[job] for job in moved)])


def _wrong_run(move: Earmark, run: LiveRun) -> Iterator[str]:
    again = run.returns_as
    if not run.checkpoints or again is None:
        yield f"run {run.id} could not go on elsewhere"
    elif (again.id, again.group, again.shape) != (move.job, move.group, move.shape):
        yield f"run {run.id} goes on as another job"
    elif again.bound_site not in (None, move.site) or move.site in again.refused_by:
        yield f"run {run.id} may not go on at site {move.site}"


def _wrong_place(snapshot: Snapshot, move: Earmark, run: LiveRun) -> Iterator[str]:
    shape, pool = snapshot.shapes[move.shape], snapshot.pools.get((move.site, move.gpu_class))
    if (move.site, move.gpu_class) != (run.site, run.gpu_class) or pool is None:
        yield f"run {run.id} is moved away from its pool"
        return
    site = snapshot.sites[move.site]
    if not takes_work(site) or snapshot.rule_against(snapshot.clearance(move.group, shape), site) is not None:
        yield f"run {run.id} goes on at a site that does not serve it"
    workers = [part[3] for part in move.gang]
    if sum(workers) != run.workers or min(workers, default=0) < 1:
        yield f"run {run.id} goes on with {workers} of {run.workers} workers"
    ranks = [sum(workers[:at]) for at in range(len(workers))]
    if [part[2] for part in move.gang] != ranks or any(part[0] not in pool.index for part in move.gang):
        yield f"run {run.id} goes on at unknown nodes {move.gang}"
        return
    within = {snapshot.nodes[part[0]].domain_at(shape.required) for part in move.gang}
    if len(within) > 1:
        yield f"run {run.id} goes on in {len(within)} domains"
    again = run.returns_as
    if again is None:
        return
    for node, *_ in move.gang:
        if not snapshot.may_use(pool, pool.index[node], again.key, again.priority):
            yield f"run {run.id} goes on at node {node}, which is not lent to it for long enough"


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
