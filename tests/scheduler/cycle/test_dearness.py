"""Which runs go first: inside a group those of lower priority, so that no stop leads to another one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from federations import node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st
from peer_scene import Scene
from pressed import GPU_CLASS, MINIMUM_RUN_MS, NOW_MS, Applied, Pressed, federation_of

from quota.tree import Quota
from scheduler.cycle.dearness import dearest_last
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.plan import StopCause
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId

LEVELS = st.integers(-4, 0)


@st.composite
def some_runs(draw: st.DrawFn) -> list[LiveRun]:
    """Of three groups, in any order."""
    runs = []
    for number in range(draw(st.integers(0, 12))):
        run = run_of(
            number, JobId(number), GroupId(draw(st.integers(4, 6))), plain_shape(draw(st.integers(1, 3))), SiteId(1),
            GPU_CLASS, ((NodeId(1), draw(st.integers(1, 2))),),
        )  # fmt: skip
        started_ms, grace_ms = draw(st.integers(0, 5)), draw(st.sampled_from((0, 3)))
        checkpoints, priority = draw(st.booleans()), draw(LEVELS)
        runs.append(replace(run, started_ms=started_ms, grace_ms=grace_ms, checkpoints=checkpoints, priority=priority))
    return draw(st.permutations(runs))


@given(some_runs())
def test_a_run_costs_no_less_a_gpu_than_any_of_lower_priority_in_its_group(runs: list[LiveRun]) -> None:
    def lost(run: LiveRun) -> int:
        return run.grace_ms if run.checkpoints else 5 - run.started_ms

    def cost(run: LiveRun) -> int:
        below = [each for each in runs if each.group == run.group and each.priority < run.priority]
        return max(lost(each) for each in [run, *below])

    expected = sorted(runs, key=lambda run: (cost(run), run.priority, lost(run), run.id))
    columns = np.array([(lost(run), run.gpus, run.id, run.group, run.priority) for run in runs], np.int64).reshape(
        -1, 5
    )
    turns, costs = dearest_last(*columns.T)
    assert [runs[at].id for at in turns] == [run.id for run in expected]
    assert costs.tolist() == [cost(run) * run.gpus for run in expected]


def test_one_run_goes_for_one_job_and_none_for_the_job_of_that_run() -> None:
    """Jobs by predicted work that is left, the shortest first: each that was stopped ended the next longer one."""
    scene = Scene([4], {"a": Quota()})
    for level in (6, 8, 10, 11):
        scene.run(f"level-{level}", "a", priority=-level)
    scene.wait("level-0", "a")
    scene.settle()
    assert scene.evicted == Counter({"level-11": 1})


def test_a_run_that_others_reclaim_is_not_one_whose_job_would_end_another_of_its_group() -> None:
    scene = Scene([2], {"a": Quota(), "b": Quota()})
    scene.run("urgent", "a", priority=100)
    scene.run("modest", "a")
    scene.wait("due", "b")
    scene.settle()
    assert scene.evicted == Counter({"modest": 1})


@given(st.lists(LEVELS, min_size=1, max_size=8), st.lists(LEVELS, min_size=1, max_size=4), st.data())
def test_once_those_that_were_stopped_are_gone_no_round_stops_for_their_jobs(
    running: list[int], waiting: list[int], data: st.DataObject
) -> None:
    """One group, jobs of one GPU: every stop ends a run for good, so that there are no more than jobs that came."""
    single = plain_shape(1)
    runs = tuple(
        replace(
            run_of(at, JobId(at), GroupId(4), single, SiteId(1), GPU_CLASS, ((NodeId(1), 1),)),
            priority=level,
            started_ms=NOW_MS - MINIMUM_RUN_MS - data.draw(st.integers(0, 5)),
        )
        for at, level in enumerate(running, 1)
    )
    jobs = tuple(
        WaitingJob(id=JobId(at), group=GroupId(4), shape=ShapeId(1), priority=level, submitted_ms=at)
        for at, level in enumerate(waiting, 101)
    )
    drawn = Pressed({}, (node_of(1, gpus=len(running)),), {ShapeId(1): single}, runs, jobs)
    applied = Applied(drawn, federation_of(drawn))
    snapshot = applied.federation.snapshot()
    plan = decide(snapshot, 0)
    applied.apply(snapshot, plan)
    applied.end_leaving()
    assert {stop.cause for stop in plan.stops} <= {StopCause.PREEMPTED}
    assert decide(applied.federation.snapshot(), 0).stops == ()
    after = sorted([*running, *waiting])[len(waiting) :]
    ended = {stop.run for stop in plan.stops}
    stays = [level for at, level in enumerate(running, 1) if at not in ended]
    held = [waiting[earmark.job - 101] for earmark in plan.earmarks]
    assert sorted(stays + held) == after
