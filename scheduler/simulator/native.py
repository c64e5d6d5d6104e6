"""Dure's own trace: JSON lines, each a job file with ``submit_s`` and ``duration_s``, and ``job_id``, ``user`` and ``state``.

An elastic job's ``duration_s`` is with its least workers. ``job_id`` is the line's number where it is not given; ``after`` and
``after_ok`` name jobs by it that come no later. The tasks of an array each last ``duration_s`` and are called
``job_id_INDEX``; the array's ``job_id`` stands for all of them. ``state`` is ``completed`` or ``failed``, for what comes after.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pydantic import ValidationError

from scheduler.model.errors import ConfigurationError
from scheduler.model.job_spec import JobSpec
from scheduler.model.shape import DataClass
from scheduler.simulator.terms import NO_TERMS, Terms
from scheduler.simulator.trace import TraceRow

_PRIORITY_OF = {-100: "low", 0: "", 100: "high"}
_STATES = ("", "completed", "failed")


def read_native(lines: Iterable[str]) -> Iterator[TraceRow]:
    """Read jobs, those of an array by index. Raises ValueError, naming line and field, for what is no job file or has no times;
    ConfigurationError for a job that asks for what a simulation cannot do, or comes after what is not there."""
    read = [
        (number, row, tasks)
        for number, line in enumerate(lines, 1)
        if line.strip()
        for row, tasks in [_read(number, line)]
    ]
    _check_order([(number, row) for number, row, _ in read])
    for _, row, tasks in read:
        if tasks is None:
            yield row
        else:
            terms = replace(row.terms, array=row.job_id)
            yield from (replace(row, job_id=f"{row.job_id}_{task}", terms=terms) for task in tasks)


def _read(number: int, line: str) -> tuple[TraceRow, tuple[int, ...] | None]:
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError(f"line {number} is no job")
    try:
        submit_s, duration_s = float(document.pop("submit_s")), float(document.pop("duration_s"))
    except KeyError as missing:
        raise ValueError(f"line {number}: {missing.args[0]} is missing") from missing
    job_id, user = str(document.pop("job_id", number)), str(document.pop("user", ""))
    state = str(document.pop("state", ""))
    if state not in _STATES:
        raise ValueError(f"line {number}: state: write completed or failed")
    try:
        spec = JobSpec.model_validate(document)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"line {number}: {field}: {first['msg']}") from wrong
    _refuse_what_cannot_be_done(spec, number)
    tasks = spec.tasks
    return _row(spec, job_id, user, submit_s, duration_s, state), None if tasks is None else tasks.tasks


def _refuse_what_cannot_be_done(spec: JobSpec, number: int) -> None:
    if "retries" in spec.model_fields_set:
        raise ConfigurationError(
            f"line {number}: retries: a trace's jobs have one run, and another whenever it was stopped or a node failed: "
            "leave it out",
            f"{number}행: retries: 작업 기록의 작업은 한 번 실행되고, 중단되거나 노드가 고장 나면 언제나 다시 실행됩니다. "
            "이 항목을 빼십시오",
        )
    if spec.speeds:
        raise ConfigurationError(
            f"line {number}: speeds: in a simulation a GPU class is as fast for all jobs: leave it out, and name speeds in the "
            "policy",
            f"{number}행: speeds: 시뮬레이션에서 GPU 종류의 속도는 모든 작업에 같습니다. 이 항목을 빼고 정책의 speeds에 "
            "쓰십시오",
        )


def _check_order(rows: list[tuple[int, TraceRow]]) -> None:
    """Whoever comes after another job was submitted after it, or with it and stands below it: so no circle can be made."""
    if not any(row.terms.after or row.terms.after_ok for _, row in rows):
        return
    known: set[str] = set()
    for number, row in sorted(rows, key=lambda each: each[1].submit_ms):
        for field, names in (("after", row.terms.after), ("after_ok", row.terms.after_ok)):
            unknown = next((name for name in names if name not in known), None)
            if unknown is not None:
                raise ConfigurationError(
                    f"line {number}: {field}: no job {unknown} comes before it: name the job_id of one that does, or its line",
                    f"{number}행: {field}: 앞서 제출된 작업 {unknown}이(가) 없습니다. 앞선 작업의 job_id나 줄 번호를 쓰십시오",
                )
        known.add(row.job_id)


def _row(spec: JobSpec, job_id: str, user: str, submit_s: float, duration_s: float, state: str) -> TraceRow:
    return TraceRow(
        job_id=job_id,
        user=user,
        group=spec.group,
        submit_ms=round(submit_s * 1000),
        duration_ms=round(duration_s * 1000),
        gpus=spec.gpus,
        gpu_types=spec.gpu_classes,
        gpus_per_node=spec.gpus_per_worker,
        nodes=spec.workers_min,
        cpus=spec.workers_min * spec.cpus_per_worker,
        memory_mib=spec.workers_min * spec.memory_per_worker,
        walltime_ms=None if spec.walltime is None else spec.walltime * 1000,
        state=state,
        qos=_PRIORITY_OF[spec.priority],
        preemptible=spec.preemptible,
        checkpoints=spec.checkpoint is not None,
        workers_max=spec.workers_max if spec.workers_max > spec.workers_min else None,
        data_class=spec.data_class or DataClass.OPEN,
        workers=spec.workers_min,
        preferred=spec.topology.preferred,
        required=spec.topology.required,
        terms=_terms(spec, succeeds=state != "failed"),
    )


def _terms(spec: JobSpec, *, succeeds: bool) -> Terms:
    tasks = spec.tasks
    found = Terms(
        after=tuple(str(job) for job in spec.after),
        after_ok=tuple(str(job) for job in spec.after_ok),
        running_max=None if tasks is None else tasks.running_max,
        deadline=spec.deadline,
        succeeds=succeeds,
    )
    return NO_TERMS if found == NO_TERMS else found
