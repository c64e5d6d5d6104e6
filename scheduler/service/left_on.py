"""How long jobs still run from a start on any GPU class, for forecasts: as ``learned.predict`` would say at that start."""

from __future__ import annotations

from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.prediction import RunTimes, left_ms
from scheduler.model.ids import JobId
from scheduler.service.learned import likes, speeds_of
from scheduler.store import jobs
from scheduler.store.database import Database
from scheduler.store.jobs import LikenessRow


class RecordedLeftOn:
    """A ``forecast.LeftOn`` for the jobs of a federation that nobody changes any more, by the record and by ``run_times``.

    Rows are read when one of them is first asked for: those of all jobs that wait, and, for the few forecasts in which a run
    makes way, those of all that run.
    """

    def __init__(self, database: Database, run_times: RunTimes, federation: Federation) -> None:
        self._database, self._run_times, self._federation = database, run_times, federation
        self._unread = [_jobs_that_run, _jobs_that_wait]
        self._rows: dict[int, LikenessRow] = {}
        self._served_ms = {run.job: _served_ms(run) for run in federation.live_runs.values()}

    def __call__(self, job: WaitingJob, gpu_class: str) -> int | None:
        """How long a job still runs that starts on ``gpu_class``; what its fact says where the record knows nothing like it."""
        row = self._row(job.id)
        if row is None:
            return job.expected_ms
        prediction = self._run_times.of(likes(row), row.walltime_ms, gpu_class, speeds_of(row))
        if prediction is None:
            return job.expected_ms
        return left_ms(prediction.run_ms, self._served_ms.get(job.id, row.served_ms))

    def _row(self, job_id: JobId) -> LikenessRow | None:
        while job_id not in self._rows and self._unread:
            wanted = self._unread.pop()(self._federation)
            with self._database.read() as connection:
                self._rows |= jobs.likenesses(connection, wanted)
        return self._rows.get(job_id)


def _jobs_that_wait(federation: Federation) -> list[JobId]:
    snapshot = federation.snapshot()
    return [job.id for job in snapshot.table.jobs()] + list(snapshot.earmarks)


def _jobs_that_run(federation: Federation) -> list[JobId]:
    return [run.job for run in federation.live_runs.values()]


def _served_ms(run: LiveRun) -> int:
    """What the job of a run will have had once it waits again: what an elder run saved, and what this one saves as it leaves."""
    if not run.leaving or not run.checkpoints or run.expected_end_ms is None:
        return run.served_ms
    return run.served_ms + max(0, run.expected_end_ms - run.started_ms)
