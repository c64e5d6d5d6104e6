"""Dure's own trace: JSON lines, each a job file with ``submit_s`` and ``duration_s``, and ``job_id`` and ``user`` if known.

An elastic job's ``duration_s`` is with its least workers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from scheduler.model.job_spec import JobSpec
from scheduler.model.shape import DataClass
from scheduler.simulator.trace import TraceRow

_PRIORITY_OF = {-100: "low", 0: "", 100: "high"}


def read_native(lines: Iterable[str]) -> Iterator[TraceRow]:
    """Read jobs. Raises ValueError, naming line and field, for what is no job file or has no times."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        document = json.loads(line)
        if not isinstance(document, dict):
            raise ValueError(f"line {number} is no job")
        try:
            submit_s, duration_s = float(document.pop("submit_s")), float(document.pop("duration_s"))
        except KeyError as missing:
            raise ValueError(f"line {number}: {missing.args[0]} is missing") from missing
        job_id, user = str(document.pop("job_id", number)), str(document.pop("user", ""))
        try:
            spec = JobSpec.model_validate(document)
        except ValidationError as wrong:
            first = wrong.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"line {number}: {field}: {first['msg']}") from wrong
        yield _row(spec, job_id, user, submit_s, duration_s)


def _row(spec: JobSpec, job_id: str, user: str, submit_s: float, duration_s: float) -> TraceRow:
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
        qos=_PRIORITY_OF[spec.priority],
        preemptible=spec.preemptible,
        checkpoints=spec.checkpoint is not None,
        workers_max=spec.workers_max if spec.workers_max > spec.workers_min else None,
        data_class=spec.data_class or DataClass.OPEN,
    )
