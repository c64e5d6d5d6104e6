"""A job whose runs have more or fewer workers, in the record, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from clearings import commit
from runtime import ScriptedAgent, Stage, administrator_of, ended, runs_now

from scheduler.api.documents import job_document, run_document
from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Plan
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.directory import read_directory
from scheduler.service.follow import Follower
from scheduler.service.job_view import RunView, views_of
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.runtime import Runtime
from scheduler.store import nodes

SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "90s"}
#: From one to three whole nodes.
ELASTIC: dict[str, Any] = {"workers": {"min": 1, "max": 3}, "gpus_per_worker": 8, "checkpoint": SAVES}


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """On each database."""
    return on_both


def workers_of(stage: Stage, job: int) -> int:
    """Of a job's newest run."""
    return sum(part[3] for part in stage.run(job).gang)


def running(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    """A job's run has been running for longer than the minimum run time."""
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    stage.clock.advance(700)
    agent.sync(runs_now(stage.run(job), stage.run(job).started_ms or 0))


def has_left(stage: Stage, agent: ScriptedAgent, job: int, cause: EndCause = EndCause.MOVED) -> None:
    """The agent says that a job's run has ended as it was told."""
    run = stage.run(job)
    agent.sync(ended(run, run.started_ms or 0, stage.clock.now_ms(), cause=cause))


def widened(stage: Stage) -> tuple[ScriptedAgent, int, int]:
    """A site of three nodes, a group, and its job on all of them."""
    agent, group = stage.agent(nodes=3), stage.group()
    (job,) = stage.submit(group, **ELASTIC)
    assert stage.turn() == 1
    running(stage, agent, job)
    return agent, group, job


def test_a_run_has_as_many_workers_as_there_is_room_for_and_its_agent_is_told_so(stage: Stage) -> None:
    agent, group = stage.agent(nodes=2), stage.group()
    (job,) = stage.submit(group, **ELASTIC)
    stage.turn()
    (order,) = agent.sync().start
    assert (order.workers, sorted(rank for member in order.gang for rank in member.ranks)) == (2, [0, 1])
    assert (stage.run(job).gpus, stage.job(job).gpus) == (16, 8)


def test_a_run_that_shrinks_for_another_job_goes_on_with_fewer_workers(stage: Stage) -> None:
    agent, group, job = widened(stage)
    (other,) = stage.submit(group, gpus_per_worker=8)
    stage.turn()
    assert (stage.run(job).stop_cause, stage.run(job).stop_preemptor) == ("shrunk", other)
    (stop,) = agent.sync(runs_now(stage.run(job), stage.run(job).started_ms or 0)).stop
    assert (stop.cause, stop.grace_seconds, stop.checkpoint) == (EndCause.MOVED, 90, True)
    assert stage.turn() == 0, "its run has not left yet"
    has_left(stage, agent, job)
    assert stage.turn() == 2
    assert (workers_of(stage, job), workers_of(stage, other), stage.job(job).earmark) == (2, 1, None)
    assert [(run.cause, run.epoch, run.gpus) for run in stage.runs(job)] == [("shrunk", 1, 24), (None, 2, 16)]


def test_a_run_grows_when_there_is_room_again(stage: Stage) -> None:
    agent, group = stage.agent(nodes=3), stage.group()
    (job, other) = (*stage.submit(group, **ELASTIC), *stage.submit(group, workers=2, gpus_per_worker=8))
    assert stage.turn() == 2
    running(stage, agent, job)
    has_left(stage, agent, other, EndCause.EXITED)
    stage.turn()
    assert (stage.run(job).stop_cause, stage.job(job).state) == ("grown", "preempting")
    has_left(stage, agent, job)
    assert stage.turn() == 1
    assert (workers_of(stage, job), [run.cause for run in stage.runs(job)]) == (3, ["grown", None])


def test_a_scheduler_that_starts_anew_knows_with_how_many_workers_a_job_goes_on(stage: Stage) -> None:
    agent, group, job = widened(stage)
    (other,) = stage.submit(group, gpus_per_worker=8)
    stage.turn()
    stage.follower = Follower(stage.runtime.database, stage.clock, DEFAULT_POLICY, stage.runtime.settings.preemption)
    stage.follower.catch_up()
    earmarks = stage.follower.federation.snapshot().earmarks
    assert {number: earmark.workers for number, earmark in earmarks.items()} == {job: 2, other: 1}
    has_left(stage, agent, job)
    assert stage.turn() == 2


@pytest.mark.parametrize("action", [JobAction.CANCEL, JobAction.REQUEUE])
def test_what_its_owner_wants_of_a_job_that_shrinks_comes_first(stage: Stage, action: JobAction) -> None:
    _, group, job = widened(stage)
    (other,) = stage.submit(group, gpus_per_worker=8)
    stage.turn()
    caller = administrator_of(stage.runtime)
    acted = stage.runtime.database.run(lambda transaction: act_on_job(transaction, stage.runtime, caller, job, action))
    assert not isinstance(acted, Refusal)
    assert stage.job(job).earmark is None
    stage.turn()
    assert set(stage.follower.federation.snapshot().earmarks) == {other}


def grows_next(stage: Stage) -> tuple[int, Plan]:
    """A job that the next round has grow, and what that round decides, not yet in the record."""
    agent, group = stage.agent(nodes=2), stage.group()
    (job, other) = (*stage.submit(group, **ELASTIC), *stage.submit(group, gpus_per_worker=8))
    stage.turn()
    running(stage, agent, job)
    has_left(stage, agent, other, EndCause.EXITED)
    stage.follower.catch_up()
    return job, decide(stage.follower.federation.snapshot(), 0)


def test_a_run_does_not_grow_onto_a_node_that_is_set_aside_meanwhile(stage: Stage) -> None:
    _, plan = grows_next(stage)
    ((size,), (stop,)) = plan.sizes, plan.stops
    assert stop.job == size.job
    with stage.runtime.database.write(stage.fence) as transaction:
        nodes.set_aside(transaction, size.gang[-1][0], "operator", {"code": ReasonCode.NODE_SET_ASIDE.value})
    assert commit(stage, plan).count == 0


def test_a_job_that_is_cancelled_before_the_plan_came_does_not_grow(stage: Stage) -> None:
    job, plan = grows_next(stage)
    caller = administrator_of(stage.runtime)
    stage.runtime.database.run(
        lambda transaction: act_on_job(transaction, stage.runtime, caller, job, JobAction.CANCEL)
    )
    assert commit(stage, plan).count == 0
    assert stage.job(job).earmark is None


def test_who_asks_hears_how_many_workers_there_are_and_why_that_changes(stage: Stage) -> None:
    _, group, job = widened(stage)
    stage.submit(group, gpus_per_worker=8)

    def view() -> Any:
        with stage.runtime.database.read() as connection:
            directory = read_directory(connection)
            (found,) = views_of(connection, directory, [stage.job(job)], stage.clock.now_ms(), lambda _: None)
        return found

    before = job_document(view())
    assert (before.gpus, before.workers, before.workers_max) == (24, 3, 3)
    assert run_document(RunView(row=stage.run(job), site="site-1")).workers == 3
    stage.turn()
    assert view().reason.code is ReasonCode.STOPPED_TO_SHRINK
