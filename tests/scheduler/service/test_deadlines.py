"""What cannot be over by its deadline is refused, or cancelled while it waits; what runs goes on."""

from __future__ import annotations

import pytest
from runtime import ScriptedAgent, Stage, ended, node, runs_now

from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode
from scheduler.model.reason_text import sentence
from scheduler.service.caller import Caller
from scheduler.service.deadlines import LATE_A_TRANSACTION, deadline_of, late, why_too_late
from scheduler.service.follow import Follower
from scheduler.service.jobs import JobAction, act_on_job, why_job
from scheduler.service.runtime import Runtime
from scheduler.service.time_text import time_text

HOUR = 3600


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """On SQLite and on PostgreSQL."""
    return on_both


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site of one node with eight GPUs."""
    return stage.agent(lease_seconds=3000)


@pytest.fixture
def group(stage: Stage) -> int:
    """A group."""
    return stage.group()


def spec_of(**values: object) -> JobSpec:
    """A job file of one GPU."""
    return JobSpec.model_validate({"name": "job", "group": "research", "command": ["true"], **values})


def fill(stage: Stage, group: int, agent: ScriptedAgent) -> int:
    """A job of all GPUs that runs on and on; its number."""
    (job,) = stage.submit(group, gpus_per_worker=8)
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    return job


def pass_time(stage: Stage, agent: ScriptedAgent, seconds: float) -> None:
    """Time goes by, and the site is heard."""
    stage.clock.advance(seconds)
    agent.sync()


def test_a_deadline_that_lies_within_the_walltime_is_refused_with_the_numbers(stage: Stage) -> None:
    now_ms = stage.clock.now_ms()
    assert why_too_late(spec_of(), now_ms) is None
    assert why_too_late(spec_of(walltime="2h", deadline="2h"), now_ms) is None
    assert why_too_late(spec_of(deadline="1s"), now_ms) is None
    refusal = why_too_late(spec_of(walltime="2h", deadline="1h"), now_ms)
    assert refusal is not None
    numbers = refusal.reasons[0].numbers
    assert (refusal.code, numbers["walltime_seconds"]) == (ReasonCode.DEADLINE_TOO_SOON, 7200)
    assert (numbers["deadline"], numbers["start_by"]) == (time_text(now_ms + 3_600_000), time_text(now_ms - 3_600_000))
    past = why_too_late(spec_of(deadline="2001-01-01T00:00"), now_ms)
    assert past is not None


def test_a_job_that_waits_past_its_last_moment_is_cancelled_and_not_before(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    fill(stage, group, agent)
    (job,) = stage.submit(group, walltime="1h", deadline="3h")
    pass_time(stage, agent, 2 * HOUR)
    stage.turn()
    assert stage.job(job).state == "queued"
    pass_time(stage, agent, 0.001)
    stage.turn()
    row = stage.job(job)
    assert row.reason is not None
    assert (row.state, row.reason["code"], row.ended_ms) == ("cancelled", "DeadlineMissed", stage.clock.now_ms())
    assert row.reason["numbers"]["deadline"] == time_text(row.submitted_ms + 3 * HOUR * 1000)
    assert "walltime 3600 s" in sentence(ReasonCode.DEADLINE_MISSED, row.reason["numbers"], "en")


def test_one_without_a_walltime_may_start_until_the_deadline(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    running = fill(stage, group, agent)
    early, too_late = stage.submit(group, deadline="1h")[0], stage.submit(group, deadline="30m")[0]
    pass_time(stage, agent, HOUR)
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(running), now_ms - 1, now_ms))
    assert stage.turn() == 1
    assert (stage.job(early).state, stage.job(too_late).state) == ("leased", "cancelled")


def test_a_run_outlives_its_deadline_but_its_job_is_not_placed_again(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    (job,) = stage.submit(group, deadline="1h", retries=5)
    assert stage.turn() == 1
    started_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(job), started_ms))
    pass_time(stage, agent, 5 * HOUR)
    stage.turn()
    assert stage.job(job).state == "running"
    agent.sync(ended(stage.run(job), started_ms, stage.clock.now_ms(), cause=EndCause.NODE_LOST))
    assert stage.job(job).state == "queued"
    assert stage.turn() == 0
    assert stage.job(job).state == "cancelled"


def test_held_jobs_arrays_and_those_that_wait_for_others_miss_it_as_well(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, group: int
) -> None:
    running = fill(stage, group, agent)
    (held,) = stage.submit(group, deadline="1h")
    stage.runtime.database.run(lambda each: act_on_job(each, stage.runtime, administrator, held, JobAction.HOLD))
    (waits,) = stage.submit(group, deadline="1h", after_ok=[running])
    (array,) = stage.submit(group, deadline="1h", array="0-1", after_ok=[running])
    (follows,) = stage.submit(group, after_ok=[waits])
    (stays,) = stage.submit(group, after_ok=[running])
    stage.turn()
    pass_time(stage, agent, HOUR + 1)
    # Whoever leads from now on has never seen them.
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    stage.turn()
    assert [stage.job(each).state for each in (held, waits, array + 1, array + 2)] == ["cancelled"] * 4
    assert (stage.job(follows).state, stage.job(stays).state) == ("cancelled", "queued")
    follower_reason = stage.job(follows).reason
    assert follower_reason is not None
    assert follower_reason["code"] == "DependencyFailed"


def test_more_than_one_transaction_s_jobs_miss_it_in_one_turn(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    fill(stage, group, agent)
    made = stage.submit(group, LATE_A_TRANSACTION + 1, deadline="1h")
    pass_time(stage, agent, HOUR + 1)
    stage.turn()
    assert {stage.job(each).state for each in (made[0], made[-1])} == {"cancelled"}
    with stage.runtime.database.read() as connection:
        assert late(connection, stage.clock.now_ms()) == []


def test_an_estimate_behind_the_deadline_is_a_warning(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, group: int
) -> None:
    (first,) = stage.submit(group, gpus_per_worker=8, walltime="2h")
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(first), stage.clock.now_ms()))
    (late_one,) = stage.submit(group, walltime="1h", deadline="150m")
    (in_time,) = stage.submit(group, walltime="1h", deadline="190m")
    etas = []
    for job in (late_one, in_time):
        why = why_job(stage.runtime, administrator, job)
        etas.append(why.job.eta)  # type: ignore[union-attr]
    assert etas[0].start_ms == etas[1].start_ms == stage.clock.now_ms() + 2 * HOUR * 1000
    assert etas[0].late.code is ReasonCode.LATE_FOR_DEADLINE
    assert etas[1].late is None


def test_a_deadline_changes_no_order(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    running = fill(stage, group, agent)
    (first,) = stage.submit(group, gpus_per_worker=8)
    (urgent,) = stage.submit(group, gpus_per_worker=8, deadline="1h")
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(running), now_ms, now_ms))
    assert stage.turn() == 1
    assert (stage.job(first).state, stage.job(urgent).state) == ("leased", "queued")
    assert deadline_of(stage.job(urgent)) == now_ms + HOUR * 1000


def test_nodes_that_are_held_for_a_late_job_are_let_go(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    fill(stage, group, agent)
    (job,) = stage.submit(group, deadline="1h")
    held = {"site": agent.site_id, "gpu_class": "h100", "gang": [], "until_ms": 1, "runs": []}
    stage.change_job(job, earmark=held)
    pass_time(stage, agent, HOUR + 1)
    agent.report_nodes(node("site-1-0"), version=2)
    stage.turn()
    assert (stage.job(job).state, stage.job(job).earmark) == ("cancelled", None)
