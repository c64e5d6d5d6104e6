"""Whether and where a job would start now: the real round, with the job added."""

from __future__ import annotations

from dataclasses import replace

from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Start, Verdict
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.starts import StartTable
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.ids import GroupId, JobId, SiteId
from scheduler.model.shape import Shape

_JOB = JobId(2**62)


def dry_run(
    snapshot: Snapshot, group: GroupId, shape: Shape, *, priority: int, bound_site: SiteId | None, now_ms: int
) -> Start | Verdict:
    """What the next round would say of this job, behind all that wait before it by the usual order."""
    shapes, shape_id = snapshot.shapes.adding(shape)
    clearance = snapshot.clearance(group, shape)
    table = snapshot.table.adding((group, shape_id, bound_site), clearance, (-priority, now_ms, _JOB))
    plan = decide(replace(snapshot, shapes=shapes, table=table), now_ms, 0)
    assert isinstance(plan.starts, StartTable) and isinstance(plan.verdicts, Verdicts)
    start = plan.starts.of(_JOB)
    verdict = plan.verdicts.of((group, shape_id, bound_site))
    answer = verdict if start is None else start
    assert answer is not None, "a job that does not start has a verdict"
    return answer
