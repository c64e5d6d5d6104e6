"""Submission: single, in batches, and as a question. The body is read and validated once, since this is the hot path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from scheduler.api.dependencies import (
    IdempotencyHeader,
    RuntimeHere,
    Submitting,
    key_of,
    response_of,
    runtime_of,
)
from scheduler.api.documents import alternative_documents, counterfactual_document, reason_document
from scheduler.api.problem import RefusedError, answered, problem_json, problem_of, refusal_of_validation, trace_id_of
from scheduler.api.schemas import (
    BATCH_JOBS_MAX,
    BatchIn,
    BatchOut,
    CostOut,
    DryRunOut,
    NodeUseOut,
    SubmittedOut,
)
from scheduler.cycle.dry_run import dry_run
from scheduler.cycle.plan import Start
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import Stay
from scheduler.model.ids import GroupId
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import JobState
from scheduler.model.reason import Reason, ReasonCode, Refusal, refuse
from scheduler.service.caller import Caller
from scheduler.service.checkpoint import save_ms_of
from scheduler.service.dependencies import reason_of_waiting
from scheduler.service.runtime import Runtime
from scheduler.service.submit import Admissible, Judges, answered_before, groups_named, handicap_of, submit
from scheduler.service.time_text import time_text
from scheduler.service.usage import credit_text, exchange_table
from scheduler.store.idempotency import Answer

router = APIRouter(tags=["jobs"])

_JOB_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": JobSpec.model_json_schema()}}}
}
_BATCH_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": BatchIn.model_json_schema()}}}
}


def judges_of(request: Request) -> Judges:
    """The process's judges."""
    judges: Judges = request.app.state.judges
    return judges


def read_spec(body: bytes) -> JobSpec | Refusal:
    """Read a job file, or say which field is wrong and how to mend it."""
    try:
        return JobSpec.model_validate_json(body)
    except ValidationError as wrong:
        return refusal_of_validation(wrong.errors(include_url=False))


def _spec_of_value(value: Any) -> JobSpec | Refusal:
    try:
        return JobSpec.model_validate(value)
    except ValidationError as wrong:
        return refusal_of_validation(wrong.errors(include_url=False))


async def _judge(request: Request, caller: Caller, specs: Sequence[JobSpec | Refusal]) -> list[Admissible | Refusal]:
    judges = judges_of(request)
    judge, directory = await judges.newest()
    read = [spec for spec in specs if isinstance(spec, JobSpec)]
    missing = await judges.without_their_content(caller, read)
    to_come = await judges.to_come(caller, read)
    places = iter(range(len(read)))
    now_ms = runtime_of(request).clock.now_ms()
    groups = groups_named(directory, caller, read)

    def judged(spec: JobSpec | Refusal) -> Admissible | Refusal:
        if isinstance(spec, Refusal):
            return spec
        awaits = to_come.get(next(places), ())
        lacking = missing.get(spec.working_directory or "")
        answer = lacking if lacking is not None else judge.judge(groups[spec.group], spec, now_ms)
        if isinstance(answer, Refusal):
            return answer
        if isinstance(awaits, Refusal):
            return awaits
        return replace(answer, awaits=awaits) if awaits else answer

    return [judged(spec) for spec in specs]


@router.post("/jobs", status_code=201, response_model=SubmittedOut, openapi_extra=_JOB_BODY)
async def submit_job(request: Request, runtime: RuntimeHere, caller: Submitting, key: IdempotencyHeader) -> Response:
    """Submit a job file. What can never run is refused at once, with the numbers."""
    body = await request.body()
    known_as = key_of(caller, request, key, body)
    job = (await _judge(request, caller, [read_spec(body)]))[0]
    if isinstance(job, Refusal):
        return response_of(await answered_before(runtime, known_as) or answered(job))
    submitted_at = time_text(runtime.clock.now_ms())

    tasks = job.spec.tasks

    def answer(ids: Sequence[int]) -> Answer:
        document = {
            "id": ids[0],
            "name": job.spec.name,
            "group": job.group.path,
            "state": JobState.QUEUED.value,
            "gpus": job.spec.gpus,
            "submitted_at": submitted_at,
            "array": None if tasks is None else array_fields(ids[0], len(tasks.tasks)),
        }
        return Answer(status=201, body=orjson.dumps(document).decode())

    return response_of(answered(await submit(runtime, caller, known_as, [job], answer)))


@router.post("/jobs/batch", response_model=BatchOut, openapi_extra=_BATCH_BODY)
async def submit_batch(request: Request, runtime: RuntimeHere, caller: Submitting, key: IdempotencyHeader) -> Response:
    """Submit up to 5,000 jobs at once. Each is judged by itself: those that pass are queued, in one transaction."""
    body = await request.body()
    judged = _no_more_than_fit(await _judge(request, caller, [_spec_of_value(value) for value in _batch_of(body)]))
    taken = [each for each in judged if isinstance(each, Admissible)]
    trace_id = trace_id_of(request)

    def answer(ids: Sequence[int]) -> Answer:
        numbers = iter(ids)
        items: list[dict[str, Any]] = []
        for each in judged:
            if isinstance(each, Admissible):
                items.append({"status": 201, "job": {"id": next(numbers)}, "problem": None})
            else:
                problem = problem_of(each, trace_id)
                items.append({"status": problem.status, "job": None, "problem": orjson.Fragment(problem_json(problem))})
        return Answer(status=200, body=orjson.dumps({"items": items}).decode())

    return response_of(answered(await submit(runtime, caller, key_of(caller, request, key, body), taken, answer)))


def array_fields(array: int, tasks: int) -> dict[str, int]:
    """An array's number, and the numbers of its jobs, which follow it."""
    return {"id": array, "tasks": tasks, "first_job": array + 1, "last_job": array + tasks}


def _no_more_than_fit(judged: list[Admissible | Refusal]) -> list[Admissible | Refusal]:
    """The same, with those arrays refused that would make too many jobs of one request."""
    count = 0
    for place, each in enumerate(judged):
        if isinstance(each, Refusal):
            continue
        tasks = 1 if each.spec.array is None or each.spec.tasks is None else len(each.spec.tasks.tasks)
        count += tasks
        if count > BATCH_JOBS_MAX and tasks > 1:
            judged[place] = refuse(ReasonCode.BATCH_TOO_LARGE, field="array", most=BATCH_JOBS_MAX)
            count -= tasks
    return judged


#: The endpoints that are worth a way of their own; see ``direct_route``.
DIRECT = {"/jobs": submit_job, "/jobs/batch": submit_batch}


def _batch_of(body: bytes) -> list[Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise RefusedError(
            refuse(
                ReasonCode.INVALID_BODY, field="body", problem=f"not JSON: {wrong}", problem_ko="JSON 형식이 아닙니다"
            )
        ) from wrong
    jobs = document.get("jobs") if isinstance(document, dict) and set(document) == {"jobs"} else None
    if not isinstance(jobs, list) or not 1 <= len(jobs) <= BATCH_JOBS_MAX:
        problem = f"send {{'jobs': [...]}} with 1 to {BATCH_JOBS_MAX} jobs and nothing else"
        problem_ko = f"{{'jobs': [...]}} 형식으로 1~{BATCH_JOBS_MAX}개만 보내십시오"
        raise RefusedError(refuse(ReasonCode.INVALID_FIELD, field="jobs", problem=problem, problem_ko=problem_ko))
    return jobs


@router.post("/jobs/dry-run", openapi_extra=_JOB_BODY)
async def dry_run_job(request: Request, runtime: RuntimeHere, caller: Submitting, key: IdempotencyHeader) -> DryRunOut:
    """Whether and where a job would start now, and what it would cost. Submits nothing."""
    assert key
    job = answered((await _judge(request, caller, [read_spec(await request.body())]))[0])
    return await run_in_threadpool(_dry_run, runtime, caller, job)


def _dry_run(runtime: Runtime, caller: Caller, job: Admissible) -> DryRunOut:
    snapshot = runtime.world.snapshot()
    group = GroupId(job.group.id)
    if job.awaits:
        with runtime.database.read() as connection:
            reason = reason_of_waiting(connection, job.awaits)
        return _would_wait(reason, _cost(runtime, job, _first_class(snapshot, job)), None)
    spec = job.spec
    stay = Stay.of(None if spec.walltime is None else spec.walltime * 1000, save_ms_of(spec.checkpoint))
    answer = dry_run(
        snapshot,
        group,
        job.shape,
        priority=spec.priority,
        bound_site=None,
        stay=stay,
        handicap_ms=handicap_of(runtime, caller, job),
    )
    if isinstance(answer, Start):
        return DryRunOut(
            would_start=True,
            site=snapshot.sites[answer.site].name,
            gpu_class=answer.gpu_class,
            nodes=[NodeUseOut(name=name, workers=workers) for _, name, _, workers in answer.gang],
            cost=_cost(runtime, job, answer.gpu_class),
            reasons=[],
            counterfactual=None,
        )
    wanted = answer.counterfactual
    reason = Reason(code=answer.reason.code, numbers=answer.reason.numbers)
    told = _would_wait(
        reason, _cost(runtime, job, _first_class(snapshot, job)), None if wanted is None else wanted.as_json()
    )
    others = alternative_documents([each.as_json() for each in answer.alternatives])
    return told.model_copy(update={"alternatives": others})


def _would_wait(reason: Reason, cost: CostOut, wanted: Mapping[str, Any] | None) -> DryRunOut:
    return DryRunOut(
        would_start=False,
        site=None,
        gpu_class=None,
        nodes=[],
        cost=cost,
        reasons=[reason_document(reason)],
        counterfactual=counterfactual_document(wanted),
    )


def _first_class(snapshot: Snapshot, job: Admissible) -> str:
    candidates = snapshot.candidates(job.shape)
    return candidates[0] if candidates else ""


def _cost(runtime: Runtime, job: Admissible, gpu_class: str) -> CostOut:
    with runtime.database.read() as connection:
        rate = exchange_table(connection).rate(gpu_class, runtime.clock.now_ms())
    walltime, array = job.spec.walltime, job.spec.tasks
    tasks = 1 if array is None else len(array.tasks)
    at_once = tasks if array is None or array.running_max is None else min(tasks, array.running_max)
    gpus = job.spec.workers_max * job.spec.gpus_per_worker
    hourly = None if rate is None else rate * gpus
    return CostOut(
        gpu_seconds_max=None if walltime is None else tasks * gpus * walltime,
        credits_max=(
            None if walltime is None or hourly is None else credit_text(tasks * hourly * Fraction(walltime, 3600))
        ),
        credits_per_hour="-" if hourly is None else credit_text(at_once * hourly),
    )


@router.get("/job-schema")
async def job_schema() -> dict[str, Any]:
    """The JSON schema of a job file."""
    return JobSpec.model_json_schema()
