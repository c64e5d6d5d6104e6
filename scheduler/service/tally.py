"""How often a job's runs have failed, and may: between its row and the pure rules of ``model.retry``."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.failure import FailureCategory, category_of
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import EndCause
from scheduler.model.retry import RetryLimits, Tally
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow

TALLY_COLUMNS = (
    "failures", "memory_failures", "walltime_failures", "infrastructure_failures", "alike_failures", "alike_exit_code",
)  # fmt: skip


def limits_of(job: JobRow) -> RetryLimits:
    """What the job's file says of retries."""
    # Most files name no category, and reading a whole one to see that costs more than all else of an end.
    if '"retries":{' in job.spec:
        return JobSpec.model_validate_json(job.spec).retries
    return RetryLimits(program=job.retries)


def tally_of(job: JobRow) -> Tally:
    """How often its runs have failed so far."""
    return Tally(
        program=job.failures,
        memory=job.memory_failures,
        walltime=job.walltime_failures,
        infrastructure=job.infrastructure_failures,
        alike=job.alike_failures,
        alike_exit_code=job.alike_exit_code,
    )


def row_of_tally(tally: Tally) -> tuple[int | None, ...]:
    """The values of ``TALLY_COLUMNS``."""
    return (
        tally.program, tally.memory, tally.walltime, tally.infrastructure, tally.alike, tally.alike_exit_code,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many runs of a category have failed, and after how many there is another."""

    category: FailureCategory
    failed: int
    retries: int


def budgets_of(job: JobRow) -> list[Budget]:
    """What is left of a job's retries: the categories that have some, or of which runs have failed."""
    limits, tally = limits_of(job), tally_of(job)
    wanted = [each for each in FailureCategory if limits.budget_of(each) is each]
    found = [Budget(category=each, failed=tally.of(each), retries=limits.of(each)) for each in wanted]
    return [each for each in found if each.failed or each.retries]


def category_text(run: RunRow) -> str | None:
    """The category of a run that has failed; None of any other."""
    category = None if run.cause is None else category_of(EndCause(run.cause), run.exit_code)
    return None if category is None else category.value
