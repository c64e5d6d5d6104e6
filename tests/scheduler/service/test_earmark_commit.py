"""What becomes of a plan's stops and earmarks in the record, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from clearings import commit, earmark_on, make_way, plan_of, stop_of
from runtime import ScriptedAgent, Stage, administrator_of, ended, ids_of, runs_now
from used_gpus import own_gpus

from scheduler.cycle.plan import Start, StopCause
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.job_state import EndCause
from scheduler.model.reason import Refusal
from scheduler.service.earmark_commit import clearings_of
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.round_commit import commit_starts
from scheduler.service.runtime import Runtime
from scheduler.store import quotas

SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "90s"}


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """On each database."""
    return on_both


def full_and_waiting(stage: Stage, agent: ScriptedAgent, **spec: Any) -> tuple[int, int]:
    """A job that runs on the whole node, and one that waits for it."""
    group = stage.group()
    (victim,) = stage.submit(group, gpus_per_worker=8, **spec)
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(victim), stage.clock.now_ms()))
    (claimant,) = stage.submit(group, gpus_per_worker=8)
    assert stage.turn() == 0
    return victim, claimant


def act(stage: Stage, job: int, action: JobAction, **values: Any) -> None:
    """What an administrator does with a job."""
    caller = administrator_of(stage.runtime, f"administrator-{action.value}")
    acted = stage.runtime.database.run(
        lambda transaction: act_on_job(transaction, stage.runtime, caller, job, action, **values)
    )
    assert not isinstance(acted, Refusal), acted


def start_on(stage: Stage, job_id: int, run_of: int, **changes: Any) -> Start:
    """A start on the nodes where the run of another job lay."""
    job, run = stage.job(job_id), stage.run(run_of)
    gang = tuple((NodeId(node), name, first, workers) for node, name, first, workers in run.gang)
    values = {"site": SiteId(run.site_id), "gpu_class": run.gpu_class, "gang": gang} | changes
    return Start(JobId(job.id), GroupId(job.group_id), ShapeId(job.shape_id), **values)


def lease(stage: Stage, start: Start, *, redeemed: bool) -> int:
    """Write one start."""
    stage.follower.catch_up()
    with stage.runtime.database.write(stage.fence) as transaction:
        shapes = stage.follower.federation.snapshot().shapes
        return commit_starts(transaction, [start], shapes, redeemed=redeemed)


def test_a_run_keeps_what_its_job_wants_of_a_stop_and_rounds_see_it(stage: Stage, agent: ScriptedAgent) -> None:
    victim, _ = full_and_waiting(stage, agent, checkpoint=SAVES, priority_class="low")
    run = stage.run(victim)
    assert (run.preemptible, run.priority, run.grace_ms, run.checkpoints) == (True, -100, 90_000, True)
    (live,) = stage.follower.federation.live_runs.values()
    assert (live.preemptible, live.priority, live.grace_ms, live.checkpoints) == (True, -100, 90_000, True)
    stage.follower.catch_up()
    (live,) = stage.follower.federation.live_runs.values()
    assert (live.started_ms, live.leaving) == (stage.run(victim).started_ms, False)


def test_a_job_without_a_checkpoint_has_ten_seconds_to_end(stage: Stage, agent: ScriptedAgent) -> None:
    victim, _ = full_and_waiting(stage, agent)
    assert (stage.run(victim).grace_ms, stage.run(victim).checkpoints) == (10_000, False)


def test_a_run_is_told_to_stop_and_its_nodes_are_held_for_whom_it_makes_way(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent, checkpoint=SAVES)
    cleared = make_way(stage, victim, claimant)
    assert (dict(cleared.stops), cleared.earmarks, cleared.count) == ({"reclaimed": 1}, 1, 2)
    run = stage.run(victim)
    assert (run.stop_cause, run.stop_preemptor, run.stop_grace_ms) == ("reclaimed", claimant, 90_000)
    assert (stage.job(victim).state, stage.job(claimant).state) == ("preempting", "queued")
    (stop,) = agent.sync().stop
    assert (stop.run_id, stop.cause, stop.grace_seconds, stop.checkpoint) == (run.id, EndCause.RECLAIMED, 90.0, True)
    assert stage.job(claimant).earmark == {
        "site": run.site_id,
        "gpu_class": "h100",
        "gang": [list(part) for part in run.gang],
        "until_ms": stage.clock.now_ms() + 90_000,
        "runs": [run.id],
    }
    stage.follower.catch_up()
    snapshot = stage.follower.federation.snapshot()
    assert snapshot.runs[run.id].leaving
    (earmark,) = snapshot.earmarks.values()
    assert (earmark.job.id, earmark.site, earmark.gang) == (claimant, run.site_id, ((run.gang[0][0], 1),))


def test_the_job_for_which_nodes_are_held_starts_there_and_nobody_before_it(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    make_way(stage, victim, claimant)
    (urgent,) = stage.submit(stage.job(claimant).group_id, gpus_per_worker=8, priority_class="high")
    assert stage.turn() == 0, "the run has not left yet"
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(victim), now_ms, now_ms, cause=EndCause.RECLAIMED))
    assert stage.turn() == 1
    job, run = stage.job(claimant), stage.run(claimant)
    assert (job.state, job.earmark, run.gang) == ("leased", None, stage.run(victim).gang)
    assert (stage.job(urgent).state, stage.job(victim).state) == ("queued", "queued")


@pytest.mark.parametrize("change", [{"state": "held"}, {"state": "cancelled"}, {"shape_id": 1}, {"bound_site_id": 99}])
def test_nobody_is_stopped_for_a_job_that_can_no_longer_take_the_nodes(
    stage: Stage, agent: ScriptedAgent, change: dict[str, Any]
) -> None:
    stage.submit(stage.group("other"))  # so that there is another shape, the first
    stage.turn()
    second = stage.agent("site-2")
    victim, claimant = full_and_waiting(stage, second)
    plan = plan_of(stop_of(stage.run(victim), claimant), earmark_on(stage.job(claimant), stage.run(victim)))
    stage.change_job(claimant, **change)
    assert commit(stage, plan).count == 0
    assert (stage.run(victim).stop_cause, stage.job(victim).state) == (None, "running")
    assert stage.job(claimant).earmark is None


def test_nobody_is_stopped_for_nodes_that_are_not_held(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    assert commit(stage, plan_of(stop_of(stage.run(victim), claimant))).count == 0
    assert stage.run(victim).stop_cause is None


def test_a_job_has_one_earmark_at_a_time_and_further_runs_may_be_stopped_for_it(
    stage: Stage, agent: ScriptedAgent
) -> None:
    group = stage.group()
    victim, further = stage.submit(group, 2, gpus_per_worker=4)
    stage.turn()
    agent.sync(*(runs_now(stage.run(job), 1) for job in (victim, further)))
    (claimant,) = stage.submit(group, gpus_per_worker=4)
    make_way(stage, victim, claimant)
    before = stage.job(claimant).earmark
    assert make_way(stage, further, claimant).count == 0
    assert stage.job(claimant).earmark == before
    assert commit(stage, plan_of(stop_of(stage.run(further), claimant))).count == 1


@pytest.mark.parametrize("action", [JobAction.CANCEL, JobAction.REQUEUE])
def test_a_run_that_goes_anyway_is_left_alone_and_its_nodes_are_held(
    stage: Stage, agent: ScriptedAgent, action: JobAction
) -> None:
    victim, claimant = full_and_waiting(stage, agent, checkpoint=SAVES)
    plan = plan_of(stop_of(stage.run(victim), claimant), earmark_on(stage.job(claimant), stage.run(victim)))
    act(stage, victim, action)
    before, told_ms = (stage.run(victim), stage.job(victim)), stage.clock.now_ms()
    stage.clock.advance(30)
    cleared = commit(stage, plan)
    assert (cleared.stops.total(), cleared.earmarks) == (0, 1)
    assert (stage.run(victim), stage.job(victim)) == before
    assert (stage.job(claimant).earmark or {})["until_ms"] == told_ms + 90_000


def test_a_run_that_has_ended_is_left_alone_and_its_nodes_are_held(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    plan = plan_of(stop_of(stage.run(victim), claimant), earmark_on(stage.job(claimant), stage.run(victim)))
    agent.sync(ended(stage.run(victim), 1, 2))
    assert commit(stage, plan).count == 1
    held = stage.job(claimant).earmark or {}
    assert (held["runs"], held["until_ms"], stage.job(victim).state) == ([], stage.clock.now_ms(), "succeeded")
    assert stage.turn() == 1
    assert stage.job(claimant).state == "leased"


def test_runs_that_leave_the_held_nodes_anyway_are_waited_for_as_well(stage: Stage, agent: ScriptedAgent) -> None:
    group = stage.group()
    going, victim = stage.submit(group, 2, gpus_per_worker=4, checkpoint=SAVES)
    elsewhere = stage.agent("site-2")
    (far,) = stage.submit(group, gpus_per_worker=8)
    assert stage.turn() == 3
    agent.sync(*(runs_now(stage.run(job), 1) for job in (going, victim)))
    elsewhere.sync(runs_now(stage.run(far), 1))
    (claimant,) = stage.submit(group, gpus_per_worker=8)
    for job in (going, far):
        act(stage, job, JobAction.CANCEL)
    stage.clock.advance(30)
    plan = plan_of(
        stop_of(stage.run(victim), claimant, grace_ms=1_000), earmark_on(stage.job(claimant), stage.run(victim))
    )
    assert commit(stage, plan).count == 2
    held = stage.job(claimant).earmark or {}
    assert held["runs"] == sorted(stage.run(job).id for job in (going, victim))
    assert held["until_ms"] == stage.clock.now_ms() + 60_000


def test_a_recall_stops_runs_for_nobody(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    cleared = commit(stage, plan_of(stop_of(stage.run(victim), None, StopCause.RECALLED, grace_ms=5_000)))
    assert dict(cleared.stops) == {"recalled": 1}
    assert (stage.run(victim).stop_grace_ms, stage.run(victim).stop_preemptor) == (5_000, None)
    stage.follower.catch_up()
    assert all(run.leaving for run in stage.follower.federation.live_runs.values())
    assert stage.job(claimant).earmark is None


def test_a_job_of_a_silent_site_shows_that_it_is_stopped_when_the_site_is_heard(
    stage: Stage, agent: ScriptedAgent
) -> None:
    victim, claimant = full_and_waiting(stage, agent, checkpoint={"grace": "10m"})
    stage.clock.advance(61)
    stage.turn()
    make_way(stage, victim, claimant)
    assert stage.job(victim).state == "unreachable"
    agent.sync()
    stage.turn()
    assert stage.job(victim).state == "preempting"


def test_nothing_is_stopped_by_quotas_that_were_changed_since_the_decision(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    stage.runtime.database.run(
        lambda transaction: quotas.put(
            transaction, group_id=stage.job(victim).group_id, gpu_class="h100", guaranteed=0, limit=8,
            borrowing_limit=None, lending_limit=None, weight=1,
        )
    )  # fmt: skip
    plan = plan_of(stop_of(stage.run(victim), claimant), earmark_on(stage.job(claimant), stage.run(victim)))
    assert commit(stage, plan, stage.follower.rules_change).count == 0
    assert (stage.run(victim).stop_cause, stage.job(claimant).earmark) == (None, None)


def test_held_nodes_are_leased_by_their_own_earmark_and_no_other_way(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    own = start_on(stage, claimant, victim)
    assert lease(stage, own, redeemed=True) == 0, "nothing is held yet"
    make_way(stage, victim, claimant)
    agent.sync(ended(stage.run(victim), 1, 2, cause=EndCause.RECLAIMED))
    assert lease(stage, own, redeemed=False) == 0
    ((node, name, first, workers),) = own.gang
    for other in ({"gang": ((NodeId(node + 1), name, first, workers),)}, {"gpu_class": "a100"}):
        assert lease(stage, start_on(stage, claimant, victim, **other), redeemed=True) == 0
    assert stage.runs(claimant) == []
    assert lease(stage, own, redeemed=True) == 1
    assert (stage.job(claimant).state, stage.job(claimant).earmark) == ("leased", None)


@pytest.mark.parametrize("action", [JobAction.CANCEL, JobAction.HOLD])
def test_a_job_that_leaves_the_queue_frees_its_nodes_at_once_and_who_was_stopped_for_it_goes_on_stopping(
    stage: Stage, agent: ScriptedAgent, action: JobAction
) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    make_way(stage, victim, claimant)
    act(stage, claimant, action)
    assert stage.job(claimant).earmark is None
    assert (stage.job(victim).state, ids_of(agent.sync().stop)) == ("preempting", [stage.run(victim).id])
    (other,) = stage.submit(stage.job(claimant).group_id, gpus_per_worker=8, priority_class="high")
    agent.sync(ended(stage.run(victim), 1, 2, cause=EndCause.RECLAIMED))
    assert stage.turn() == 1
    assert stage.job(other).state == "leased"


def test_a_job_that_starts_over_gives_up_the_nodes_that_were_held_where_its_checkpoint_is(
    stage: Stage, agent: ScriptedAgent
) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    stage.change_job(claimant, bound_site_id=agent.site_id)
    make_way(stage, victim, claimant)
    act(stage, claimant, JobAction.REQUEUE, start_over=True)
    assert (stage.job(claimant).earmark, stage.job(claimant).bound_site_id) == (None, None)
    stage.follower.catch_up()
    snapshot = stage.follower.federation.snapshot()
    assert (dict(snapshot.earmarks), len(snapshot.waiting)) == ({}, 1)


def test_nodes_of_a_site_that_is_closed_are_held_no_more_and_the_job_waits_on(
    stage: Stage, agent: ScriptedAgent
) -> None:
    victim, claimant = full_and_waiting(stage, agent, checkpoint={"grace": "10m"})
    make_way(stage, victim, claimant)
    stage.clock.advance(61)
    assert stage.turn() == 1, "the earmark is withdrawn"
    assert (stage.job(claimant).state, stage.job(claimant).earmark) == ("queued", None)
    assert stage.turn() == 0


def test_a_follower_that_begins_anew_knows_the_same_earmarks_and_runs(stage: Stage, agent: ScriptedAgent) -> None:
    victim, claimant = full_and_waiting(stage, agent)
    make_way(stage, victim, claimant)
    stage.follower.catch_up()
    anew = Stage(stage.runtime, stage.clock).follower
    anew.catch_up()
    ours, theirs = stage.follower.federation.snapshot(), anew.federation.snapshot()
    assert (dict(ours.earmarks), dict(ours.runs)) == (dict(theirs.earmarks), dict(theirs.runs))
    assert own_gpus(ours, "h100") == {stage.job(claimant).group_id: 8}


def test_stops_and_the_earmark_that_they_serve_are_never_cut_apart(stage: Stage, agent: ScriptedAgent) -> None:
    group = stage.group()
    victims = stage.submit(group, 8)
    stage.turn()
    first, second = stage.submit(group, 2, gpus_per_worker=4)
    runs = [stage.run(job) for job in victims]
    stops = [stop_of(run, first if number % 2 else second) for number, run in enumerate(runs)]
    earmarks = [earmark_on(stage.job(job), runs[0]) for job in (first, second)]
    recalled = stop_of(runs[0], None, StopCause.RECALLED)
    parts = list(clearings_of(plan_of(*stops, *earmarks, recalled), stops_max=3))
    assert len(parts) == 3
    for job, earmark in zip((first, second), earmarks, strict=True):
        (own,) = [each for part in parts for each in part if each.preemptor == job]
        assert (own.earmark, set(own.stops)) == (earmark, {stop for stop in stops if stop.preemptor == job})
    assert parts[-1][0].stops == (recalled,)
