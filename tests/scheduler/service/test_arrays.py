"""Job arrays: so many jobs of one file, no more at once than may, and done with as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.array_actions import ArrayDone, act_on_array
from scheduler.service.caller import Caller
from scheduler.service.follow import Follower
from scheduler.service.jobs import JobAction, JobQuery, JobWhy, act_on_job, list_jobs, show_job, why_job
from scheduler.service.runtime import Runtime
from scheduler.store import dependencies, jobs
from scheduler.store.jobs import JobRow


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """Each database."""
    return on_both


@pytest.fixture
def group(stage: Stage, agent: ScriptedAgent) -> int:
    """Whose jobs they are."""
    return stage.group()


def tasks_of(stage: Stage, array: int) -> list[JobRow]:
    """The array's jobs, by index."""
    with stage.runtime.database.read() as connection:
        return jobs.of_array(connection, array)


def states_of(stage: Stage, array: int) -> str:
    """The first letters of its jobs' states."""
    return "".join(row.state[0] for row in tasks_of(stage, array))


def act(stage: Stage, caller: Caller, array: int, action: JobAction, **more: Any) -> ArrayDone | Refusal:
    """Do something with all of it."""
    return stage.runtime.database.run(lambda each: act_on_array(each, stage.runtime, caller, array, action, **more))


def ends(stage: Stage, agent: ScriptedAgent, job: int, exit_code: int = 0) -> None:
    """The job's newest run has ended by itself."""
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(job), now_ms, now_ms, exit_code=exit_code))


def test_an_array_has_a_number_of_its_own_and_its_jobs_the_ones_that_follow(stage: Stage, group: int) -> None:
    (array,) = stage.submit(group, array="1,4-8:2%2")
    (after,) = stage.submit(group)
    rows = tasks_of(stage, array)
    assert [(row.id, row.array_id, row.array_task, row.array_tasks, row.array_running_max) for row in rows] == [
        (array + place, array, task, 4, 2) for place, task in enumerate((1, 4, 6, 8), 1)
    ]
    assert after == array + 5


def test_each_job_is_told_its_place(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (array,) = stage.submit(group, array="3,7", environment={"A": "b"})
    (plain,) = stage.submit(group)
    assert stage.turn() == 3
    orders = {order.job_id: order.environment for order in agent.sync().start}
    assert orders[array + 2] == {
        "A": "b", "DURE_ARRAY_JOB_ID": str(array), "DURE_ARRAY_TASK_ID": "7", "DURE_ARRAY_TASK_COUNT": "2",
    }  # fmt: skip
    assert orders[plain] == {}


def test_no_more_run_at_once_than_may(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (array,) = stage.submit(group, array="0-3%2")
    assert stage.turn() == 2
    assert states_of(stage, array) == "llqq"
    assert stage.turn() == 0
    agent.sync(runs_now(stage.run(array + 1), stage.clock.now_ms()))
    assert stage.turn() == 0
    ends(stage, agent, array + 1, exit_code=1)
    assert stage.turn() == 1
    assert states_of(stage, array) == "fllq"


def test_without_a_bound_all_of_it_runs_at_once(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (array,) = stage.submit(group, array="0-6")
    assert stage.turn() == 7
    assert states_of(stage, array) == "lllllll"


def test_a_leader_that_begins_meanwhile_counts_what_runs(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (array,) = stage.submit(group, array="0-3%2")
    assert stage.turn() == 2
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    assert stage.turn() == 0
    ends(stage, agent, array + 2)
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    assert stage.turn() == 1
    assert states_of(stage, array) == "lslq"


def test_a_task_that_waits_for_its_retry_leaves_its_place_to_another(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    (array,) = stage.submit(group, array="0-1%1")
    for _ in range(2):
        assert stage.turn() == 1
        agent.sync(ended(stage.run(array + 1), None, stage.clock.now_ms(), cause=EndCause.START_FAILED))
    assert stage.turn() == 1
    assert states_of(stage, array) == "ql"
    stage.clock.advance(5)
    agent.sync()
    assert stage.turn() == 0
    ends(stage, agent, array + 2)
    assert stage.turn() == 1
    assert states_of(stage, array) == "ls"


def test_a_task_whose_checkpoint_lies_at_a_closed_site_keeps_nobody_waiting(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    closed = stage.agent("site-2", state="cordoned")
    (array,) = stage.submit(group, array="0-1%1")
    stage.change_job(array + 1, bound_site_id=closed.site_id)
    assert stage.turn() == 1
    assert states_of(stage, array) == "ql"


def test_a_task_without_room_says_so_and_one_that_is_next_does_not(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (array,) = stage.submit(group, array="0-3%2", gpus_per_worker=8)
    assert stage.turn() == 1
    codes = []
    for job in range(array + 1, array + 5):
        why = why_job(stage.runtime, administrator, job)
        assert isinstance(why, JobWhy) and why.job.reason is not None
        codes.append(why.job.reason.code)
        if why.job.reason.code is ReasonCode.WAITING_FOR_ARRAY:
            assert why.job.reason.numbers == {"array": array, "before": job - array - 1, "limit": 2}
    assert codes == [
        ReasonCode.WAITING_FOR_AGENT, ReasonCode.WAITING_FOR_CAPACITY, ReasonCode.WAITING_FOR_ARRAY,
        ReasonCode.WAITING_FOR_ARRAY,
    ]  # fmt: skip


def test_the_whole_of_it_is_held_released_and_cancelled(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (array,) = stage.submit(group, array="0-3%1")
    assert stage.turn() == 1
    assert act(stage, administrator, array, JobAction.HOLD) == ArrayDone(array=array, tasks=4, changed=3)
    assert states_of(stage, array) == "lhhh"
    ends(stage, agent, array + 1)
    assert stage.turn() == 0
    assert act(stage, administrator, array, JobAction.RELEASE) == ArrayDone(array=array, tasks=4, changed=3)
    assert stage.turn() == 1
    assert act(stage, administrator, array, JobAction.CANCEL, why="no use") == ArrayDone(
        array=array, tasks=4, changed=3
    )
    assert states_of(stage, array) == "sccc"
    assert [row.state for row in tasks_of(stage, array)][1:] == ["cancelling", "cancelled", "cancelled"]
    assert stage.run(array + 2).stop_cause == "cancelled"
    assert all(row.ended_ms is not None for row in tasks_of(stage, array) if row.state == "cancelled")
    assert act(stage, administrator, array, JobAction.CANCEL) == ArrayDone(array=array, tasks=4, changed=0)


def test_what_can_be_done_with_none_of_it_is_refused(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (array,) = stage.submit(group, array="0-1")
    assert stage.turn() == 2
    refusal = act(stage, administrator, array, JobAction.HOLD)
    assert isinstance(refusal, Refusal)
    assert refusal.code is ReasonCode.STATE_CONFLICT


def test_an_array_of_others_does_not_exist(stage: Stage, group: int, administrator: Caller) -> None:
    (array,) = stage.submit(group, array="0-1")
    stranger = replace(administrator, roles={}, administrator=False)
    for caller, number in ((stranger, array), (administrator, array + 1), (administrator, 999)):
        refusal = act(stage, caller, number, JobAction.CANCEL)
        assert isinstance(refusal, Refusal)
        assert refusal.code is ReasonCode.ARRAY_NOT_FOUND
    shown = show_job(stage.runtime, stranger, array)
    assert isinstance(shown, Refusal)
    assert shown.code is ReasonCode.JOB_NOT_FOUND
    told = show_job(stage.runtime, administrator, array)
    assert isinstance(told, Refusal)
    assert dict(told.reasons[0].numbers) == {"job": array, "tasks": 2, "first": array + 1, "last": array + 2}
    assert states_of(stage, array) == "qq"


def test_its_jobs_are_listed_by_its_number(stage: Stage, group: int, administrator: Caller) -> None:
    (array,) = stage.submit(group, array="0-1")
    stage.submit(group)
    views = list_jobs(stage.runtime, administrator, JobQuery(array=array))
    assert not isinstance(views, Refusal)
    assert [view.row.id for view in views] == [array + 2, array + 1]


def test_what_waits_for_an_array_waits_for_all_of_it(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (array,) = stage.submit(group, array="0-2")
    (following,) = stage.submit(group, array="0-1%1", after_ok=[array])
    assert stage.turn() == 3
    ends(stage, agent, array + 2)
    why = why_job(stage.runtime, administrator, following + 2)
    assert isinstance(why, JobWhy) and why.job.reason is not None
    assert (why.job.reason.code, why.job.reason.numbers) == (
        ReasonCode.WAITING_FOR_SUCCESS, {"job": array + 1, "state": "leased", "jobs": 2},
    )  # fmt: skip
    ends(stage, agent, array + 1)
    assert stage.turn() == 0
    ends(stage, agent, array + 3)
    assert stage.turn() == 1
    assert states_of(stage, following) == "lq"


def test_one_failure_cancels_all_of_an_array_that_waits(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    (first,) = stage.submit(group)
    (array,) = stage.submit(group, array="0-1", after_ok=[first])
    assert stage.turn() == 1
    ends(stage, agent, first, exit_code=1)
    stage.turn()
    assert states_of(stage, array) == "cc"


def test_a_cancelled_array_waits_for_nobody(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (first,) = stage.submit(group)
    (array,) = stage.submit(group, array="0-1", after_ok=[first])
    stage.turn()
    act(stage, administrator, array, JobAction.CANCEL)
    with stage.runtime.database.read() as connection:
        assert dependencies.every(connection) == {}


def test_an_array_that_was_cancelled_job_by_job_before_anybody_looked_leaves_nothing_behind(
    stage: Stage, agent: ScriptedAgent, group: int, administrator: Caller
) -> None:
    (first,) = stage.submit(group)
    stage.turn()
    (array,) = stage.submit(group, array="0-1", after_ok=[first])
    for job in (array + 1, array + 2):
        stage.runtime.database.run(
            lambda each, job=job: act_on_job(each, stage.runtime, administrator, job, JobAction.CANCEL)
        )
    stage.turn()
    ends(stage, agent, first)
    stage.turn()
    assert states_of(stage, array) == "cc"
    with stage.runtime.database.read() as connection:
        assert dependencies.every(connection) == {}
