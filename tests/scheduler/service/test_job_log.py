"""Who reads a log first waits for what is on its way; who comes later does not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from eventually import eventually
from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.service.agent_files import take_log
from scheduler.service.caller import Caller
from scheduler.service.job_log import LogView, read_log
from scheduler.store import logs


@pytest.fixture
def job(stage: Stage, agent: ScriptedAgent) -> int:
    """A job that runs."""
    (made,) = stage.submit(stage.group())
    stage.turn()
    agent.sync(runs_now(stage.run(made), 1))
    return made


def read(stage: Stage, caller: Caller, job: int, wait_seconds: float) -> bytes:
    """What a reader is given."""
    view = read_log(stage.runtime, caller, job, rank=0, run_id=None, offset=0, bytes_max=100, wait_seconds=wait_seconds)
    assert isinstance(view, LogView)
    return view.data


def bring(stage: Stage, agent: ScriptedAgent, job: int, data: bytes, *, whole: bool = False) -> None:
    """The agent sends bytes of the log."""
    run = stage.run(job).id
    stage.runtime.database.run(
        lambda transaction: take_log(
            transaction, agent.site, run, epoch=1, rank=0, offset=0, data=data, ended=whole
        )
    )  # fmt: skip


def test_the_first_reader_of_a_running_job_is_given_what_its_agent_brings(
    stage: Stage, administrator: Caller, agent: ScriptedAgent, job: int
) -> None:
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(read, stage, administrator, job, 20.0)
        (want,) = eventually(lambda: agent.sync().logs, 10, "the agent is asked for the log")
        assert (want.run_id, want.offset) == (stage.run(job).id, 0)
        bring(stage, agent, job, b"step 1\n")
        assert reading.result(10) == b"step 1\n"


def test_who_asks_again_a_moment_later_is_not_kept_waiting(stage: Stage, administrator: Caller, job: int) -> None:
    read(stage, administrator, job, 0.01)
    began = time.monotonic()
    assert read(stage, administrator, job, 20.0) == b""
    assert time.monotonic() - began < 10


def test_that_a_log_came_in_whole_stands_in_the_record(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    def whole() -> bool:
        with stage.runtime.database.read() as connection:
            return logs.has_ended(connection, stage.run(job).id, 0)

    bring(stage, agent, job, b"one")
    assert not whole()
    agent.sync(ended(stage.run(job), 1, 2))
    bring(stage, agent, job, b"", whole=True)
    bring(stage, agent, job, b"", whole=True)
    assert whole()
