"""Whether and where a job would start now: the real round, with the job added."""

from __future__ import annotations

from dataclasses import replace

from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Start, Verdict
from scheduler.cycle.snapshot import Snapshot, WaitingClass
from scheduler.model.ids import GroupId, JobId, ShapeId, SiteId
from scheduler.model.shape import Shape

_JOB, _SHAPE = JobId(2**62), ShapeId(-1)


def dry_run(
    snapshot: Snapshot, group: GroupId, shape: Shape, *, priority: int, bound_site: SiteId | None, now_ms: int
) -> Start | Verdict:
    """What the next round would say of this job, behind all that wait before it by the usual order."""
    job = WaitingClass(group, _SHAPE, bound_site, ((-priority, now_ms, _JOB),))
    shapes = {**snapshot.shapes, _SHAPE: shape}
    plan = decide(replace(snapshot, shapes=shapes, waiting=(*snapshot.waiting, job)), now_ms, 0)
    for start in plan.starts:
        if start.job == _JOB:
            return start
    return next(verdict for verdict in plan.verdicts if verdict.shape == _SHAPE)
