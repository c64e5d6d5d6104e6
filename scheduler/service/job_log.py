"""Logs as people read them, while a job runs and after."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from scheduler.model.job_state import RunPhase
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.caller import Caller
from scheduler.service.jobs import find_job
from scheduler.service.runtime import Runtime
from scheduler.store import logs, runs
from scheduler.store.runs import RunRow

#: A part of a log begins with a line where one begins within so many bytes.
LINE_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """Bytes of one worker's log from ``offset`` on; ``next_offset`` is where to go on."""

    run_id: int
    data: bytes
    offset: int
    next_offset: int


def read_log(
    runtime: Runtime,
    caller: Caller,
    job_id: int,
    *,
    rank: int,
    run_id: int | None,
    offset: int,
    bytes_max: int,
    wait_seconds: float = 0.0,
) -> LogView | Refusal:
    """Read a worker's log of the newest run, or of ``run_id``. Reading a live one has the agent send it: who comes first
    finds nothing, and waits up to ``wait_seconds`` for what is on its way."""
    with runtime.database.read() as connection:
        row = find_job(connection, runtime.directories.newest(), caller, job_id)
        if isinstance(row, Refusal):
            return row
        run = _run(connection, job_id, row.run_id if run_id is None else run_id)
        if run is None:
            if run_id is not None:
                return refuse(ReasonCode.JOB_NOT_FOUND, field="run", job=f"{job_id} run {run_id}")
            return LogView(run_id=0, data=b"", offset=offset, next_offset=offset)
        piece = logs.read(connection, run_id=run.id, rank=rank, offset=offset, bytes_max=bytes_max)
    if run.phase != RunPhase.ENDED.value:
        if piece.data or wait_seconds <= 0:
            runtime.log_wants.want(run.site_id, run.id, rank)
        elif _arrived(runtime, run, rank, wait_seconds):
            with runtime.database.read() as connection:
                piece = logs.read(connection, run_id=run.id, rank=rank, offset=offset, bytes_max=bytes_max)
    return LogView(run_id=run.id, data=piece.data, offset=offset, next_offset=offset + len(piece.data))


def read_log_end(
    runtime: Runtime, caller: Caller, job_id: int, *, rank: int, run_id: int | None, bytes_max: int
) -> LogView | Refusal:
    """Read the last of a worker's log, at most ``bytes_max`` bytes, from the beginning of a line where one begins early
    in them, else of a character. ``offset`` says how many bytes were left out before."""
    with runtime.database.read() as connection:
        row = find_job(connection, runtime.directories.newest(), caller, job_id)
        if isinstance(row, Refusal):
            return row
        run = _run(connection, job_id, row.run_id if run_id is None else run_id)
        known = 0 if run is None else logs.end(connection, run.id, rank)
    offset = max(0, known - bytes_max)
    view = read_log(runtime, caller, job_id, rank=rank, run_id=run_id, offset=offset, bytes_max=bytes_max)
    if isinstance(view, Refusal) or offset == 0:
        return view
    left_out = view.data.find(b"\n", 0, LINE_BYTES_MAX) + 1
    if not left_out:
        left_out = next((at for at, byte in enumerate(view.data[:4]) if byte & 0xC0 != 0x80), 0)
    return replace(view, data=view.data[left_out:], offset=offset + left_out)


def _arrived(runtime: Runtime, run: RunRow, rank: int, wait_seconds: float) -> bool:
    """Ask for a log; if nobody did a moment ago, whether bytes of it came in time."""
    with runtime.bus.subscribe(f"logs:{run.id}") as news:
        return runtime.log_wants.want(run.site_id, run.id, rank) and bool(news.wait(wait_seconds))


def _run(connection: Connection, job_id: int, run_id: int | None) -> RunRow | None:
    run = None if run_id is None else runs.by_id(connection, run_id)
    return run if run is not None and run.job_id == job_id else None


def log_ended_payload(rank: int) -> bytes:
    """What is published on ``logs:{run}`` when a worker's log has come in whole."""
    return f"ended:{rank}".encode()
