"""Why jobs wait, as people read it: from what the record says now, not from what a round once wrote down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runtime import Stage, administrator_of, node, runs_now

from scheduler.cycle.facts import DEFAULT_PREEMPTION
from scheduler.model.reason import ReasonCode
from scheduler.service.follow import Follower
from scheduler.service.jobs import JobWhy, why_job
from scheduler.service.world import World


def why(stage: Stage, job_id: int) -> JobWhy:
    """What an administrator reads of a job."""
    answer = why_job(stage.runtime, administrator_of(stage.runtime), job_id)
    assert isinstance(answer, JobWhy)
    return answer


def code(stage: Stage, job_id: int) -> ReasonCode | None:
    """The reason in front."""
    reason = why(stage, job_id).job.reason
    return None if reason is None else reason.code


def test_a_job_is_told_what_it_lacks_and_told_anew_when_that_changes(stage: Stage) -> None:
    agent = stage.agent(gpus=2)
    group = stage.group()
    first, second = stage.submit(group, 2, gpus_per_worker=2)
    assert code(stage, second) is ReasonCode.NOT_YET_EVALUATED
    stage.turn()
    agent.sync(runs_now(stage.run(first), 1))
    stage.clock.advance(60)
    told = why(stage, second)
    assert told.job.reason is not None and told.job.reason.code is ReasonCode.WAITING_FOR_CAPACITY
    assert told.job.reason.numbers["free"] == 0
    assert [site.site for site in told.sites] == ["site-1"]
    assert told.counterfactual is not None and told.counterfactual["nodes"] == 1
    stage.agent("site-2", gpus=2)
    stage.clock.advance(61)
    assert code(stage, second) is ReasonCode.WAITING_FOR_SITE, "both sites are silent by now"


def test_a_job_that_lacks_nothing_is_told_that_the_next_round_looks_at_it(stage: Stage) -> None:
    stage.agent()
    (job,) = stage.submit(stage.group())
    told = why(stage, job)
    assert (code(stage, job), told.counterfactual, told.ahead) == (ReasonCode.NOT_YET_EVALUATED, None, 0)
    assert told == replace(told, evaluated_ms=stage.clock.now_ms())


def test_a_gang_is_told_with_how_many_workers_and_on_which_other_class_it_would_start(stage: Stage) -> None:
    stage.agent(nodes=3).report_nodes(
        *(node(f"h-{at}") for at in range(3)), *(node(f"x-{at}", gpu_class="h200") for at in range(4))
    )
    (job,) = stage.submit(stage.group(), workers=4, gpus_per_worker=8, gpu_classes=["h100"])
    told = [
        (each["kind"], each["gpu_class"], each["gpus"], each["gpus_asked"]) for each in why(stage, job).alternatives
    ]
    assert told == [("fewer_workers", "h100", 24, 32), ("other_gpu_class", "h200", 32, 32)]


def test_who_is_ahead_is_counted_among_those_that_could_run_on_the_same(stage: Stage) -> None:
    stage.agent().report_nodes(node("h-1"), node("x-1", gpu_class="h200"))
    group = stage.group()
    stage.submit(group, 2, workers=2, gpus_per_worker=8, gpu_classes=["h200"])
    stage.submit(group, 1, workers=2, gpus_per_worker=8)
    (job,) = stage.submit(group, workers=2, gpus_per_worker=8, gpu_classes=["h100"])
    assert why(stage, job).ahead == 1


def test_capacity_and_policy_are_told_without_a_look_at_what_waits(stage: Stage) -> None:
    stage.agent()
    group = stage.group()
    world = stage.runtime.world
    before, version = world.rules()
    stage.submit(group, 3)
    assert world.rules() == (before, version), "jobs change neither"
    assert sum(len(each.turns) for each in world.snapshot().waiting) == 3
    stage.agent("site-2", gpus=2)
    after, newer = world.rules()
    assert newer > version
    assert len(after.nodes) == len(before.nodes) + 1


def test_what_this_process_changes_is_not_hidden_by_a_reading_that_began_before(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(
        stage.runtime.database,
        stage.clock,
        stage.runtime.policy,
        staleness_seconds_max=60,
        preemption=DEFAULT_PREEMPTION,
    )
    world.rules()
    world.snapshot()
    assert world.rules_remembered() is not None
    world.forget()
    assert world.rules_remembered() is None
    catch_up_rules = Follower.catch_up_rules

    def and_then_something_changes(follower: Follower) -> None:
        catch_up_rules(follower)
        world.forget()

    monkeypatch.setattr(Follower, "catch_up_rules", and_then_something_changes)
    world.rules()
    assert world.rules_remembered() is None, "it was told to forget while it read"
