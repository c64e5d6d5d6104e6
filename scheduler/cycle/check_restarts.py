"""What is wrong where the job of a run that is stopped goes on, whatever it is stopped for."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import Earmark
from scheduler.cycle.snapshot import Snapshot, takes_work


def wrong_restart(snapshot: Snapshot, held: Earmark, run: LiveRun) -> Iterator[str]:
    """A run that writes a checkpoint, and nodes of its own pool, each once and in the order of ranks, that its job may have."""
    yield from _wrong_run(held, run)
    yield from _wrong_place(snapshot, held, run)


def _wrong_run(held: Earmark, run: LiveRun) -> Iterator[str]:
    again = run.returns_as
    if not run.checkpoints or again is None:
        yield f"run {run.id} could not go on"
    elif (again.id, again.group, again.shape) != (held.job, held.group, held.shape):
        yield f"run {run.id} goes on as another job"
    elif again.bound_site not in (None, held.site) or held.site in again.refused_by:
        yield f"run {run.id} may not go on at site {held.site}"


def _wrong_place(snapshot: Snapshot, held: Earmark, run: LiveRun) -> Iterator[str]:
    shape, pool = snapshot.shapes[held.shape], snapshot.pools.get((held.site, held.gpu_class))
    if (held.site, held.gpu_class) != (run.site, run.gpu_class) or pool is None:
        yield f"run {run.id} goes on away from its pool"
        return
    site, again = snapshot.sites[held.site], run.returns_as
    if not takes_work(site) or snapshot.rule_against(snapshot.clearance(held.group, shape), site) is not None:
        yield f"run {run.id} goes on at a site that does not serve it"
    workers = [part[3] for part in held.gang]
    ranks = [sum(workers[:at]) for at in range(len(workers))]
    twice = len({part[0] for part in held.gang}) < len(held.gang)
    unknown = any(part[0] not in pool.index for part in held.gang)
    if min(workers, default=0) < 1 or [part[2] for part in held.gang] != ranks or twice or unknown:
        yield f"run {run.id} goes on at {held.gang}"
        return
    within = {snapshot.nodes[part[0]].domain_at(shape.required) for part in held.gang}
    if len(within) > 1:
        yield f"run {run.id} goes on in {len(within)} domains"
    for node, *_ in held.gang if again is not None else ():
        if again is not None and not snapshot.may_use(pool, pool.index[node], again.key, again.priority):
            yield f"run {run.id} goes on at node {node}, which is not lent to it for long enough"
