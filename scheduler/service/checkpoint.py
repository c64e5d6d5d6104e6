"""What a job wants when it is told to stop: whether it saves its state, and how long it may take."""

from __future__ import annotations

from scheduler.model.job_spec import CheckpointSpec, JobSpec
from scheduler.store.jobs import JobRow

#: Grace of a job that keeps no checkpoint.
GRACE_SECONDS = 10.0


def checkpoint_of(job: JobRow) -> CheckpointSpec | None:
    """How the job saves its state; None where it begins anew."""
    # Most jobs keep none, and reading a whole job file to see that costs more than all else of a lease.
    return JobSpec.model_validate_json(job.spec).checkpoint if '"checkpoint"' in job.spec else None


def save_ms_of(checkpoint: CheckpointSpec | None) -> int | None:
    """What a job needs to save its state when it is told to stop: its grace; None where it keeps no checkpoint."""
    return None if checkpoint is None else checkpoint.grace_seconds * 1000


def bound_after(job: JobRow, site_id: int, checkpoint: CheckpointSpec | None) -> int | None:
    """Where a job is bound to once a run at ``site_id`` has begun: one that keeps its checkpoint at the site goes back there."""
    return site_id if checkpoint is not None and checkpoint.directory == "auto" else job.bound_site_id


def grace_seconds_of(job: JobRow) -> float:
    """How long a job may take to end once it is told to."""
    checkpoint = checkpoint_of(job)
    return GRACE_SECONDS if checkpoint is None else float(checkpoint.grace_seconds)
