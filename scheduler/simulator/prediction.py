"""How long a job will run, as ``cycle.prediction`` says; where nothing of its size has ended yet, from any size."""

from __future__ import annotations

from scheduler.cycle.prediction import Like, RunTimes, Scope, likes_of
from scheduler.simulator.workload import SimJob

#: A log begins with nothing known of any size, which production does once in its life.
_ANY = Like(Scope.SIZE, 0, 0)


class Prediction:
    """Run times seen so far."""

    def __init__(self) -> None:
        self._run_times = RunTimes()

    def saw(self, job: SimJob) -> None:
        """A job has ended after running for its duration."""
        self._run_times.saw(_likes(job), job.duration_ms)

    def of(self, job: SimJob) -> int | None:
        """Its expected run time in ms; None while nothing like it has been seen. Never above its walltime."""
        found = self._run_times.of(_likes(job), job.walltime_ms)
        return job.walltime_ms if found is None else found.run_ms


def _likes(job: SimJob) -> tuple[Like, ...]:
    return (*likes_of(job.user or None, job.group, job.gpus), _ANY)
