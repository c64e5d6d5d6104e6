"""Hand-made parts of a plan: runs that have to leave, and the nodes that are held for whom they make way."""

from __future__ import annotations

from runtime import Stage

from scheduler.cycle.plan import Earmark, GangPart, Plan, Stop, StopCause
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.service.earmark_commit import Cleared, clearings_of, commit_clearings
from scheduler.store import jobs, runs
from scheduler.store.database import Database
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow


def stop_of(
    run: RunRow, preemptor: int | None, cause: StopCause = StopCause.RECLAIMED, grace_ms: int | None = None
) -> Stop:
    """Tell a run to stop within its own grace."""
    return Stop(
        RunId(run.id),
        JobId(run.job_id),
        cause,
        None if preemptor is None else JobId(preemptor),
        run.grace_ms if grace_ms is None else grace_ms,
    )


def earmark_on(job: JobRow, run: RunRow) -> Earmark:
    """Hold for a job the nodes on which a run lies now, worker by worker."""
    gang: tuple[GangPart, ...] = tuple((NodeId(node), name, first, workers) for node, name, first, workers in run.gang)
    site = SiteId(run.site_id)
    return Earmark(JobId(job.id), GroupId(job.group_id), ShapeId(job.shape_id), site, run.gpu_class, gang)


def plan_of(*parts: Stop | Earmark) -> Plan:
    """A plan of nothing but these."""
    return Plan(
        starts=(),
        verdicts=(),
        seed=0,
        stops=tuple(part for part in parts if isinstance(part, Stop)),
        earmarks=tuple(part for part in parts if isinstance(part, Earmark)),
    )


def commit(stage: Stage, plan: Plan, tree_change: int | None = None) -> Cleared:
    """Write a plan's stops and earmarks as the leader would, in one transaction."""
    with stage.runtime.database.write(stage.fence) as transaction:
        clearings = [each for part in clearings_of(plan) for each in part]
        return commit_clearings(transaction, clearings, tree_change)


def make_way(stage: Stage, victim: int, claimant: int, cause: StopCause = StopCause.RECLAIMED) -> Cleared:
    """Stop a job's run for another job, which gets its nodes."""
    run = stage.run(victim)
    return commit(stage, plan_of(stop_of(run, claimant, cause), earmark_on(stage.job(claimant), run)))


def make_way_in(database: Database, victim: int, claimant: int, cause: StopCause) -> Cleared:
    """The same in a federation that lives."""
    with database.write() as transaction:
        (run,) = (each for each in runs.of_job(transaction.connection, victim) if each.phase != "ended")
        job = jobs.by_id(transaction.connection, claimant)
        assert job is not None
        plan = plan_of(stop_of(run, claimant, cause), earmark_on(job, run))
        return commit_clearings(transaction, [each for part in clearings_of(plan) for each in part])
