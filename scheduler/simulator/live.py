"""Runs of a simulation, and how rounds know them."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.plan import StopCause
from scheduler.model.ids import NodeId, RunId, SiteId
from scheduler.model.shape import Shape
from scheduler.simulator.history import EndCause, NodeUse
from scheduler.simulator.knowledge import Knowledge
from scheduler.simulator.policy import Policy
from scheduler.simulator.workload import SimJob

#: What the record of a simulation calls an end by order of a round.
CAUSE_OF = {
    StopCause.PREEMPTED: EndCause.PREEMPTED,
    StopCause.RECLAIMED: EndCause.PREEMPTED,
    StopCause.RECALLED: EndCause.RECALLED,
    StopCause.MOVED: EndCause.MOVED,
    StopCause.SHRUNK: EndCause.SHRUNK,
    StopCause.GROWN: EndCause.GROWN,
}


@dataclass(slots=True, eq=False)
class Live:
    """A run: when it ends as things stand, and why. ``stopping`` once it has been told to end."""

    run: RunId
    job: SimJob
    site: SiteId
    start_ms: int
    end_ms: int
    gang: tuple[NodeUse, ...]
    devices: int
    cause: EndCause = EndCause.FINISHED
    preemptor: SimJob | None = None
    stopping: bool = False

    @staticmethod
    def begin(run: RunId, job: SimJob, site: SiteId, now_ms: int, gang: tuple[NodeUse, ...]) -> Live:
        """One that starts now and will have done all that its job still needs."""
        devices = sum(many for _, many in gang)
        end_ms = now_ms + (job.left_ms if devices == job.gpus else -(-job.left_ms * job.gpus // devices))
        return Live(run, job, site, now_ms, end_ms, gang, devices)

    def done_ms(self, lasted_ms: int) -> int:
        """How much of its job's run time it does in a time."""
        return lasted_ms if self.devices == self.job.gpus else lasted_ms * self.devices // self.job.gpus


class RunFacts:
    """What rounds are told of runs under a policy."""

    def __init__(self, policy: Policy, knowledge: Knowledge) -> None:
        self._policy, self._knowledge = policy, knowledge

    def of(
        self,
        run: RunId,
        job: SimJob,
        shape: Shape,
        pool: tuple[SiteId, str],
        gang: tuple[tuple[NodeId, int], ...],
        now_ms: int,
        again: WaitingJob | None = None,
    ) -> LiveRun:
        """A run that starts now; ``gang`` lists (node, workers). ``again`` is its job as it would wait once more, for those who
        move runs."""
        over_ms = self._knowledge.walltime_ms(job)
        return LiveRun(
            id=run,
            job=job.id,
            group=job.group,
            site=pool[0],
            gpu_class=pool[1],
            gpus_per_worker=shape.gpus_per_worker,
            cpus_per_worker=shape.cpus_per_worker,
            memory_mib_per_worker=shape.memory_mib_per_worker,
            gang=gang,
            started_ms=now_ms,
            preemptible=shape.preemptible and self._policy.preemption,
            priority=self._knowledge.priority(job),
            expected_end_ms=None if over_ms is None else now_ms + over_ms,
            grace_ms=self._policy.grace_ms,
            checkpoints=job.checkpoints,
            returns_as=again,
            data_class=shape.data_class,
        ).elastic_as(shape)
