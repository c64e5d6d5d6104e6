"""One job as it happens: its states, why it waits, the bytes of one worker's log, and its end."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Literal

from scheduler.model.job_state import TERMINAL_STATES, JobState
from scheduler.model.reason import Refusal
from scheduler.service.caller import Caller
from scheduler.service.job_log import LogView, log_ended_payload, read_log
from scheduler.service.job_view import JobDetail, class_of
from scheduler.service.jobs import show_job
from scheduler.service.runtime import Runtime
from scheduler.store import logs

#: How often the store is looked at without a wake-up: a dead bus only delays.
LOOK_SECONDS = 1.0
READ_BYTES = 64 * 1024
#: The last bytes of a log arrive a moment after the end is known; this long they are waited for.
SETTLE_SECONDS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a reader stands: what the id of the last event said."""

    change: int = 0
    run_id: int = 0
    offset: int = 0

    @staticmethod
    def read(text: str | None) -> Position:
        """Read ``change:run:offset``; anything else is the beginning."""
        parts = (text or "").split(":")
        if len(parts) != 3 or not all(part.isdecimal() and len(part) < 19 for part in parts):
            return Position()
        change, run_id, offset = map(int, parts)
        return Position(change=change, run_id=run_id, offset=offset)

    def __str__(self) -> str:
        return f"{self.change}:{self.run_id}:{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMoment:
    """What a reader is told: a new state or a new reason for waiting, more of the log, the end, or that they may see it no
    more. ``text`` is the log's; ``refusal`` says why it was refused."""

    kind: Literal["state", "log", "end", "refused"]
    position: Position
    detail: JobDetail | None = None
    text: str = ""
    refusal: Refusal | None = None


async def follow(
    runtime: Runtime, caller: Caller, job_id: int, *, rank: int, with_log: bool, start: Position
) -> AsyncIterator[JobMoment]:
    """Tell a job's states, reasons for waiting and log from ``start`` until its end.

    Who reads is looked up anew every ``LOOK_SECONDS``: a token that was revoked or has expired, and a role that was taken
    away, end it with a moment ``refused``.
    """
    position, cut_off = start, b""
    settle_until: float | None = None
    subscription = runtime.bus.subscribe(f"job:{job_id}")
    listened_run = 0
    log_ended = False
    told: object = None
    try:
        while True:
            look = await asyncio.to_thread(_look, runtime, caller, job_id)
            if isinstance(look, Refusal):
                yield JobMoment(kind="refused", position=position, refusal=look)
                return
            caller, detail = look.caller, look.detail
            row = detail.job.row
            if row.run_id is not None and row.run_id != listened_run:
                subscription.close()
                subscription = runtime.bus.subscribe(f"job:{job_id}", f"logs:{row.run_id}")
                listened_run, log_ended = row.run_id, False
            if row.change > position.change or look.waits != told:
                position, told = replace(position, change=row.change), look.waits
                yield JobMoment(kind="state", position=position, detail=detail)
            is_over = JobState(row.state) in TERMINAL_STATES
            # Asked before the log is read: what came in between would be lost, were it asked after.
            log_ended = log_ended or (is_over and await asyncio.to_thread(_has_ended, runtime, listened_run, rank))
            more = True
            while with_log and more:
                piece = await asyncio.to_thread(_piece, runtime, caller, job_id, rank, position)
                if isinstance(piece, Refusal):
                    yield JobMoment(kind="refused", position=position, refusal=piece)
                    return
                # A character cut in two waits for its rest, so that every position is one to go on from.
                text, whole_bytes = codecs.utf_8_decode(piece.data, "replace", False)
                more, cut_off = whole_bytes > 0, piece.data[whole_bytes:]
                position = replace(position, run_id=piece.run_id, offset=piece.offset + whole_bytes)
                if text:
                    yield JobMoment(kind="log", position=position, text=text)
            if is_over:
                now_seconds = runtime.clock.monotonic_seconds()
                if log_ended:
                    settle_until = now_seconds
                elif settle_until is None:
                    settle_until = now_seconds + _settle_seconds(detail, runtime, with_log=with_log)
                if now_seconds >= settle_until:
                    if cut_off:
                        yield JobMoment(kind="log", position=position, text=cut_off.decode(errors="replace"))
                    yield JobMoment(kind="end", position=position, detail=detail)
                    return
            for _, payload in await subscription.wait_async(LOOK_SECONDS if settle_until is None else 0.3):
                log_ended = log_ended or payload == log_ended_payload(rank)
    finally:
        subscription.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The job as its reader may see it now. ``waits``: what is said of its waiting, None where it does not."""

    caller: Caller
    detail: JobDetail
    waits: object


def _look(runtime: Runtime, caller: Caller, job_id: int) -> _Look | Refusal:
    now = runtime.callers.again(caller)
    if isinstance(now, Refusal):
        return now
    detail = show_job(runtime, now, job_id)
    if isinstance(detail, Refusal):
        return detail
    row = detail.job.row
    if row.state != JobState.QUEUED.value:
        return _Look(caller=now, detail=detail, waits=None)
    # Worked out once a class and snapshot, however many read: every reader after the first is handed what is known.
    verdict = runtime.world.verdict(class_of(row, runtime.clock.now_ms()))
    counterfactual = None if verdict is None else verdict.verdict.counterfactual
    return _Look(caller=now, detail=detail, waits=(detail.job.reason, counterfactual))


def _has_ended(runtime: Runtime, run_id: int, rank: int) -> bool:
    with runtime.database.read() as connection:
        return logs.has_ended(connection, run_id, rank)


def _piece(runtime: Runtime, caller: Caller, job_id: int, rank: int, position: Position) -> LogView | Refusal:
    """What follows in the log of the newest run: from its beginning when that is another run than before."""
    now = runtime.callers.again(caller)  # a long log may be read for longer than between two looks
    if isinstance(now, Refusal):
        return now
    newest = read_log(runtime, now, job_id, rank=rank, run_id=None, offset=position.offset, bytes_max=READ_BYTES)
    if isinstance(newest, Refusal) or newest.run_id == position.run_id:
        return newest
    return read_log(runtime, now, job_id, rank=rank, run_id=None, offset=0, bytes_max=READ_BYTES)


def _settle_seconds(detail: JobDetail, runtime: Runtime, *, with_log: bool) -> float:
    """How long the last of the log may still be on its way."""
    ended_ms = detail.job.row.ended_ms or 0
    never_ran = detail.job.row.started_ms is None
    if never_ran or not with_log:
        return 0.0
    gone_seconds = (runtime.clock.now_ms() - ended_ms) / 1000
    return max(0.0, min(SETTLE_SECONDS, SETTLE_SECONDS - gone_seconds))
