"""A job whose run is moved so that a gang finds room, in the record, on both databases."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from clearings import commit
from runtime import ScriptedAgent, Stage, administrator_of, ended, runs_now

from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Plan
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.directory import read_directory
from scheduler.service.follow import Follower
from scheduler.service.job_view import views_of
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.runtime import Runtime
from scheduler.store import nodes

SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "90s"}


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """On each database."""
    return on_both


@dataclass
class Scene:
    """Two nodes of eight GPUs with a run of four on each, one of which is to be moved, and a job that wants a whole node."""

    agent: ScriptedAgent
    small: tuple[int, int]
    large: int


def scattered(stage: Stage) -> Scene:
    """Before the round that moves one of them."""
    agent, group = stage.agent(nodes=2), stage.group()
    jobs = stage.submit(group, 3, gpus_per_worker=4, checkpoint=SAVES)
    assert stage.turn() == 3
    agent.sync(*(runs_now(stage.run(job), stage.clock.now_ms()) for job in jobs))
    apart = next(
        job for job in jobs if sum(stage.run(job).gang[0][0] == stage.run(each).gang[0][0] for each in jobs) == 1
    )
    first, second = (job for job in jobs if job != apart)
    stage.clock.advance(700)
    agent.sync(
        ended(stage.run(second), stage.run(second).started_ms or 0, stage.clock.now_ms(), cause=EndCause.EXITED),
        *(runs_now(stage.run(job), stage.run(job).started_ms or 0) for job in (first, apart)),
    )
    (large,) = stage.submit(group, gpus_per_worker=8)
    return Scene(agent, (first, apart), large)


def moved_of(stage: Stage, scene: Scene) -> tuple[int, int]:
    """The job that is moved, and the one that stays."""
    stage.turn()
    (moved,) = (job for job in scene.small if stage.run(job).stop_cause == "moved")
    (stays,) = (job for job in scene.small if job != moved)
    return moved, stays


def decided(stage: Stage) -> Plan:
    """What the round decides that comes next, not yet in the record."""
    stage.follower.catch_up()
    return decide(stage.follower.federation.snapshot(), 0)


def leave(stage: Stage, scene: Scene, job: int, cause: EndCause, **values: int) -> None:
    """The agent says that a job's run has ended."""
    run = stage.run(job)
    scene.agent.sync(ended(run, run.started_ms or 0, stage.clock.now_ms(), cause=cause, **values))


def test_a_job_that_is_moved_goes_on_beside_another_and_the_gang_gets_its_node(stage: Stage) -> None:
    scene = scattered(stage)
    moved, stays = moved_of(stage, scene)
    before = stage.run(moved)
    assert (stage.job(moved).state, stage.job(scene.large).state) == ("preempting", "queued")
    assert (stage.job(moved).earmark or {})["gang"][0][0] == stage.run(stays).gang[0][0]
    assert (stage.job(scene.large).earmark or {})["gang"][0][0] == before.gang[0][0]
    assert stage.turn() == 0, "its run has not left yet"
    leave(stage, scene, moved, EndCause.MOVED)
    assert stage.turn() == 2
    run = stage.run(moved)
    assert (run.epoch, run.gang[0][0], stage.job(moved).earmark) == (2, stage.run(stays).gang[0][0], None)
    assert stage.run(scene.large).gang[0][0] == before.gang[0][0]


def test_a_scheduler_that_starts_anew_knows_where_a_job_goes_on(stage: Stage) -> None:
    scene = scattered(stage)
    moved, _ = moved_of(stage, scene)
    stage.follower = Follower(stage.runtime.database, stage.clock, DEFAULT_POLICY, stage.runtime.settings.preemption)
    stage.follower.catch_up()
    earmarks = stage.follower.federation.snapshot().earmarks
    assert set(earmarks) == {moved, scene.large}
    assert stage.turn() == 0
    leave(stage, scene, moved, EndCause.MOVED)
    assert stage.turn() == 2


@pytest.mark.parametrize("exit_code", [0, 3])
def test_what_is_held_for_a_job_that_ends_instead_is_free_again(stage: Stage, exit_code: int) -> None:
    scene = scattered(stage)
    moved, stays = moved_of(stage, scene)
    leave(stage, scene, moved, EndCause.EXITED, exit_code=exit_code)
    assert stage.job(moved).earmark is None
    (small,) = stage.submit(stage.job(stays).group_id, gpus_per_worker=4)
    assert stage.turn() == 2
    assert stage.run(small).gang[0][0] == stage.run(stays).gang[0][0]


@pytest.mark.parametrize("action", [JobAction.CANCEL, JobAction.REQUEUE])
def test_what_its_owner_wants_of_a_job_that_is_moved_comes_first(stage: Stage, action: JobAction) -> None:
    scene = scattered(stage)
    moved, _ = moved_of(stage, scene)
    caller = administrator_of(stage.runtime)
    acted = stage.runtime.database.run(
        lambda transaction: act_on_job(transaction, stage.runtime, caller, moved, action)
    )
    assert not isinstance(acted, Refusal)
    assert stage.job(moved).earmark is None
    stage.turn()
    assert set(stage.follower.federation.snapshot().earmarks) == {scene.large}


def test_a_job_whose_run_was_told_to_go_before_the_plan_came_is_not_moved(stage: Stage) -> None:
    scene = scattered(stage)
    plan = decided(stage)
    (move,) = plan.moves
    caller = administrator_of(stage.runtime)
    stage.runtime.database.run(
        lambda transaction: act_on_job(transaction, stage.runtime, caller, move.job, JobAction.CANCEL)
    )
    cleared = commit(stage, plan)
    assert (dict(cleared.stops), cleared.earmarks) == ({}, 1)
    assert (stage.job(move.job).earmark, stage.job(scene.large).earmark is None) == (None, False)


def test_nobody_is_moved_when_a_node_of_the_move_is_set_aside_meanwhile(stage: Stage) -> None:
    scattered(stage)
    plan = decided(stage)
    (move,) = plan.moves
    with stage.runtime.database.write(stage.fence) as transaction:
        nodes.set_aside(transaction, move.gang[0][0], "operator", {"code": ReasonCode.NODE_SET_ASIDE.value})
    assert commit(stage, plan).count == 0


def test_who_asks_hears_that_a_job_is_moved(stage: Stage) -> None:
    scene = scattered(stage)
    moved, _ = moved_of(stage, scene)
    with stage.runtime.database.read() as connection:
        directory = read_directory(connection)
        (view,) = views_of(connection, directory, [stage.job(moved)], stage.clock.now_ms(), lambda _: None)
    assert view.reason is not None
    assert (view.reason.code, view.reason.numbers["cause"]) == (ReasonCode.STOPPED_FOR_GANG, "moved")
