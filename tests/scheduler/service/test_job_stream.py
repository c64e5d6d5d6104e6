"""A job as it happens, for a reader who may go away at any moment and come back where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from runtime import ScriptedAgent, Stage, administrator_of, ended, node, runs_now

from scheduler.model.reason import ReasonCode
from scheduler.service import job_stream
from scheduler.service.caller import Caller, Role
from scheduler.service.job_stream import JobMoment, Position, follow
from scheduler.service.runtime import Runtime
from scheduler.store import logs, memberships, tokens

WORDS = "손실 0.25 · 정확도 0.97\n"


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is looked at all the time."""
    monkeypatch.setattr(job_stream, "LOOK_SECONDS", 0.02)


def tell(stage: Stage, caller: Caller, job_id: int, start: Position, moments: int | None = None) -> list[JobMoment]:
    """What a reader hears from ``start`` on: everything, or the first ``moments``."""

    async def listen() -> list[JobMoment]:
        heard: list[JobMoment] = []
        async for moment in follow(stage.runtime, caller, job_id, rank=0, with_log=True, start=start):
            heard.append(moment)
            if len(heard) == moments:
                break
        return heard

    return asyncio.run(asyncio.wait_for(listen(), 20))


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


def test_what_comes_of_a_log_with_the_word_that_it_is_whole_is_told(
    stage: Stage, administrator: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last bytes arrive just before the record is asked whether the log is whole."""
    agent, job_id = running_job(stage)
    run = stage.run(job_id)
    agent.sync(ended(run, stage.clock.now_ms(), stage.clock.now_ms() + 1000))
    has_ended = job_stream._has_ended

    def arrives(runtime: Runtime, run_id: int, rank: int) -> bool:
        append(stage, run.id, 0, b"done\n")
        stage.runtime.database.run(lambda transaction: logs.mark_ended(transaction, run.id, 0))
        return has_ended(runtime, run_id, rank)

    monkeypatch.setattr(job_stream, "_has_ended", arrives)
    heard = tell(stage, administrator, job_id, Position())
    assert [(moment.kind, moment.text) for moment in heard] == [("state", ""), ("log", "done\n"), ("end", "")]


def follow_while(
    stage: Stage, caller: Caller, job_id: int, what_happens: Sequence[Callable[[], object]]
) -> list[JobMoment]:
    """What a reader hears who is at it while, after each moment, the next thing happens: to the end, or until all is told."""

    async def listen() -> list[JobMoment]:
        heard: list[JobMoment] = []
        async for moment in follow(stage.runtime, caller, job_id, rank=0, with_log=True, start=Position()):
            heard.append(moment)
            if len(heard) > len(what_happens):
                break
            await asyncio.to_thread(what_happens[len(heard) - 1])
        return heard

    return asyncio.run(asyncio.wait_for(listen(), 20))


@pytest.mark.usefixtures("often")
def test_a_waiting_job_s_reason_is_told_again_when_it_changes_and_only_then(
    stage: Stage, administrator: Caller
) -> None:
    agent, group = stage.agent(), stage.group()
    stage.submit(group, 4)
    stage.turn()
    (job_id,) = stage.submit(group, gpus_per_worker=8)

    def a_node_comes() -> None:
        agent.report_nodes(node("site-1-0"), node("late", 2), version=2)

    heard = follow_while(stage, administrator, job_id, [a_node_comes])
    reasons = [moment.detail.job.reason for moment in heard if moment.detail is not None]
    assert [(moment.kind, moment.position) for moment in heard] == [("state", heard[0].position)] * 2
    assert [reason and reason.numbers["free"] for reason in reasons] == [4, 6]


@pytest.mark.usefixtures("often")
def test_who_comes_back_to_a_waiting_job_is_told_why_it_waits_now(stage: Stage, administrator: Caller) -> None:
    stage.agent()
    (job_id,) = stage.submit(stage.group(), gpus_per_worker=8)
    (before,) = tell(stage, administrator, job_id, Position(), moments=1)
    (again,) = tell(stage, administrator, job_id, before.position, moments=1)
    assert (again.kind, again.position) == ("state", before.position)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("lost", ["revoked", "expired", "role"])
def test_who_may_see_a_job_no_more_is_told_so_and_hears_nothing_further(stage: Stage, lost: str) -> None:
    _, job_id = running_job(stage)
    caller = administrator_of(stage.runtime, "leaver")

    def lose() -> None:
        if lost == "expired":
            stage.clock.advance(400 * 86_400)
            return
        stage.runtime.database.run(
            lambda transaction: (
                tokens.revoke(transaction, caller.token.id)
                if lost == "revoked"
                else memberships.remove(
                    transaction, person_id=caller.person_id, group_id=1, role=Role.ADMINISTRATOR.value
                )
            )
        )
        stage.runtime.callers.forget()
        append(stage, stage.run(job_id).id, 0, b"a secret")

    heard = follow_while(stage, caller, job_id, [lose])
    code = {"revoked": ReasonCode.TOKEN_REVOKED, "expired": ReasonCode.TOKEN_EXPIRED, "role": ReasonCode.JOB_NOT_FOUND}
    assert [moment.kind for moment in heard] == ["state", "refused"]
    assert heard[-1].refusal is not None and heard[-1].refusal.code is code[lost]
