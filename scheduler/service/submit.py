"""Submission: judged against role, data class, quota and capacity; many share one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scheduler.cycle.feasible import why_never
from scheduler.cycle.handicap import handicap_ms
from scheduler.cycle.prediction import ANY_CLASS, RunTimes, likes_of
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import Stay
from scheduler.model.data_class import is_less_protected
from scheduler.model.dependency import Dependency
from scheduler.model.ids import GroupId
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import JobState
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.model.shape import Shape
from scheduler.service.access import group_for
from scheduler.service.caller import Caller, Role
from scheduler.service.checkpoint import save_ms_of
from scheduler.service.deadlines import start_by_of, why_too_late
from scheduler.service.dependencies import to_come
from scheduler.service.directory import Directory, GroupView
from scheduler.service.learned import PredictionColumns, columns_of
from scheduler.service.runtime import Runtime
from scheduler.service.shared_read import SharedReads
from scheduler.store import content, idempotency
from scheduler.store.idempotency import Answer, IdempotencyKey
from scheduler.store.submissions import NewJob, Submission

REMEMBERED_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Admissible:
    """A job that may be queued, in its group."""

    spec: JobSpec
    group: GroupView
    shape: Shape
    awaits: tuple[Dependency, ...] = ()


def groups_named(directory: Directory, caller: Caller, specs: Sequence[JobSpec]) -> dict[str, GroupView | Refusal]:
    """By path, each group that a job names: itself where ``caller`` may submit to it, else why they may not."""
    return {path: group_for(directory, caller, path, Role.SUBMITTER) for path in {spec.group for spec in specs}}


class Judge:
    """Says whether a job may be submitted, by capacity and quota as they stood at one moment."""

    def __init__(self, snapshot: Snapshot, version: int) -> None:
        self.version = version
        self._snapshot = snapshot
        self._never: dict[tuple[GroupId, Shape, Stay, int], Refusal | None] = {}

    def judge(self, group: GroupView | Refusal, spec: JobSpec, now_ms: int) -> Admissible | Refusal:
        """Whether some site could ever run ``spec``, and in time, for a caller who may submit to ``group``; where it is
        known why they may not, that."""
        if isinstance(group, Refusal):
            return group
        if spec.data_class is not None and is_less_protected(spec.data_class, group.data_class):
            return refuse(
                ReasonCode.QUOTA_INCONSISTENT,
                field="data_class",
                value=spec.data_class.value,
                bound=f"{group.data_class.value} ({group.path})",
            )
        shape = spec.shape(group.data_class)
        stay = Stay.of(_walltime_ms(spec), save_ms_of(spec.checkpoint))
        refusal = self._why_never(GroupId(group.id), shape, stay, spec.priority) or why_too_late(spec, now_ms)
        return Admissible(spec, group, shape) if refusal is None else refusal

    def _why_never(self, group: GroupId, shape: Shape, stay: Stay, priority: int) -> Refusal | None:
        """Why no site will ever run ``shape``; remembered."""
        if group not in self._snapshot.groups:
            return refuse(ReasonCode.NOT_READY)
        key = (group, shape, stay, priority)
        if key not in self._never:
            if len(self._never) >= REMEMBERED_MAX:
                self._never.clear()
            self._never[key] = why_never(self._snapshot, group, shape, stay=stay, priority=priority)
        return self._never[key]


class Judges:
    """The newest judge, another one when capacity or policy has changed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._newest: Judge | None = None
        self._reads = SharedReads[tuple[Snapshot, int]]()

    async def newest(self) -> tuple[Judge, Directory]:
        """Who judges now, and the groups there are."""
        world = self._runtime.world
        known = world.rules_remembered()
        snapshot, version = known if known is not None else await self._reads.ask(world.forgotten, world.rules)
        newest = self._newest
        if newest is None or newest.version != version:
            newest = self._newest = Judge(snapshot, version)
        return newest, self._runtime.directories.newest()

    async def without_their_content(self, caller: Caller, specs: Sequence[JobSpec]) -> dict[str, Refusal]:
        """Working directories that the caller has not brought, each with its refusal."""
        digests = {spec.working_directory for spec in specs if spec.working_directory is not None}
        if not digests:
            return {}
        missing = await asyncio.to_thread(self._missing, caller, digests)
        return {
            digest: refuse(ReasonCode.CONTENT_NOT_FOUND, field="working_directory", digest=digest) for digest in missing
        }

    async def to_come(self, caller: Caller, specs: Sequence[JobSpec]) -> dict[int, tuple[Dependency, ...] | Refusal]:
        """For each job that names others, by its place: what is still to come of them, or why it cannot be waited for."""
        named = {place: spec.dependencies for place, spec in enumerate(specs) if spec.after or spec.after_ok}
        return await asyncio.to_thread(to_come, self._runtime, caller, named) if named else {}

    def _missing(self, caller: Caller, digests: set[str]) -> set[str]:
        with self._runtime.database.read() as connection:
            return {each for each in digests if not content.granted(connection, each, caller.person_id)}


async def answered_before(runtime: Runtime, key: IdempotencyKey) -> Answer | None:
    """What the very same request was answered earlier, if it was: what has changed since then does not matter to it."""

    def stored() -> Answer | Refusal | None:
        with runtime.database.read() as connection:
            return idempotency.judge(key, idempotency.find(connection, [key]).get((key.caller, key.key)))

    answer = await asyncio.to_thread(stored)
    return answer if isinstance(answer, Answer) else None


async def submit(
    runtime: Runtime,
    caller: Caller,
    key: IdempotencyKey,
    jobs: Sequence[Admissible],
    answer: Callable[[Sequence[int]], Answer],
) -> Answer | Refusal:
    """Queue ``jobs``, all or none, durable when this returns; ``answer`` says it with their numbers."""
    now_ms = runtime.clock.now_ms()
    predicted = _Predicted(caller, runtime.world.run_times)
    rows = [_new_job(each, caller, predicted, now_ms) for each in jobs]
    submission = Submission(key=key, actor=caller.person, jobs=rows, answer=answer)
    answers = await runtime.writer.submit_items_async(
        runtime.submitter.insert, [submission], weight=max(1, 2 * sum(row.ids for row in rows))
    )
    return answers if isinstance(answers, Refusal) else answers[0]


def handicap_of(runtime: Runtime, caller: Caller, job: Admissible) -> int:
    """What the group's order adds to the time at which the job would come, were it submitted now."""
    predicted_ms, *_ = _Predicted(caller, runtime.world.run_times).of(job)
    whole_ms = _walltime_ms(job.spec) if predicted_ms is None else predicted_ms
    return handicap_ms(job.group.order, gpus=job.shape.gpus, whole_ms=whole_ms, served_ms=0)


def _walltime_ms(spec: JobSpec) -> int | None:
    return None if spec.walltime is None else spec.walltime * 1000


class _Predicted:
    """How long one request's jobs are thought to run; worked out once for those that are alike."""

    def __init__(self, caller: Caller, run_times: RunTimes) -> None:
        self._person = caller.person_id
        self._run_times = run_times
        self._known: dict[tuple[int, int, int | None, str], PredictionColumns] = {}

    def of(self, job: Admissible) -> PredictionColumns:
        """A job's prediction: on its GPU class where it names one alone, else on whatever it is."""
        classes = job.shape.gpu_classes
        gpu_class = classes[0] if len(classes) == 1 else ANY_CLASS
        group, gpus, walltime_ms, _ = like = job.group.id, job.shape.gpus, _walltime_ms(job.spec), gpu_class
        if like not in self._known:
            prediction = self._run_times.of(likes_of(self._person, group, gpus), walltime_ms, gpu_class)
            self._known[like] = columns_of(prediction)
        return self._known[like]


def _new_job(job: Admissible, caller: Caller, predicted: _Predicted, now_ms: int) -> NewJob:
    """The job as it is written, with what is known of like ones by now."""
    spec = job.spec
    predicted_ms, predicted_from, class_basis = predicted.of(job)
    return NewJob(
        group_id=job.group.id,
        person_id=caller.person_id,
        name=spec.name,
        state=JobState.QUEUED.value,
        shape=job.shape,
        priority=spec.priority,
        spec=spec.model_dump_json(exclude_defaults=True, by_alias=True),
        retries=spec.retries.program,
        submitted_ms=now_ms,
        walltime_ms=_walltime_ms(spec),
        save_ms=save_ms_of(spec.checkpoint),
        predicted_ms=predicted_ms,
        predicted_from=predicted_from,
        class_basis=class_basis,
        awaits=job.awaits,
        array=spec.tasks,
        start_by_ms=start_by_of(spec, now_ms),
    )
