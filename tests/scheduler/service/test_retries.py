"""A job whose runs keep getting lost is placed again after longer and longer waits, and says so."""

from __future__ import annotations

import pytest
from runtime import ScriptedAgent, Stage, ended

from scheduler.model.job_state import EndCause
from scheduler.model.reason import Reason, ReasonCode, Refusal, SiteReason
from scheduler.model.reason_text import sentence
from scheduler.model.retry import ALIKE_FAILURES_MAX, STEADY_SECONDS
from scheduler.service.caller import Caller
from scheduler.service.follow import Follower
from scheduler.service.job_view import JobView, of_job
from scheduler.service.jobs import JobAction, act_on_job, why_job
from scheduler.service.tally import budgets_of, category_text


def lose(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    """The job's newest run could not be started."""
    report = ended(stage.run(job), None, stage.clock.now_ms(), cause=EndCause.START_FAILED)
    agent.sync(report.model_copy(update={"message": "no such image"}))


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
    assert [reason.numbers[name] for name in ("attempt", "next", "category")] == [2, 3, "infrastructure"]
    assert reason.numbers["message"] == "no such image"
    stage.clock.advance(5)
    later = view_of(stage, administrator, job).reason
    assert later is None or later.code is not ReasonCode.WAITING_FOR_RETRY


def fail(stage: Stage, agent: ScriptedAgent, job: int, exit_code: int = 1) -> None:
    """The job's newest run starts, and ends at once by its own doing."""
    assert stage.turn() == 1
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(job), now_ms, now_ms + 1, exit_code=exit_code))


def test_a_program_that_fails_waits_longer_each_time_and_is_told_which_attempt_comes_when(
    stage: Stage, agent: ScriptedAgent, administrator: Caller
) -> None:
    (job,) = stage.submit(stage.group(), retries=3)
    fail(stage, agent, job)
    fail(stage, agent, job)
    assert stage.turn() == 0
    reason = view_of(stage, administrator, job).reason
    assert reason is not None
    numbers = reason.numbers
    assert (reason.code, numbers["category"]) == (ReasonCode.WAITING_AFTER_FAILURE, "program")
    assert [numbers[name] for name in ("attempt", "next", "failures", "failures_max")] == [2, 3, 2, 3]
    assert "attempt 3" in sentence(reason.code, numbers, "en")
    assert "프로그램" in sentence(reason.code, numbers, "ko")
    stage.clock.advance(2.1)
    agent.sync()
    fail(stage, agent, job, exit_code=2)
    assert stage.turn() == 1
    assert [each.failed for each in budgets_of(stage.job(job))] == [3, 0]


def test_what_fails_alike_at_once_is_given_up_before_its_retries_are(
    stage: Stage, agent: ScriptedAgent, administrator: Caller
) -> None:
    (job,) = stage.submit(stage.group(), retries=100)
    for _ in range(ALIKE_FAILURES_MAX):
        stage.clock.advance(20)
        agent.sync()
        fail(stage, agent, job)
    reason = view_of(stage, administrator, job).reason
    assert stage.job(job).state == "failed"
    assert reason is not None
    assert (reason.code, reason.numbers["failures"]) == (ReasonCode.FAILS_ALIKE, ALIKE_FAILURES_MAX)


def test_a_file_says_what_is_tried_again(stage: Stage, agent: ScriptedAgent, administrator: Caller) -> None:
    (job,) = stage.submit(stage.group(), retries={"program": 5, "memory": 0, "infrastructure": 0, "walltime": 1})
    assert stage.turn() == 1
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(job), now_ms, now_ms, cause=EndCause.WALLTIME))
    assert stage.job(job).state == "queued"
    fail(stage, agent, job, exit_code=137)
    reason = view_of(stage, administrator, job).reason
    assert stage.job(job).state == "failed"
    assert reason is not None
    assert (reason.code, reason.numbers["memory_mib"]) == (ReasonCode.COMMAND_KILLED, 16)
    assert [(run.cause, category_text(run)) for run in stage.runs(job)] == [
        ("walltime", "walltime"),
        ("exited", "memory"),
    ]


def test_a_site_that_is_not_to_be_tried_again_fails_the_job_with_the_cause(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = stage.submit(stage.group(), retries={"infrastructure": 0})
    assert stage.turn() == 1
    lose(stage, agent, job)
    row = stage.job(job)
    assert row.reason is not None
    assert (row.state, row.reason["code"], row.reason["numbers"]["cause"]) == (
        "failed", "InfrastructureFailed", "start_failed",
    )  # fmt: skip


def test_a_long_run_that_is_lost_begins_the_row_anew(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    stage.clock.advance(3)
    agent.sync()
    assert stage.turn() == 1
    started_ms = stage.clock.now_ms()
    stage.clock.advance(STEADY_SECONDS)
    agent.sync(ended(stage.run(job), started_ms, stage.clock.now_ms(), cause=EndCause.NODE_LOST))
    assert (stage.job(job).infrastructure_failures, stage.job(job).not_before_ms) == (1, None)
    assert stage.turn() == 1


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


@pytest.mark.parametrize("retries", [0, ALIKE_FAILURES_MAX], ids=lambda each: f"{each} retries")
def test_what_could_not_even_start_is_told_in_its_site_s_words_for_there_is_no_log_of_it(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, retries: int
) -> None:
    (job,) = stage.submit(stage.group(), retries=retries)
    for _ in range(min(retries + 1, ALIKE_FAILURES_MAX)):
        stage.turn()
        report = ended(stage.run(job), None, stage.clock.now_ms(), exit_code=127)
        agent.sync(report.model_copy(update={"message": "[Errno 2] No such file or directory: 'pyhton'"}))
        stage.clock.advance(20)
        agent.sync()
    reason = view_of(stage, administrator, job).reason
    assert reason is not None and reason.code is ReasonCode.NEVER_STARTED
    english, korean = (sentence(reason.code, reason.numbers, language) for language in ("en", "ko"))
    told = "127", "[Errno 2] No such file or directory: 'pyhton'", f"`dure logs {job}`"
    assert all(each in english and each in korean for each in told)
