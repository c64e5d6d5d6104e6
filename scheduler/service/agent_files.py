"""Logs, outputs and contents between the record and a site's agent: only those of the site's own runs."""

from __future__ import annotations

from sqlalchemy import select

from scheduler.model.job_spec import JobSpec
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.job_log import log_ended_payload
from scheduler.service.outputs import outputs_bytes_max
from scheduler.service.runtime import Runtime
from scheduler.store import content, jobs, logs, runs
from scheduler.store.content import Incoming
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow
from scheduler.store.tables import jobs as job_table
from scheduler.store.tables import runs as run_table
from scheduler.store.transaction import WriteTransaction


def _not_of_site(run: RunRow | None, site: SiteRow, run_id: int, epoch: int) -> Refusal | None:
    if run is None or run.site_id != site.id:
        return refuse(ReasonCode.JOB_NOT_FOUND, job=f"run {run_id}")
    if run.epoch != epoch:
        return refuse(ReasonCode.STALE_EPOCH, run=run_id, epoch=epoch, newest=run.epoch)
    return None


def take_log(
    transaction: WriteTransaction,
    site: SiteRow,
    run_id: int,
    *,
    epoch: int,
    rank: int,
    offset: int,
    data: bytes,
    ended: bool,
) -> int | Refusal:
    """Keep bytes of a worker's log; the offset wanted next. ``ended`` wakes readers even without new bytes."""
    refusal = _not_of_site(runs.by_id(transaction.connection, run_id), site, run_id, epoch)
    if refusal is not None:
        return refusal
    following = logs.append(transaction, run_id=run_id, rank=rank, offset=offset, data=data)
    if ended:
        logs.mark_ended(transaction, run_id, rank)
    if data or ended:
        transaction.after_commit(f"logs:{run_id}", log_ended_payload(rank) if ended else b"")
    return following


def output_bytes_max(runtime: Runtime, site: SiteRow, run_id: int, epoch: int) -> int | Refusal:
    """How large the outputs of a run may be: as ``outputs.outputs_bytes_max`` says."""
    with runtime.database.read() as connection:
        run = runs.by_id(connection, run_id)
        job = None if run is None else jobs.by_id(connection, run.job_id)
    refusal = _not_of_site(run, site, run_id, epoch)
    if refusal is not None:
        return refusal
    assert run is not None and job is not None
    group = runtime.directories.newest().by_id.get(run.group_id)
    limit = None if group is None else group.output_bytes_max
    # The limit is on the files; packed, small ones may come out a little larger.
    return outputs_bytes_max(JobSpec.model_validate_json(job.spec), limit, runtime.settings) + (1 << 20)


def keep_outputs(runtime: Runtime, run_id: int, incoming: Incoming) -> str | Refusal:
    """Store what arrived and name it as the job's outputs."""
    stored = incoming.store(runtime.database)
    if isinstance(stored, Refusal):
        return stored

    def name(transaction: WriteTransaction) -> None:
        run = runs.by_id(transaction.connection, run_id)
        job = None if run is None else jobs.by_id(transaction.connection, run.job_id)
        if run is not None and job is not None and job.run_id == run.id:
            jobs.change(transaction, job.id, outputs=stored.digest)
            data = {"digest": stored.digest, "bytes": stored.bytes}
            transaction.event("job.outputs", actor="agent", job_id=job.id, group_id=job.group_id, data=data)
            transaction.after_commit(f"job:{job.id}")

    runtime.database.run(name)
    return stored.digest


def content_size(runtime: Runtime, site: SiteRow, digest: str) -> int | Refusal:
    """The bytes of a content that a live run of the site works in."""
    statement = (
        select(job_table.c.spec)
        .join(run_table, run_table.c.id == job_table.c.run_id)
        .where(run_table.c.site_id == site.id, run_table.c.phase != "ended", job_table.c.spec.contains(digest))
    )
    with runtime.database.read() as connection:
        specs = connection.execute(statement).scalars()
        # The text alone could stand anywhere in a job file.
        wanted = any(JobSpec.model_validate_json(spec).working_directory == digest for spec in specs)
        size = content.size(connection, digest) if wanted else None
    return refuse(ReasonCode.CONTENT_NOT_FOUND, digest=digest) if size is None else size
