"""What ended jobs tell of those to come, in the record: taken in with the end of a run, and followed by servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from clearings import commit, plan_of, stop_of
from runtime import ScriptedAgent, Stage, administrator_of, ended, node
from told_runs import end, start

from scheduler.cycle.plan import StopCause
from scheduler.cycle.prediction import Scope, likes_of, likes_on
from scheduler.model.group_order import GroupOrder
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import EndCause
from scheduler.model.run_time import ClassBasis, RunTimeBasis
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.learned import Learned
from scheduler.service.run_time_view import run_time_of, run_times_by_class
from scheduler.service.runtime import Runtime
from scheduler.service.submit import Admissible, Judge, groups_named, handicap_of, submit
from scheduler.store import class_speeds, run_times
from scheduler.store.idempotency import Answer, IdempotencyKey
from scheduler.store.jobs import JobRow

SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "60s"}


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """Each of them on both databases."""
    return on_both


def run_for(stage: Stage, agent: ScriptedAgent, group: int, seconds: int, **spec: Any) -> int:
    """A job of 8 GPUs from its submission to its success."""
    (job,) = stage.submit(group, gpus_per_worker=8, **spec)
    start(stage, agent, job)
    stage.clock.advance(seconds)
    end(stage, agent, job)
    assert stage.job(job).state == "succeeded"
    return job


def told_of(row: JobRow) -> tuple[int | None, RunTimeBasis]:
    """How long a job is said to run, and by whose like jobs."""
    view = run_time_of(row)
    return view.run_ms, view.basis


def known_ms(stage: Stage, job: int) -> dict[str, tuple[int, ...]]:
    """What the record remembers of the kinds of a job, the oldest first."""
    row = stage.job(job)
    likes = likes_of(row.person_id, row.group_id, row.gpus)
    with stage.runtime.database.read() as connection:
        found = run_times.of(connection, likes)
    return {like.scope.value: found.last_ms(like) for like in likes}


def test_the_last_two_that_succeeded_are_remembered_of_person_group_and_size(
    stage: Stage, agent: ScriptedAgent
) -> None:
    group = stage.group()
    for seconds, expected in ((10, (10_000,)), (20, (10_000, 20_000)), (40, (20_000, 40_000))):
        job = run_for(stage, agent, group, seconds)
        assert known_ms(stage, job) == dict.fromkeys(("person", "group", "size"), expected)


def test_what_failed_or_was_cancelled_teaches_nothing(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=8)
    start(stage, agent, job)
    stage.clock.advance(10)
    end(stage, agent, job, exit_code=1)
    assert stage.job(job).state == "failed"
    assert known_ms(stage, job) == {"person": (), "group": (), "size": ()}


def test_a_job_that_starts_has_the_prediction_of_that_moment_and_its_run_too(
    stage: Stage, agent: ScriptedAgent
) -> None:
    group = stage.group()
    early, late = stage.submit(group, 2, gpus_per_worker=8)
    start(stage, agent, early)
    stage.clock.advance(30)
    assert (stage.job(early).predicted_ms, told_of(stage.job(early))) == (None, (None, RunTimeBasis.UNKNOWN))
    end(stage, agent, early)
    assert stage.job(late).predicted_ms is None, "what waits keeps what it had"
    start(stage, agent, late)
    assert told_of(stage.job(late)) == (30_000, RunTimeBasis.PERSON)
    stage.follower.catch_up()
    run = stage.run(late)
    live = stage.follower.federation.live_runs[run.id]  # type: ignore[index]
    assert run.predicted_ms == live.predicted_ms == 30_000
    assert live.expected_end_ms is None, "no walltime ends it"
    assert live.likely_end_ms(stage.clock.now_ms()) == stage.clock.now_ms() + 30_000


def test_a_run_is_predicted_by_what_like_jobs_took_on_its_own_class(stage: Stage, agent: ScriptedAgent) -> None:
    agent.report_nodes(node("fast"), node("slow", gpu_class="a100"))
    group, slow, fast = stage.group(), {"gpu_classes": ["a100"]}, {"gpu_classes": ["h100"]}
    for seconds, spec in ((20, fast), (60, slow)):
        run_for(stage, agent, group, seconds, **spec)
    for spec, seconds in ((slow, 60), (fast, 20)):
        (job,) = stage.submit(group, gpus_per_worker=8, **spec)
        start(stage, agent, job)
        assert told_of(stage.job(job)) == (seconds * 1000, RunTimeBasis.PERSON)
        assert stage.run(job).predicted_ms == seconds * 1000
    run = stage.run(job)
    commit(stage, plan_of(stop_of(run, None, StopCause.RECLAIMED)))
    stage.clock.advance(5)
    agent.sync(ended(run, run.started_ms, stage.clock.now_ms(), cause=EndCause.RECLAIMED))
    assert (stage.job(job).state, stage.job(job).predicted_ms) == ("queued", 20_000), "as it would go on there"


def test_where_nothing_like_it_ran_a_job_is_predicted_by_the_speeds_of_its_file_or_by_those_of_administrators(
    stage: Stage, agent: ScriptedAgent
) -> None:
    agent.report_nodes(node("fast"), node("slow", gpu_class="a100"))
    group = stage.group()
    run_for(stage, agent, group, 30, gpu_classes=["h100"])
    with stage.runtime.database.write() as transaction:
        for name, speed in (("a100", 0.5), ("h100", 1.0)):
            class_speeds.put(transaction, name, speed)
    for speeds, on_a100 in (
        ({}, (60_000, ClassBasis.GENERAL)),
        ({"h100": 1, "a100": 0.4}, (75_000, ClassBasis.DECLARED)),
    ):
        (job,) = stage.submit(group, gpus_per_worker=8, gpu_classes=["a100", "h100"], speeds=speeds)
        stage.clock.advance(60)
        by_class = run_times_by_class(stage.runtime, stage.job(job))
        assert [each.gpu_class for each in by_class] == ["a100", "h100"]
        assert [(each.run_ms, each.class_basis) for each in by_class] == [on_a100, (30_000, ClassBasis.MEASURED)]
        start(stage, agent, job)
        row, run = stage.job(job), stage.run(job)
        assert (run.gpu_class, run.predicted_ms) == ("a100", on_a100[0])
        assert (row.predicted_ms, row.class_basis) == (on_a100[0], on_a100[1].value)
        assert run_times_by_class(stage.runtime, row) == [], "it runs on one"
        end(stage, agent, job, exit_code=1)


def test_a_job_that_names_no_class_is_told_of_each_that_sites_have_and_one_that_names_one_of_none(
    stage: Stage, agent: ScriptedAgent
) -> None:
    agent.report_nodes(node("fast"), node("slow", gpu_class="a100"))
    group = stage.group()
    (unlike,) = stage.submit(group, gpus_per_worker=4)
    assert run_times_by_class(stage.runtime, stage.job(unlike)) == [], "nothing is known"
    run_for(stage, agent, group, 30, gpu_classes=["h100"])
    anywhere, named = (stage.submit(group, gpus_per_worker=8, gpu_classes=each)[0] for each in ([], ["a100"]))
    by_class = run_times_by_class(stage.runtime, stage.job(anywhere))
    assert [(each.gpu_class, each.run_ms, each.class_basis) for each in by_class] == [
        ("a100", 30_000, ClassBasis.ALL),
        ("h100", 30_000, ClassBasis.MEASURED),
    ]
    assert run_times_by_class(stage.runtime, stage.job(named)) == []


def test_what_ran_on_two_classes_teaches_nothing_of_either(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=8, checkpoint=SAVES)
    stage.change_job(job, served_ms=5_000)
    start(stage, agent, job)
    stage.clock.advance(10)
    end(stage, agent, job)
    row = stage.job(job)
    likes = likes_of(row.person_id, row.group_id, row.gpus)
    with stage.runtime.database.read() as connection:
        known = run_times.of(connection, likes)
    assert [known.last_ms(like) for like in likes] == [(15_000,)] * 3
    assert [known.last_ms(like.on("h100")) for like in likes] == [()] * 3


def test_a_prediction_is_never_above_the_job_s_walltime_and_without_one_that_is_told(
    stage: Stage, agent: ScriptedAgent
) -> None:
    group = stage.group()
    (first,) = stage.submit(group, gpus_per_worker=8, walltime="90s")
    assert told_of(stage.job(first)) == (90_000, RunTimeBasis.WALLTIME)
    stage.change_job(first, state="cancelled", ended_ms=1)
    run_for(stage, agent, group, 60)
    (job,) = stage.submit(group, gpus_per_worker=8, walltime="20s")
    start(stage, agent, job)
    assert told_of(stage.job(job)) == (20_000, RunTimeBasis.PERSON)


@pytest.mark.parametrize(
    ("checkpoint", "exit_code", "kept_ms"), [(SAVES, 1, 130_000), (SAVES, 137, 0), (None, 1, 0)], ids=str
)
def test_a_job_that_made_way_has_had_what_its_run_saved_and_is_predicted_anew(
    stage: Stage, agent: ScriptedAgent, checkpoint: dict[str, str] | None, exit_code: int, kept_ms: int
) -> None:
    group = stage.group()
    spec = {} if checkpoint is None else {"checkpoint": checkpoint}
    (job,) = stage.submit(group, gpus_per_worker=8, **spec)
    start(stage, agent, job)
    stage.clock.advance(100)
    commit(stage, plan_of(stop_of(stage.run(job), None, StopCause.RECLAIMED)))
    stage.clock.advance(30)
    run, now_ms = stage.run(job), stage.clock.now_ms()
    report = ended(run, run.started_ms, now_ms, cause=EndCause.RECLAIMED).model_copy(update={"exit_code": exit_code})
    agent.sync(report)
    assert (stage.job(job).state, stage.job(job).served_ms) == ("queued", kept_ms)
    start(stage, agent, job)
    assert stage.run(job).served_ms == kept_ms
    stage.clock.advance(50)
    end(stage, agent, job)
    assert known_ms(stage, job)["person"] == (kept_ms + 50_000,)


def test_a_requeued_job_is_predicted_from_what_has_ended_meanwhile(stage: Stage, agent: ScriptedAgent) -> None:
    group = stage.group()
    (job,) = stage.submit(group, gpus_per_worker=4)
    start(stage, agent, job)
    (other,) = stage.submit(group, gpus_per_worker=4)
    start(stage, agent, other)
    stage.clock.advance(70)
    end(stage, agent, other)
    administrator = administrator_of(stage.runtime)
    stage.runtime.database.run(
        lambda transaction: act_on_job(transaction, stage.runtime, administrator, job, JobAction.REQUEUE)
    )
    end(stage, agent, job, cause=EndCause.REQUEUED)
    row = stage.job(job)
    assert (row.state, row.predicted_ms, row.predicted_from) == ("queued", 70_000, "person")


def test_a_job_that_starts_over_has_had_nothing(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=8, checkpoint=SAVES)
    stage.change_job(job, bound_site_id=agent.site_id, served_ms=5_000)
    administrator = administrator_of(stage.runtime)
    stage.runtime.database.run(
        lambda each: act_on_job(each, stage.runtime, administrator, job, JobAction.REQUEUE, start_over=True)
    )
    assert (stage.job(job).bound_site_id, stage.job(job).served_ms) == (None, 0)


def test_a_job_is_predicted_when_it_is_submitted(stage: Stage, agent: ScriptedAgent) -> None:
    group = stage.group()
    run_for(stage, agent, group, 42)
    runtime, caller = stage.runtime, administrator_of(stage.runtime)
    spec = JobSpec.model_validate(
        {"name": "job", "group": "research", "command": ["true"], "memory_per_worker": 16, "gpus_per_worker": 8}
    )
    groups = groups_named(runtime.directories.newest(), caller, [spec])
    judged = Judge(*runtime.world.rules()).judge(groups["research"], spec, runtime.clock.now_ms())
    key = IdempotencyKey(caller="1:jobs", key="k", request_hash="0" * 64)

    def answer(ids: Any) -> Answer:
        return Answer(status=201, body=str(ids[0]))

    assert isinstance(judged, Admissible)
    least_work = replace(judged, group=replace(judged.group, order=GroupOrder.LEAST_WORK))
    assert [handicap_of(runtime, caller, each) for each in (judged, least_work)] == [0, 8 * 42_000]
    told = asyncio.run(submit(runtime, caller, key, [judged], answer))
    assert isinstance(told, Answer)
    # The administrator has run nothing yet; the group has.
    assert told_of(stage.job(int(told.body))) == (42_000, RunTimeBasis.GROUP)


def test_a_server_started_anew_knows_what_one_that_followed_does(stage: Stage, agent: ScriptedAgent) -> None:
    groups = [stage.group("one"), stage.group("two")]
    followed, likes = Learned(stage.runtime.database), set()
    for number, seconds in enumerate((10, 20, 35, 80, 5, 60)):
        job = stage.job(run_for(stage, agent, groups[number % 2], seconds))
        likes |= set(likes_on(likes_of(job.person_id, job.group_id, job.gpus), "h100"))
        followed.catch_up()
    anew = Learned(stage.runtime.database)
    anew.catch_up()
    assert {like: anew.run_times.last_ms(like) for like in likes} == {
        like: followed.run_times.last_ms(like) for like in likes
    }
    assert followed.run_times.of(likes_of(99, groups[0], 8)) == (20_000, Scope.GROUP, ClassBasis.ALL)
