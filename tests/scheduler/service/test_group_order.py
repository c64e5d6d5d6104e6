"""A group's order of its jobs: set, inherited, followed; the next starts go by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from example_count import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime import Stage, administrator_of, ended, make_runtime, runs_now

from scheduler.clock import ManualClock
from scheduler.cycle.facts import Earmarked, LiveRun, WaitingJob
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.group_order import GroupOrder
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.directory import GroupView, read_directory
from scheduler.service.follow import Follower
from scheduler.service.groups import set_order
from scheduler.service.jobs import JobWhy, why_job
from scheduler.store import events, groups
from scheduler.store.groups import NewGroup

HOUR_MS = 3_600_000


def order(stage: Stage, path: str, wanted: GroupOrder | None, etag: str | None = None) -> GroupView | Refusal:
    """Set a group's order as an administrator does who has just read the group."""
    runtime, caller = stage.runtime, administrator_of(stage.runtime)
    with runtime.database.read() as connection:
        read = str(read_directory(connection).by_path[path].row.change)
    answer = runtime.database.run(
        lambda transaction: set_order(
            transaction, runtime, caller, path, wanted, etag=read if etag is None else etag, why="short ones first"
        )
    )
    runtime.directories.forget()
    return answer


def predicted(stage: Stage, group: int, **hours: int) -> dict[str, int]:
    """Jobs of two GPUs with so many hours before them, by name, in the order of their submission."""
    found: dict[str, int] = {}
    for name, each in hours.items():
        (found[name],) = stage.submit(group, gpus_per_worker=2)
        stage.change_job(found[name], predicted_ms=each * HOUR_MS, predicted_from="person")
        stage.clock.advance(1)
    return found


def starts(stage: Stage, jobs: Mapping[str, int], agent: Any) -> str:
    """Names in the order in which rounds start them, one at a time."""
    names, done = {number: name for name, number in jobs.items()}, ""
    while len(done) < len(names):
        agent.sync()
        assert stage.turn() == 1
        (job,) = [each for each in names if names[each] not in done and stage.job(each).state == "leased"]
        done += names[job]
        agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
        agent.sync(ended(stage.run(job), stage.clock.now_ms(), stage.clock.now_ms()))
    return done


def test_the_least_work_goes_first_only_where_the_group_s_order_says_so(stage: Stage) -> None:
    agent, group = stage.agent(gpus=2), stage.group()
    hours = {"a": 9, "b": 1, "c": 5}
    assert starts(stage, predicted(stage, group, **hours), agent) == "abc"
    order(stage, "research", GroupOrder.LEAST_WORK)
    assert starts(stage, predicted(stage, group, **hours), agent) == "bca"


def test_what_waits_is_put_in_the_new_order_at_once_and_back(stage: Stage) -> None:
    agent, group = stage.agent(gpus=2), stage.group()
    jobs = predicted(stage, group, a=9, b=1, c=5)
    stage.follower.catch_up()
    order(stage, "federation", GroupOrder.LEAST_WORK)
    assert ahead(stage, jobs) == {"a": 2, "b": 0, "c": 1}
    order(stage, "federation", None)
    assert ahead(stage, jobs) == {"a": 0, "b": 1, "c": 2}
    order(stage, "research", GroupOrder.LEAST_WORK)
    assert starts(stage, jobs, agent) == "bca"


def ahead(stage: Stage, jobs: Mapping[str, int]) -> dict[str, int | None]:
    """How many stand before each, as its owner reads it."""
    found: dict[str, int | None] = {}
    for name, job in jobs.items():
        why = why_job(stage.runtime, administrator_of(stage.runtime), job)
        assert isinstance(why, JobWhy)
        found[name] = why.ahead
    return found


def test_who_has_had_the_least_gpu_time_goes_first(stage: Stage) -> None:
    agent, group = stage.agent(gpus=2), stage.group()
    order(stage, "research", GroupOrder.LEAST_SERVED)
    jobs = predicted(stage, group, a=1, b=9, c=2)
    stage.change_job(jobs["a"], served_ms=2 * HOUR_MS)
    stage.change_job(jobs["b"], served_ms=HOUR_MS)
    assert starts(stage, jobs, agent) == "cba"


def test_a_job_with_much_to_do_is_not_kept_waiting_by_those_that_come_after_its_handicap(stage: Stage) -> None:
    agent, group = stage.agent(gpus=2), stage.group()
    order(stage, "research", GroupOrder.LEAST_WORK)
    jobs = predicted(stage, group, a=10)
    stage.clock.advance(20 * 3600 - 60)
    jobs |= predicted(stage, group, b=0)
    stage.clock.advance(120)
    jobs |= predicted(stage, group, c=0)
    assert starts(stage, jobs, agent) == "bac"


def test_an_order_is_inherited_until_a_group_has_its_own(stage: Stage) -> None:
    parent = stage.group()
    new = NewGroup(parent_id=parent, name="vision", path="research.vision", kind="institution", sector="research")
    stage.runtime.database.run(lambda transaction: groups.add(transaction, new))

    def orders() -> tuple[str, ...]:
        with stage.runtime.database.read() as connection:
            known = read_directory(connection).by_path
        return tuple(known[path].order.value for path in ("federation", "research", "research.vision"))

    assert orders() == ("fifo", "fifo", "fifo")
    order(stage, "federation", GroupOrder.LEAST_SERVED)
    order(stage, "research.vision", GroupOrder.FIFO)
    assert orders() == ("least_served", "least_served", "fifo")
    order(stage, "research.vision", None)
    assert orders() == ("least_served", "least_served", "least_served")


def test_an_order_is_set_against_what_was_read_and_written_down_with_who_and_why(stage: Stage) -> None:
    group = stage.group()
    refused = order(stage, "research", GroupOrder.LEAST_WORK, etag="1")
    assert isinstance(refused, Refusal) and refused.code is ReasonCode.ETAG_MISMATCH
    order(stage, "research", GroupOrder.LEAST_WORK)
    order(stage, "research", GroupOrder.LEAST_WORK)
    with stage.runtime.database.read() as connection:
        told = [each for each in events.after(connection, 0).events if each.kind == "group.order"]
    assert [(each.group_id, each.actor, each.why, each.data) for each in told] == [
        (group, "administrator", "short ones first", {"before": None, "after": "least_work"})
    ]


#: What may happen between two looks of a follower.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 1), st.integers(0, 9)),
        st.tuples(st.just("order"), st.integers(0, 2), st.sampled_from((None, *GroupOrder))),
        st.tuples(st.just("turn"), st.just(0), st.just(0)),
        st.tuples(st.just("end"), st.just(0), st.integers(0, 9)),
        st.tuples(st.just("stop"), st.just(0), st.integers(0, 9)),
        st.tuples(st.just("look"), st.just(0), st.just(0)),
    ),
    max_size=12,
)
PATHS = ("federation", "one", "two")


@pytest.mark.slow
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS)
def test_a_follower_started_anew_sees_what_one_that_followed_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, Any]]
) -> None:
    clock = ManualClock()
    with make_runtime(tmp_path_factory.mktemp("record"), clock) as runtime:
        stage = Stage(runtime, clock)
        agent = stage.agent(gpus=4)
        members = [stage.group("one"), stage.group("two")]
        jobs: list[int] = []
        for what, which, value in steps:
            clock.advance(1)
            if what == "submit":
                limit = {"array": "0-2%1"} if value % 3 == 0 else {}
                new = stage.submit(members[which], gpus_per_worker=2, checkpoint={"grace": "60s"}, **limit)
                jobs += new if not limit else [new[0] + 1, new[0] + 2, new[0] + 3]
                stage.change_job(jobs[-1], predicted_ms=value * HOUR_MS or None, served_ms=value * 1_000)
            elif what == "order":
                order(stage, PATHS[which], value)
            elif what == "turn":
                stage.turn()
            elif what == "look":
                stage.follower.catch_up()
            else:
                _touch_run(stage, agent, jobs, what, value)
        stage.follower.catch_up()
        anew = Follower(runtime.database, clock, DEFAULT_POLICY, runtime.settings.preemption)
        anew.catch_up()
        assert seen(anew) == seen(stage.follower)


def _touch_run(stage: Stage, agent: Any, jobs: list[int], what: str, value: int) -> None:
    live = [job for job in jobs if stage.runs(job) and stage.run(job).phase != "ended"]
    if not live:
        return
    run, now_ms = stage.run(live[value % len(live)]), stage.clock.now_ms()
    if what == "stop" and run.stop_cause is None:
        stage.change_run(run.id, stop_cause="preempted", stop_grace_ms=60_000, stop_requested_ms=now_ms)
    elif what == "end":
        agent.sync(ended(run, run.leased_ms, now_ms))


def seen(follower: Follower) -> tuple[dict[int, WaitingJob], dict[int, LiveRun], dict[int, Earmarked]]:
    """What rounds would see of jobs and runs."""
    snapshot = follower.federation.snapshot()
    waiting = {int(job.id): job for job in snapshot.table.jobs()}
    runs = {int(run): fact for run, fact in snapshot.runs.items()}
    return waiting, runs, {int(job): held for job, held in snapshot.earmarks.items()}
