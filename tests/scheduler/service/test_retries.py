"""A job whose runs keep getting lost is placed again after longer and longer waits, and says so."""

from __future__ import annotations

import pytest
from runtime import ScriptedAgent, Stage, ended

from scheduler.model.job_state import EndCause
from scheduler.model.reason import Reason, ReasonCode, Refusal, SiteReason
from scheduler.model.reason_text import sentence
from scheduler.service.caller import Caller
from scheduler.service.follow import Follower
from scheduler.service.job_view import JobView, of_job
from scheduler.service.jobs import JobAction, act_on_job, why_job


def lose(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    """The job's newest run could not be started."""
    report = ended(stage.run(job), None, stage.clock.now_ms(), cause=EndCause.START_FAILED)
    agent.sync(report.model_copy(update={"message": "no such image"}))


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site of one node with eight GPUs."""
    return stage.agent()


@pytest.fixture
def job(stage: Stage, agent: ScriptedAgent) -> int:
    """A job that has lost two runs: the first wait is for nothing, the second for two seconds."""
    (made,) = stage.submit(stage.group())
    for _ in range(2):
        assert stage.turn() == 1
        lose(stage, agent, made)
    return made


def view_of(stage: Stage, administrator: Caller, job: int) -> JobView:
    """The job as its owner sees it."""
    why = why_job(stage.runtime, administrator, job)
    assert not hasattr(why, "reasons")
    return why.job  # type: ignore[union-attr]


def test_after_its_second_lost_run_a_job_waits_and_others_do_not(stage: Stage, job: int) -> None:
    stage.submit(1)
    assert stage.turn() == 1
    assert stage.job(job).state == "queued"
    stage.clock.advance(1.9)
    assert stage.turn() == 0
    stage.clock.advance(0.2)
    assert stage.turn() == 1
    assert stage.run(job).epoch == 3


def test_what_it_waits_for_is_told(stage: Stage, administrator: Caller, job: int) -> None:
    reason = view_of(stage, administrator, job).reason
    assert reason is not None
    assert reason.code is ReasonCode.WAITING_FOR_RETRY
    assert (reason.numbers["failures"], reason.numbers["cause"]) == (2, "start_failed")
    assert reason.numbers["message"] == "no such image"
    stage.clock.advance(5)
    later = view_of(stage, administrator, job).reason
    assert later is None or later.code is not ReasonCode.WAITING_FOR_RETRY


def test_a_leader_that_begins_meanwhile_waits_too(stage: Stage, job: int) -> None:
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    assert stage.turn() == 0
    stage.clock.advance(2.1)
    assert stage.turn() == 1


def test_a_job_that_is_cancelled_while_it_waits_is_not_placed(stage: Stage, job: int) -> None:
    assert stage.turn() == 0
    stage.change_job(job, state="cancelled")
    stage.clock.advance(5)
    assert stage.turn() == 0


def test_a_clock_that_was_set_back_keeps_nobody_waiting(stage: Stage, job: int) -> None:
    assert stage.turn() == 0
    stage.clock.jump(-86_400)
    assert stage.turn() == 1


def test_a_held_job_may_start_over_whether_a_site_keeps_something_of_it_or_not(
    stage: Stage, agent: ScriptedAgent, administrator: Caller
) -> None:
    (job,) = stage.submit(stage.group(), checkpoint={})

    def requeue(*, start_over: bool) -> object:
        return stage.runtime.database.run(
            lambda each: act_on_job(each, stage.runtime, administrator, job, JobAction.REQUEUE, start_over=start_over)
        )

    stage.change_job(job, state="held")
    assert not isinstance(requeue(start_over=True), Refusal)
    assert isinstance(requeue(start_over=False), Refusal)
    stage.change_job(job, bound_site_id=agent.site_id)
    assert not isinstance(requeue(start_over=True), Refusal)
    assert (stage.job(job).state, stage.job(job).bound_site_id) == ("held", None)


def test_a_reason_that_says_what_to_type_names_the_job() -> None:
    site = SiteReason(site="s", code=ReasonCode.WAITING_FOR_CHECKPOINT_SITE, numbers={"site": "s"})
    reason = of_job(Reason(code=ReasonCode.WAITING_FOR_CHECKPOINT_SITE, numbers={"site": "s"}, per_site=(site,)), 42)
    for each in (reason, *reason.per_site):
        for language in ("ko", "en"):
            assert "`dure requeue --start-over 42`" in sentence(each.code, each.numbers, language)
