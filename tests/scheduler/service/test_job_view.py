"""What people are told of preemption: where nodes are freed for a job and by when, and why a run is stopped."""

from __future__ import annotations

import pytest
from clearings import commit, make_way, plan_of, stop_of
from runtime import Stage, ended, runs_now

from scheduler.cycle.plan import StopCause
from scheduler.model.job_state import EndCause
from scheduler.model.reason import Reason, ReasonCode, Refusal
from scheduler.service.caller import Caller
from scheduler.service.job_view import JobView
from scheduler.service.jobs import JobQuery, list_jobs, show_job, why_job
from scheduler.service.time_text import time_text
from scheduler.store import events


@pytest.fixture
def made_way(stage: Stage) -> tuple[int, int]:
    """A job that is stopped, and the one of another group that gets its nodes."""
    agent = stage.agent()
    (victim,) = stage.submit(stage.group(), gpus_per_worker=8, checkpoint={"grace": "90s"})
    stage.turn()
    agent.sync(runs_now(stage.run(victim), stage.clock.now_ms()))
    (claimant,) = stage.submit(stage.group("other"), gpus_per_worker=8)
    assert stage.turn() == 0
    make_way(stage, victim, claimant)
    return victim, claimant


def reasons_of(stage: Stage, caller: Caller, job: int) -> list[Reason | None]:
    """Why a job stands where it does, as the list, the job itself and ``why`` tell it."""
    listed = list_jobs(stage.runtime, caller, JobQuery())
    detail, why = show_job(stage.runtime, caller, job), why_job(stage.runtime, caller, job)
    assert not isinstance(listed, Refusal) and not isinstance(detail, Refusal) and not isinstance(why, Refusal)
    assert (why.sites, why.counterfactual) == ((), None)
    views: list[JobView] = [*(each for each in listed if each.row.id == job), detail.job, why.job]
    return [view.reason for view in views]


def test_a_job_for_which_nodes_are_freed_is_told_where_by_when_and_how_many_runs_have_yet_to_leave(
    stage: Stage, administrator: Caller, made_way: tuple[int, int]
) -> None:
    victim, claimant = made_way
    until = time_text(stage.clock.now_ms() + 90_000)

    def told(runs: int) -> Reason:
        return Reason(code=ReasonCode.WAITING_FOR_EARMARK, numbers={"site": "site-1", "runs": runs, "until": until})

    assert reasons_of(stage, administrator, claimant) == [told(1)] * 3
    run, now_ms = stage.run(victim), stage.clock.now_ms()
    stage.change_run(run.id, phase="ended", ended_ms=now_ms)
    assert reasons_of(stage, administrator, claimant) == [told(0)] * 3


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (StopCause.PREEMPTED, ReasonCode.STOPPED_FOR_CLAIM),
        (StopCause.RECLAIMED, ReasonCode.STOPPED_FOR_CLAIM),
        (StopCause.RECALLED, ReasonCode.STOPPED_FOR_LENDER),
        (StopCause.MOVED, ReasonCode.STOPPED_FOR_GANG),
    ],
)
def test_a_job_whose_run_makes_way_is_told_why_and_by_when(
    stage: Stage, administrator: Caller, cause: StopCause, code: ReasonCode
) -> None:
    agent = stage.agent()
    (job,) = stage.submit(stage.group(), checkpoint={"grace": "90s"})
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    commit(stage, plan_of(stop_of(stage.run(job), None, cause)))
    until = time_text(stage.clock.now_ms() + 90_000)
    numbers = {"cause": cause.value, "site": "site-1", "until": until}
    assert reasons_of(stage, administrator, job) == [Reason(code=code, numbers=numbers)] * 3
    agent.sync(ended(stage.run(job), stage.clock.now_ms(), stage.clock.now_ms(), cause=EndCause(cause.value)))
    assert {reason.code for reason in reasons_of_queued(stage, administrator, job)}.isdisjoint({code})


def reasons_of_queued(stage: Stage, caller: Caller, job: int) -> list[Reason]:
    """What a job in the queue is told."""
    detail = show_job(stage.runtime, caller, job)
    assert not isinstance(detail, Refusal) and detail.job.reason is not None
    return [detail.job.reason]


def test_whose_job_it_makes_way_for_is_not_told(stage: Stage, administrator: Caller, made_way: tuple[int, int]) -> None:
    victim, claimant = made_way
    told = [str(reason) for reason in reasons_of(stage, administrator, victim)]
    with stage.runtime.database.read() as connection:
        history = events.of_job(connection, victim)
    assert history[-1].data == {
        "state": "preempting",
        "cause": "reclaimed",
        "run": stage.run(victim).id,
        "epoch": 1,
    }
    assert not any("other" in text or f"'job': {claimant}" in text for text in told)
