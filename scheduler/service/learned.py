"""What ended jobs tell of those to come: how long they run. Written as runs end, followed by servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from quota.ledger import RunInterval
from scheduler.cycle.prediction import ANY_CLASS, NO_SPEEDS, Like, Prediction, RunTimes, likes_of, likes_on
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import YIELDED_CAUSES, EndCause, JobState
from scheduler.store import class_speeds, jobs, run_times
from scheduler.store.database import Database
from scheduler.store.follow import changed_since
from scheduler.store.jobs import JobRow, LikenessRow
from scheduler.store.runs import RunRow
from scheduler.store.tables import run_times as table
from scheduler.store.transaction import WriteTransaction

_COLUMNS = ("served_ms", "predicted_ms", "predicted_from", "class_basis")
#: A run that was stopped so has gone back to the queue with what it had saved.
_SAVES = YIELDED_CAUSES | {EndCause.REQUEUED}


def likes(job: JobRow | LikenessRow) -> tuple[Like, ...]:
    """The kinds that a job is of."""
    return likes_of(job.person_id, job.group_id, job.gpus)


def speeds_of(job: JobRow | LikenessRow) -> Mapping[str, float]:
    """How fast its file says that it runs on each class."""
    # Few jobs say it, and reading a whole job file to see that costs more than all else of a lease.
    spec = job.spec
    return NO_SPEEDS if spec is None or '"speeds"' not in spec else JobSpec.model_validate_json(spec).speeds


#: A prediction as columns of a job: ``predicted_ms``, ``predicted_from`` and ``class_basis``.
PredictionColumns = tuple[int | None, str | None, str | None]


def columns_of(prediction: Prediction | None) -> PredictionColumns:
    """A prediction as it is written."""
    if prediction is None:
        return None, None, None
    return prediction.run_ms, prediction.scope.value, prediction.class_basis.value


def predict(connection: Connection, starting: Iterable[tuple[JobRow, str]]) -> dict[int, Prediction | None]:
    """What the record tells by now of jobs, each on the GPU class on which it starts, by id."""
    rows = list(starting)
    known = run_times.of(connection, (like for row, _ in rows for like in likes(row)))
    return {row.id: known.of(likes(row), row.walltime_ms, gpu_class, speeds_of(row)) for row, gpu_class in rows}


class Lessons:
    """What the ends of runs of one transaction teach; collected, and written in a few statements.

    A job that succeeds has taken as long as its last run, and what runs before it saved; where there was such a run, on
    whatever class, it teaches nothing of one class. One that waits again keeps what it has saved, and is predicted anew, on
    the class on which it ran. Times that agents mend later change nothing here.
    """

    def __init__(self, transaction: WriteTransaction) -> None:
        self._transaction = transaction
        self._succeeded: list[tuple[JobRow, int, str]] = []
        self._waiting: list[tuple[JobRow, int, str]] = []

    def take(self, run: RunRow, job: JobRow, interval: RunInterval | None, cause: EndCause, state: JobState) -> None:
        """A run has ended and its job stands in ``state``; ``interval`` is None where it never ran."""
        ran_ms = 0 if interval is None else interval.end_ms - interval.start_ms
        if state is JobState.SUCCEEDED and interval is not None:
            gpu_class = run.gpu_class if job.served_ms == 0 else ANY_CLASS
            self._succeeded.append((job, job.served_ms + ran_ms, gpu_class))
        elif state is JobState.QUEUED:
            is_saved = run.checkpoints and cause in _SAVES and interval is not None and interval.lost_from_ms is None
            self._waiting.append((job, job.served_ms + (ran_ms if is_saved else 0), run.gpu_class))

    def write(self) -> None:
        """Write everything collected."""
        if not self._succeeded and not self._waiting:
            return
        transaction = self._transaction
        _ = transaction.change
        known = run_times.of(
            transaction.connection, (like for job, *_ in (*self._succeeded, *self._waiting) for like in likes(job))
        )
        for job, run_ms, gpu_class in self._succeeded:
            known.saw(likes(job), run_ms, gpu_class)
        taught = (like for job, _, gpu_class in self._succeeded for like in likes_on(likes(job), gpu_class))
        run_times.put(transaction, known, taught)
        rows: list[tuple[Any, ...]] = [
            (job.id, served_ms, *columns_of(known.of(likes(job), job.walltime_ms, gpu_class, speeds_of(job))))
            for job, served_ms, gpu_class in self._waiting
        ]
        jobs.change_many(transaction, _COLUMNS, rows)


class Learned:
    """All run times that the record remembers, followed by change number, and the speeds of GPU classes. ``run_times`` may be
    read from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._change = 0
        self.run_times = RunTimes()

    def catch_up(self) -> None:
        """Take in what has been learned since the last time."""
        with self._database.read() as connection:
            self.run_times.put_speeds(class_speeds.every(connection))
            while True:
                page = changed_since(connection, table, self._change)
                for row in page.rows:
                    run_times.take(self.run_times, row)
                self._change = page.change
                if not page.more:
                    return
