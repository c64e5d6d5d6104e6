"""Runs of a simulation, and how rounds know them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.plan import StopCause
from scheduler.model.ids import NodeId, RunId, SiteId
from scheduler.model.shape import Shape
from scheduler.simulator.history import EndCause, NodeUse
from scheduler.simulator.knowledge import Knowledge
from scheduler.simulator.policy import Durations, Policy
from scheduler.simulator.workload import SimJob

#: The speed on the class that a job names first.
AS_LOGGED = Fraction(1)

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
    rate: Fraction  #: run time of its job that it does in a time
    cause: EndCause = EndCause.FINISHED
    preemptor: SimJob | None = None
    stopping: bool = False

    @staticmethod
    def begin(
        run: RunId, job: SimJob, site: SiteId, now_ms: int, gang: tuple[NodeUse, ...], speed: Fraction = AS_LOGGED
    ) -> Live:
        """One that starts now and will have done all that its job still needs; ``speed`` is that of its GPU class for the job."""
        rate = Fraction(sum(many for _, many in gang), job.gpus) * speed
        return Live(run, job, site, now_ms, now_ms + lasts_ms(job.left_ms, rate), gang, rate)

    def done_ms(self, lasted_ms: int) -> int:
        """How much of its job's run time it does in a time."""
        return lasted_ms if self.rate == AS_LOGGED else int(lasted_ms * self.rate)


def lasts_ms(left_ms: int, rate: Fraction) -> int:
    """How long a run lasts that does so much run time at a rate."""
    return left_ms if rate == AS_LOGGED else ceil(left_ms / rate)


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
        speed: Fraction = AS_LOGGED,
    ) -> LiveRun:
        """A run that starts now; ``gang`` lists (node, workers). ``again`` is its job as it would wait once more, for those who
        move runs."""
        over_ms = self._knowledge.walltime_ms(job)
        if over_ms is not None and speed != AS_LOGGED:
            known = self._policy.durations is Durations.KNOWN
            over_ms = max(0 if known else over_ms, lasts_ms(job.left_ms, speed))
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
