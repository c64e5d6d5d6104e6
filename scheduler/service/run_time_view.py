"""How long a job is thought to run, as people see it: on which GPU class, and on what grounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.cycle.prediction import RunTimes
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import WAITING_STATES, JobState
from scheduler.model.run_time import ClassBasis, RunTimeBasis, basis_text
from scheduler.model.words import Language
from scheduler.service.learned import likes, speeds_of
from scheduler.service.runtime import Runtime
from scheduler.store.jobs import JobRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimeView:
    """``run_ms`` is a run time in all, None where nobody can tell; ``gpu_class`` is None where it may be any, and
    ``class_basis`` where nothing like the job tells."""

    run_ms: int | None
    basis: RunTimeBasis
    gpu_class: str | None = None
    class_basis: ClassBasis | None = None

    def text(self, language: Language) -> str:
        """On what grounds, without a full stop."""
        return basis_text(self.basis, language, self.class_basis, self.gpu_class)


def run_time_of(row: JobRow, gpu_class: str | None = None) -> RunTimeView:
    """How long a job runs by its row, whose prediction is on ``gpu_class``."""
    if row.predicted_ms is None or row.predicted_from is None:
        basis = RunTimeBasis.UNKNOWN if row.walltime_ms is None else RunTimeBasis.WALLTIME
        return RunTimeView(run_ms=row.walltime_ms, basis=basis, gpu_class=gpu_class)
    return RunTimeView(
        run_ms=row.predicted_ms,
        basis=RunTimeBasis(row.predicted_from),
        gpu_class=gpu_class,
        class_basis=None if row.class_basis is None else ClassBasis(row.class_basis),
    )


def run_times_by_class(runtime: Runtime, row: JobRow) -> list[RunTimeView]:
    """How long a waiting job would run by what is known now, on each class of its file, in order; where that names none, on each
    that sites have. Nothing for one that may run on one class alone, or of which nothing is known."""
    if JobState(row.state) not in WAITING_STATES:
        return []
    snapshot = runtime.world.snapshot()
    classes = JobSpec.model_validate_json(row.spec).gpu_classes or sorted({name for _, name in snapshot.pools})
    return _on_each(runtime.world.run_times, row, classes) if len(classes) > 1 else []


def _on_each(known: RunTimes, row: JobRow, classes: Sequence[str]) -> list[RunTimeView]:
    of_job, speeds = likes(row), speeds_of(row)
    told = [(each, known.of(of_job, row.walltime_ms, each, speeds)) for each in classes]
    return [
        RunTimeView(
            run_ms=prediction.run_ms,
            basis=RunTimeBasis(prediction.scope.value),
            gpu_class=gpu_class,
            class_basis=prediction.class_basis,
        )
        for gpu_class, prediction in told
        if prediction is not None
    ]
