"""How long jobs run from a start on each class, as forecasts are told: what a commit of that start would write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from runtime import ScriptedAgent, Stage, node
from sqlalchemy import Connection
from told_runs import end, start

from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.prediction import left_ms
from scheduler.model.ids import JobId, RunId
from scheduler.service import left_on as left_on_module
from scheduler.service.eta import eta_of
from scheduler.service.learned import Learned, predict
from scheduler.service.left_on import RecordedLeftOn
from scheduler.store import class_speeds
from scheduler.store import jobs as job_rows
from scheduler.store.jobs import LikenessRow

DECLARED = {"h100": 1, "a100": 0.4}
SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "60s"}


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site with a fast and two slow nodes, where administrators say how fast these are."""
    agent = stage.agent()
    agent.report_nodes(node("fast"), node("slow-1", gpu_class="a100"), node("slow-2", gpu_class="a100"))
    with stage.runtime.database.write() as transaction:
        for name, speed in (("a100", 0.5), ("h100", 1.0)):
            class_speeds.put(transaction, name, speed)
    return agent


def ran(stage: Stage, agent: ScriptedAgent, group: int, seconds: int, **spec: Any) -> None:
    """A job of 8 GPUs takes so long on the fast node."""
    (job,) = stage.submit(group, gpus_per_worker=8, gpu_classes=["h100"], **spec)
    start(stage, agent, job)
    stage.clock.advance(seconds)
    end(stage, agent, job)


def left_on_of(stage: Stage) -> tuple[RecordedLeftOn, dict[JobId, WaitingJob]]:
    """What a forecast would be given now, with the jobs that wait."""
    stage.follower.catch_up()
    learned = Learned(stage.runtime.database)
    learned.catch_up()
    federation = stage.follower.federation.copy()
    jobs = {job.id: job for job in federation.snapshot().table.jobs()}
    return RecordedLeftOn(stage.runtime.database, learned.run_times, federation), jobs


def test_a_forecast_is_told_what_the_start_of_a_job_would_write(stage: Stage, agent: ScriptedAgent) -> None:
    group, other = stage.group(), stage.group("other")
    ran(stage, agent, group, 30)
    ran(stage, agent, other, 50, person="minsu")
    both = {"gpu_classes": ["h100", "a100"]}
    waiting = [
        *stage.submit(group, gpus_per_worker=8),
        *stage.submit(group, gpus_per_worker=8, speeds=DECLARED, **both),
        *stage.submit(other, gpus_per_worker=8, walltime="60s", **both),
        *stage.submit(other, gpus_per_worker=8, person="minsu", checkpoint=SAVES),
        *stage.submit(group, gpus_per_worker=4),
    ]
    stage.change_job(waiting[3], served_ms=20_000)
    left_on, jobs = left_on_of(stage)
    told = {}
    for job in waiting:
        row = stage.job(job)
        for gpu_class in ("h100", "a100", "b200"):
            with stage.runtime.database.read() as connection:
                written = predict(connection, [(row, gpu_class)])[job]
            expected = None if written is None else left_ms(written.run_ms, row.served_ms)
            told[job, gpu_class] = left_on(jobs[JobId(job)], gpu_class)
            assert told[job, gpu_class] == expected
    assert [told[job, "a100"] for job in waiting] == [60_000, 75_000, 60_000, 80_000, None]


def test_jobs_are_forecast_to_run_as_long_as_on_the_class_on_which_they_start(
    stage: Stage, agent: ScriptedAgent
) -> None:
    group = stage.group()
    ran(stage, agent, group, 30)
    jobs = stage.submit(group, 4, gpus_per_worker=8, gpu_classes=["h100", "a100"])
    begin_ms = stage.clock.now_ms()
    etas = [eta_of(stage.runtime, stage.job(job)) for job in jobs]
    # One on the fast node, two on slow ones; the last is next on the fast one.
    assert [None if eta is None else eta.start_ms for eta in etas] == [begin_ms] * 3 + [begin_ms + 30_000]
    agent.report_nodes(node("slow-1", gpu_class="a100"), version=2)
    stage.clock.advance(60)
    begin_ms = stage.clock.now_ms()
    etas = [eta_of(stage.runtime, stage.job(job)) for job in jobs]
    assert [None if eta is None else eta.start_ms for eta in etas] == [begin_ms + at * 60_000 for at in range(4)]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The jobs whose rows are read, by reading."""
    seen: list[list[int]] = []

    def likenesses(connection: Connection, job_ids: Iterable[int]) -> dict[int, LikenessRow]:
        seen.append(sorted(job_ids))
        return job_rows.likenesses(connection, seen[-1])

    monkeypatch.setattr(left_on_module, "jobs", SimpleNamespace(likenesses=likenesses))
    return seen


def test_rows_are_read_once_and_those_of_jobs_that_run_only_when_one_of_them_waits_again(
    stage: Stage, agent: ScriptedAgent, read: list[list[int]]
) -> None:
    group = stage.group()
    ran(stage, agent, group, 30)
    (runs,) = stage.submit(group, gpus_per_worker=8, gpu_classes=["h100"], checkpoint=SAVES)
    start(stage, agent, runs)
    waits = stage.submit(group, 2, gpus_per_worker=8, gpu_classes=["h100"])
    stage.clock.advance(10)
    now_ms, run = stage.clock.now_ms(), stage.run(runs)
    stage.change_run(run.id, stop_cause="preempted", stop_grace_ms=0, stop_requested_ms=now_ms)
    left_on, jobs = left_on_of(stage)
    again = stage.follower.federation.live_runs[RunId(run.id)].returns_as
    assert [left_on(jobs[JobId(job)], "h100") for job in waits] == [30_000, 30_000]
    assert read == [waits]
    assert again is not None
    assert [left_on(again, "a100"), left_on(again, "h100")] == [50_000, 20_000], "it has had ten seconds"
    assert read == [waits, [runs]]
    assert left_on(replace(again, id=JobId(4711), expected_ms=7), "h100") == 7, "what its fact says"
