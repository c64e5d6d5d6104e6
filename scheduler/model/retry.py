"""What the end of a run means for its job: whether there is another run, from when on, and what it costs.

The category of the end decides (``failure``). Runs that failed by the job's own doing use up the retries of its file;
runs that were lost to the infrastructure use up none, and are bounded in a row: **a run that lasted ten minutes, or that
ended by the command's own doing, begins the row anew**, as a restart back-off does in Kubernetes. Else a gang of a
thousand nodes, which loses one every few hours, would be given up in a week.

Another run waits exponentially longer the more failed alike, up to five minutes. There is no jitter: rounds place
whatever is due together, within the quotas, so that a herd costs them nothing. A command that fails within a minute
with the same exit code five times in a row is given up whatever its retries are: it would fail so for ever.

A run that its site refused says nothing against the job and counts nowhere here. How often a site is asked again is
``site_refusal``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from scheduler.model.failure import FailureCategory, category_of
from scheduler.model.job_state import EndCause, JobState

RETRIES_MAX = 100
#: So many runs in a row are lost before a job is given up, unless its file says otherwise.
INFRASTRUCTURE_RETRIES = 20
#: The first that fails is followed at once; each further one waits twice as long, up to this.
RETRY_SECONDS_MAX = 300
#: A run that lasted so long shows that the infrastructure carries the job.
STEADY_SECONDS = 600
#: A command that ends within so long of its start fails at once; so many alike in a row will always fail so.
QUICK_SECONDS = 60
ALIKE_FAILURES_MAX = 5

RetryCount = Annotated[int, Field(ge=0, le=RETRIES_MAX)]


class RetryLimits(BaseModel):
    """How often a job is run again, by category. In a job file a number alone is ``program``'s."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: RetryCount = Field(default=0, description="After the command ended with an exit code other than 0.")
    memory: RetryCount | None = Field(
        default=None, description="After it was killed, most often for want of memory; left out: as of program's."
    )
    walltime: RetryCount = Field(
        default=0, description="After its walltime was over; of use to what goes on from its checkpoint."
    )
    infrastructure: RetryCount = Field(
        default=INFRASTRUCTURE_RETRIES,
        description="After a start, a node, a site or a connection failed: in a row, and none of the others is used up.",
    )

    def budget_of(self, category: FailureCategory) -> FailureCategory | None:
        """Whose retries an end of ``category`` uses up; None where it costs nothing, however often."""
        if category is FailureCategory.MEMORY and self.memory is None:
            return FailureCategory.PROGRAM
        return None if category in (FailureCategory.POLICY, FailureCategory.OWNER) else category

    def of(self, budget: FailureCategory) -> int:
        """The retries of one category that has some."""
        limits = {
            FailureCategory.PROGRAM: self.program,
            FailureCategory.MEMORY: self.memory or 0,
            FailureCategory.WALLTIME: self.walltime,
            FailureCategory.INFRASTRUCTURE: self.infrastructure,
        }
        return limits[budget]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often a job's runs have failed. ``infrastructure`` counts in a row, and so does ``alike``: commands that ended at
    once with ``alike_exit_code``."""

    program: int = 0
    memory: int = 0
    walltime: int = 0
    infrastructure: int = 0
    alike: int = 0
    alike_exit_code: int | None = None

    def of(self, budget: FailureCategory) -> int:
        """How many of one category count against its retries."""
        counts = {
            FailureCategory.PROGRAM: self.program,
            FailureCategory.MEMORY: self.memory,
            FailureCategory.WALLTIME: self.walltime,
            FailureCategory.INFRASTRUCTURE: self.infrastructure,
        }
        return counts[budget]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended. ``lasted_ms`` is from its start; None: it never ran."""

    cause: EndCause
    exit_code: int | None = None
    lasted_ms: int | None = None

    @property
    def category(self) -> FailureCategory | None:
        """Its category; None for a success."""
        return category_of(self.cause, self.exit_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """Where a job goes. ``wait_seconds`` is how long it stays in the queue before rounds see it; ``always_alike`` says that
    it was given up with retries left."""

    state: JobState
    tally: Tally
    wait_seconds: int = 0
    always_alike: bool = False


def retry_seconds(failures: int) -> int:
    """How long a job waits in the queue after so many runs failed in a row: 0, 2, 4, 8 … 300 s."""
    if failures < 2:
        return 0
    return min(RETRY_SECONDS_MAX, 1 << min(failures - 1, 30))


def after_run(
    limits: RetryLimits, before: Tally, outcome: RunOutcome, *, cancel_requested: bool, requeue_requested: bool
) -> Aftermath:
    """Where a job goes when its run has ended.

    A command that ended by itself with exit code 0 has succeeded even when a stop was on its way to it.
    """
    category = outcome.category
    tally = _counted(limits, before, outcome)
    if category is None:
        return Aftermath(state=JobState.SUCCEEDED, tally=tally)
    if cancel_requested or outcome.cause is EndCause.CANCELLED:
        return Aftermath(state=JobState.CANCELLED, tally=tally)
    budget = limits.budget_of(category)
    if requeue_requested or budget is None or outcome.cause is EndCause.REFUSED:
        return Aftermath(state=JobState.QUEUED, tally=tally)
    if tally.of(budget) > limits.of(budget):
        return Aftermath(state=JobState.FAILED, tally=tally)
    if tally.alike >= ALIKE_FAILURES_MAX and _is_own_doing(category):
        return Aftermath(state=JobState.FAILED, tally=tally, always_alike=True)
    in_a_row = {FailureCategory.INFRASTRUCTURE: tally.infrastructure, FailureCategory.WALLTIME: 0}
    return Aftermath(
        state=JobState.QUEUED, tally=tally, wait_seconds=retry_seconds(in_a_row.get(category, tally.alike))
    )


def _is_own_doing(category: FailureCategory) -> bool:
    return category in (FailureCategory.PROGRAM, FailureCategory.MEMORY)


def _counted(limits: RetryLimits, before: Tally, outcome: RunOutcome) -> Tally:
    """The tally with one more run."""
    category, lasted_ms = outcome.category, outcome.lasted_ms or 0
    if outcome.cause is EndCause.REFUSED:
        return before
    is_steady = lasted_ms >= STEADY_SECONDS * 1000
    tally = replace(before, infrastructure=0) if is_steady else before
    match category:
        case FailureCategory.INFRASTRUCTURE:
            return replace(tally, infrastructure=tally.infrastructure + 1)
        case FailureCategory.WALLTIME:
            return replace(tally, walltime=tally.walltime + 1, infrastructure=0, alike=0, alike_exit_code=None)
        case FailureCategory.PROGRAM | FailureCategory.MEMORY:
            alike, code = 0, None
            if lasted_ms < QUICK_SECONDS * 1000:
                code = outcome.exit_code
                alike = 1 + (tally.alike if code == tally.alike_exit_code else 0)
            tally = replace(tally, infrastructure=0, alike=alike, alike_exit_code=code)
            if limits.budget_of(category) is FailureCategory.MEMORY:
                return replace(tally, memory=tally.memory + 1)
            return replace(tally, program=tally.program + 1)
        case _:
            return tally
