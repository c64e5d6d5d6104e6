"""Jobs that wait for other jobs: let go when those have come, cancelled when they never will, and told why until then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.model.dependency import Condition, Dependency
from scheduler.model.job_state import EndCause
from scheduler.model.reason import Reason, ReasonCode, Refusal
from scheduler.model.reason_text import sentence
from scheduler.service.caller import Caller
from scheduler.service.dependencies import to_come
from scheduler.service.follow import Follower
from scheduler.service.jobs import JobAction, JobWhy, act_on_job, why_job
from scheduler.service.runtime import Runtime
from scheduler.store import dependencies, events


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """Each database."""
    return on_both


@pytest.fixture
def group(stage: Stage, agent: ScriptedAgent) -> int:
    """Whose jobs they are."""
    return stage.group()


def starts(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    """The job's newest run is running."""
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))


def ends(stage: Stage, agent: ScriptedAgent, job: int, exit_code: int = 0) -> None:
    """The job's newest run has ended by itself."""
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(job), now_ms, now_ms, exit_code=exit_code))


def act(stage: Stage, caller: Caller, job: int, action: JobAction) -> None:
    """Do something with a job."""
    done = stage.runtime.database.run(lambda each: act_on_job(each, stage.runtime, caller, job, action))
    assert not isinstance(done, Refusal), done


def reason_of(stage: Stage, caller: Caller, job: int) -> Reason:
    """Why a job stands where it does."""
    why = why_job(stage.runtime, caller, job)
    assert isinstance(why, JobWhy)
    assert why.job.reason is not None
    return why.job.reason


def rows_left(stage: Stage) -> int:
    """How many waiters the record holds."""
    with stage.runtime.database.read() as connection:
        return len(dependencies.every(connection))


def test_a_job_waits_until_the_one_before_has_succeeded(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after_ok=[first])
    assert stage.turn() == 1
    starts(stage, agent, first)
    assert stage.turn() == 0
    assert stage.job(second).state == "queued"
    ends(stage, agent, first)
    assert stage.turn() == 1
    assert (stage.job(second).state, stage.job(second).awaits, rows_left(stage)) == ("leased", False, 0)
    with stage.runtime.database.read() as connection:
        kinds = [event.kind for event in events.of_job(connection, second)]
    assert kinds == ["job.submitted", "job.dependencies_met", "job.state"]


def test_a_lease_is_no_start_yet_and_a_start_is_enough_for_after(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after=[first])
    assert stage.turn() == 1
    assert stage.turn() == 0
    starts(stage, agent, first)
    assert stage.turn() == 1
    assert stage.job(second).state == "leased"


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_any_end_is_enough_for_after(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller, ending: str
) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after=[first])
    if ending == "cancelled":
        act(stage, administrator, first, JobAction.CANCEL)
    else:
        assert stage.turn() == 1
        ends(stage, agent, first, exit_code=1)
    assert stage.turn() == 1
    assert stage.job(second).state == "leased"


def test_a_job_that_started_once_and_waits_again_has_started(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (first,) = stage.submit(group)
    assert stage.turn() == 1
    starts(stage, agent, first)
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(first), now_ms, now_ms, cause=EndCause.NODE_LOST))
    assert stage.turn() == 1
    assert stage.job(first).started_ms is None
    (second,) = stage.submit(group, after=[first])
    assert stage.turn() == 1
    assert stage.job(second).state == "leased"


def test_what_never_comes_cancels_those_that_wait_and_those_that_wait_for_them(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after_ok=[first])
    (third,) = stage.submit(group, after_ok=[second])
    (other,) = stage.submit(group, after=[second])
    act(stage, administrator, third, JobAction.HOLD)
    assert stage.turn() == 1
    ends(stage, agent, first, exit_code=3)
    assert stage.turn() == 1
    assert [stage.job(job).state for job in (first, second, third, other)] == [
        "failed", "cancelled", "cancelled", "leased",
    ]  # fmt: skip
    assert stage.job(second).ended_ms == stage.clock.now_ms()
    assert rows_left(stage) == 0
    reason = reason_of(stage, administrator, third)
    assert (reason.code, reason.numbers) == (ReasonCode.DEPENDENCY_FAILED, {"job": second, "state": "cancelled"})
    assert f"job {second}" in sentence(reason.code, reason.numbers, "en")


def test_a_failure_that_is_tried_again_is_none_yet(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (first,) = stage.submit(group, retries=1)
    (second,) = stage.submit(group, after_ok=[first])
    assert stage.turn() == 1
    ends(stage, agent, first, exit_code=1)
    assert stage.turn() == 1
    assert stage.job(second).state == "queued"
    ends(stage, agent, first)
    assert stage.turn() == 1
    assert stage.job(second).state == "leased"


def test_all_of_them_have_to_come(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    first, second = stage.submit(group, 2)
    (third,) = stage.submit(group, after_ok=[first], after=[second])
    assert stage.turn() == 2
    ends(stage, agent, first)
    assert stage.turn() == 0
    starts(stage, agent, second)
    assert stage.turn() == 1
    assert stage.job(third).state == "leased"


def test_who_waits_is_told_for_which_job_and_how_it_stands(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    first, second = stage.submit(group, 2)
    (third,) = stage.submit(group, after_ok=[first, second])
    assert stage.turn() == 2
    starts(stage, agent, first)
    reason = reason_of(stage, administrator, third)
    assert (reason.code, reason.numbers) == (
        ReasonCode.WAITING_FOR_SUCCESS, {"job": first, "state": "running", "jobs": 2},
    )  # fmt: skip
    assert "실행 중" in sentence(reason.code, reason.numbers, "ko")
    ends(stage, agent, first)
    reason = reason_of(stage, administrator, third)
    assert reason.numbers == {"job": second, "state": "leased", "jobs": 1}
    why = why_job(stage.runtime, administrator, third)
    assert isinstance(why, JobWhy)
    assert (why.sites, why.ahead) == ((), None)
    act(stage, administrator, third, JobAction.HOLD)
    assert reason_of(stage, administrator, third).code is ReasonCode.HELD_BY_OWNER


def test_a_held_job_that_nothing_stands_before_waits_for_its_release_alone(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after_ok=[first])
    act(stage, administrator, second, JobAction.HOLD)
    assert stage.turn() == 1
    ends(stage, agent, first)
    assert stage.turn() == 0
    assert (stage.job(second).state, stage.job(second).awaits) == ("held", False)
    act(stage, administrator, second, JobAction.RELEASE)
    assert stage.turn() == 1


def test_a_release_lets_nobody_past_what_is_still_to_come(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after_ok=[first])
    assert stage.turn() == 1
    for action in (JobAction.HOLD, JobAction.RELEASE):
        act(stage, administrator, second, action)
        assert stage.turn() == 0
    assert stage.job(second).state == "queued"


def test_a_leader_that_begins_meanwhile_sees_what_came_while_nobody_led(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after_ok=[first])
    (held,) = stage.submit(group, after_ok=[first])
    assert stage.turn() == 1
    act(stage, administrator, held, JobAction.HOLD)
    starts(stage, agent, first)
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    assert stage.turn() == 0
    ends(stage, agent, first)
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    assert stage.turn() == 1
    assert (stage.job(second).state, stage.job(held).awaits) == ("leased", False)


def test_a_cancelled_waiter_leaves_nothing_behind(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (first,) = stage.submit(group)
    (second,) = stage.submit(group, after_ok=[first])
    assert stage.turn() == 1
    act(stage, administrator, second, JobAction.CANCEL)
    assert rows_left(stage) == 0
    stage.turn()
    assert second not in stage.follower.waiters
    ends(stage, agent, first)
    assert stage.turn() == 0
    assert stage.job(second).state == "cancelled"


def test_what_came_before_the_leader_ever_saw_the_waiter_is_no_loss(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    (first,) = stage.submit(group)
    assert stage.turn() == 1
    ends(stage, agent, first)
    stage.turn()
    (second,) = stage.submit(group, after_ok=[first])
    assert stage.turn() == 1
    assert stage.job(second).state == "leased"


def test_nobody_is_told_of_a_job_that_they_may_not_see(stage: Stage, group: int, administrator: Caller) -> None:
    (job,) = stage.submit(group)
    stranger = replace(administrator, roles={}, administrator=False)
    named = {0: (Dependency(job, Condition.START),), 1: (Dependency(999, Condition.SUCCESS),)}
    for caller, expected in ((administrator, (True, False)), (stranger, (False, False))):
        told = to_come(stage.runtime, caller, named)
        assert tuple(not isinstance(told[place], Refusal) for place in (0, 1)) == expected
        unknown = told[1]
        assert isinstance(unknown, Refusal) and unknown.reasons[0].field == "after_ok"


def test_what_has_come_is_not_waited_for_and_what_never_comes_is_refused(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    good, bad, live = stage.submit(group, 3)
    assert stage.turn() == 3
    ends(stage, agent, good)
    ends(stage, agent, bad, exit_code=1)
    named = {
        0: (Dependency(good, Condition.SUCCESS), Dependency(bad, Condition.START), Dependency(live, Condition.SUCCESS)),
        1: (Dependency(bad, Condition.SUCCESS),),
        2: (Dependency(good, Condition.START),),
    }
    told = to_come(stage.runtime, administrator, named)
    assert told[0] == (Dependency(live, Condition.SUCCESS),)
    assert told[2] == ()
    refusal = told[1]
    assert isinstance(refusal, Refusal)
    assert refusal.code is ReasonCode.DEPENDENCY_NEVER_MET
    assert (refusal.reasons[0].field, dict(refusal.reasons[0].numbers)) == ("after_ok", {"job": bad, "state": "failed"})
