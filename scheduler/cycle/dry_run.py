"""Whether and where a job would start now: the real round, with the job added."""

from __future__ import annotations

from dataclasses import replace

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import ClassKey
from scheduler.cycle.plan import Start, Verdict
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.starts import StartTable
from scheduler.cycle.stay import ANY_STAY, Stay
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.ids import GroupId, JobId, SiteId
from scheduler.model.shape import Shape

_JOB = JobId(2**62)


def dry_run(
    snapshot: Snapshot,
    group: GroupId,
    shape: Shape,
    *,
    priority: int,
    bound_site: SiteId | None,
    stay: Stay = ANY_STAY,
    handicap_ms: int = 0,
) -> Start | Verdict:
    """What the next round would say of this job, behind all that wait before it by its group's order; a verdict tells its
    alternatives."""
    shapes, shape_id = snapshot.shapes.adding(shape)
    key = ClassKey(group, shape_id, bound_site, stay)
    snapshot = replace(snapshot, shapes=shapes)
    table = snapshot.table.adding(key, snapshot.venue(key), (-priority, snapshot.now_ms + handicap_ms, _JOB))
    plan = decide(replace(snapshot, table=table), 0)
    assert isinstance(plan.starts, StartTable) and isinstance(plan.verdicts, Verdicts)
    start = plan.starts.of(_JOB)
    verdict = plan.verdicts.of(key, alternatives=True)
    answer = verdict if start is None else start
    assert answer is not None, "a job that does not start has a verdict"
    return answer
