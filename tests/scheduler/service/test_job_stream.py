"""A job as it happens, for a reader who may go away at any moment and come back where it stopped."""

from __future__ import annotations

import asyncio

from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.service.caller import Caller
from scheduler.service.job_stream import JobMoment, Position, follow
from scheduler.store import logs

WORDS = "손실 0.25 · 정확도 0.97\n"


def tell(stage: Stage, caller: Caller, job_id: int, start: Position, moments: int | None = None) -> list[JobMoment]:
    """What a reader hears from ``start`` on: everything, or the first ``moments``."""

    async def listen() -> list[JobMoment]:
        heard: list[JobMoment] = []
        async for moment in follow(stage.runtime, caller, job_id, rank=0, with_log=True, start=start):
            heard.append(moment)
            if len(heard) == moments:
                break
        return heard

    return asyncio.run(listen())


def append(stage: Stage, run_id: int, offset: int, data: bytes) -> None:
    """More of worker 0's log arrives."""
    stage.runtime.database.run(
        lambda transaction: logs.append(
            transaction, run_id=run_id, rank=0, offset=offset, data=data, bytes_max=1_000_000
        )
    )


def running_job(stage: Stage) -> tuple[ScriptedAgent, int]:
    """A job that its site says runs."""
    agent = stage.agent()
    (job_id,) = stage.submit(stage.group())
    stage.turn()
    agent.sync(runs_now(stage.run(job_id), stage.clock.now_ms()))
    return agent, job_id


def test_a_reader_who_comes_back_in_the_middle_of_a_character_misses_none_of_it(
    stage: Stage, administrator: Caller
) -> None:
    agent, job_id = running_job(stage)
    run, whole = stage.run(job_id), WORDS.encode()
    cut = len("손".encode()) + 1
    append(stage, run.id, 0, whole[:cut])
    first = tell(stage, administrator, job_id, Position(), moments=2)
    assert [moment.text for moment in first] == ["", "손"]
    append(stage, run.id, cut, whole[cut:])
    agent.sync(ended(run, stage.clock.now_ms(), stage.clock.now_ms() + 1000))
    stage.clock.advance(60)
    rest = tell(stage, administrator, job_id, first[-1].position)
    assert "손" + "".join(moment.text for moment in rest) == WORDS
    assert rest[-1].kind == "end"


def test_half_a_character_at_the_end_of_a_log_is_told_as_unreadable(stage: Stage, administrator: Caller) -> None:
    agent, job_id = running_job(stage)
    run = stage.run(job_id)
    append(stage, run.id, 0, b"ok " + "손".encode()[:2])
    agent.sync(ended(run, stage.clock.now_ms(), stage.clock.now_ms() + 1000))
    stage.clock.advance(60)
    heard = tell(stage, administrator, job_id, Position())
    assert "".join(moment.text for moment in heard) == "ok �"


def test_who_reads_a_log_that_has_come_in_whole_is_not_kept_waiting_for_more(
    stage: Stage, administrator: Caller
) -> None:
    agent, job_id = running_job(stage)
    run = stage.run(job_id)
    append(stage, run.id, 0, b"done\n")
    stage.runtime.database.run(lambda transaction: logs.mark_ended(transaction, run.id, 0))
    agent.sync(ended(run, stage.clock.now_ms(), stage.clock.now_ms() + 1000))
    # The clock stands still: whoever waited for the rest of the log would wait for ever.
    heard = tell(stage, administrator, job_id, Position(), moments=3)
    assert [moment.kind for moment in heard] == ["state", "log", "end"]
