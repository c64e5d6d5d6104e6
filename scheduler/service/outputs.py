"""A job's collected outputs: how large they may be, and why there is nothing to pull."""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import RunPhase
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.settings import Settings
from scheduler.store import runs
from scheduler.store.jobs import JobRow

_MIB = 1024 * 1024


def outputs_bytes_max(spec: JobSpec, group_bytes_max: int | None, settings: Settings) -> int:
    """How large the files may be together: as its group says, or the federation where that says nothing, and no larger than
    the job's file says."""
    allowed = settings.output_bytes_max if group_bytes_max is None else group_bytes_max
    return allowed if spec.outputs_limit is None else min(allowed, spec.outputs_limit * _MIB)


def why_no_outputs(connection: Connection, job: JobRow) -> Refusal:
    """What a job lacks to have outputs: patterns in its file, a run that has ended, or files that match."""
    run = None if job.run_id is None else runs.by_id(connection, job.run_id)
    if not JobSpec.model_validate_json(job.spec).outputs:
        problem, problem_ko = "its job file names none under outputs", "작업 파일의 outputs에 아무것도 없습니다"
    elif run is None or run.phase != RunPhase.ENDED.value:
        problem, problem_ko = "they are collected when its run has ended", "실행이 끝난 뒤에 모읍니다"
    else:
        problem, problem_ko = (
            "no file matched its outputs, or it did not arrive",
            "outputs에 맞는 파일이 없거나 도착하지 않았습니다",
        )
        if run.message:
            problem, problem_ko = f"{problem} ({run.message})", f"{problem_ko} ({run.message})"
    return refuse(ReasonCode.OUTPUTS_NOT_FOUND, job=job.id, problem=problem, problem_ko=problem_ko)
