"""The loop: one leads, a deposed leader writes nothing, a fault ends a round and not the scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from clearings import earmark_on, plan_of, stop_of
from eventually import eventually
from runtime import Stage, ended, runs_now

from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.errors import InvariantBroken, LeadershipLost
from scheduler.model.job_state import EndCause
from scheduler.service import loop as loop_module
from scheduler.service.loop import STOPS, SchedulerLoop
from scheduler.service.round_commit import commit_starts
from scheduler.service.runtime import Runtime
from scheduler.store import idempotency, jobs, leadership, quotas, sites
from scheduler.store.idempotency import Answer, IdempotencyKey


@contextmanager
def looping(runtime: Runtime, *holders: str) -> Iterator[list[SchedulerLoop]]:
    """Schedulers that run beside the block; a fault of one fails the test."""
    loops = [SchedulerLoop(runtime, holder) for holder in holders]
    with ThreadPoolExecutor() as threads:
        running: list[Future[None]] = [threads.submit(each.run) for each in loops]
        try:
            yield loops
        finally:
            for each in loops:
                each.stop()
            for future in running:
                future.result(10)


def resign(stage: Stage) -> None:
    """The stage's own scheduler makes room."""
    leadership.release(stage.runtime.database, stage.fence)


def test_two_schedulers_lease_every_job_once_and_the_second_leads_when_the_first_is_gone(stage: Stage) -> None:
    stage.agent(nodes=4)
    resign(stage)
    group = stage.group()
    first = stage.submit(group, 10)
    with looping(stage.runtime, "one", "two") as (one, two):
        eventually(lambda: all(stage.job(job).state == "leased" for job in first), 10, "the jobs are leased")
        with stage.runtime.database.read() as connection:
            leader = connection.exec_driver_sql("SELECT holder FROM leadership").scalar_one()
        (one if leader == "one" else two).stop()
        second = stage.submit(group, 10)
        eventually(lambda: all(stage.job(job).state == "leased" for job in second), 10, "the other one leads")
        with stage.runtime.database.read() as connection:
            successor = connection.exec_driver_sql("SELECT holder FROM leadership").scalar_one()
    assert {leader, successor} == {"one", "two"}
    assert all([run.epoch for run in stage.runs(job)] == [1] for job in first + second)


def test_a_deposed_leader_commits_nothing(stage: Stage) -> None:
    stage.agent()
    (job,) = stage.submit(stage.group())
    stage.clock.advance(11)
    stage.lead("another")
    with pytest.raises(LeadershipLost):
        stage.turn()
    assert (stage.job(job).state, stage.runs(job)) == ("queued", [])


@pytest.mark.parametrize(
    "change",
    [{"state": "held"}, {"state": "cancelled", "cancel_requested": True}, {"bound_site_id": 2}, {"shape_id": 2}],
    ids=["held", "cancelled", "bound", "reshaped"],
)
def test_a_job_that_changed_since_the_decision_is_skipped_and_the_others_are_leased(
    stage: Stage, change: dict[str, object]
) -> None:
    stage.agent()
    stage.agent("site-2", nodes=0)
    group = stage.group()
    changed, other = stage.submit(group, 2)
    stage.submit(group, 1, workers=2)  # so that there is a second shape
    stage.follower.catch_up()
    snapshot = stage.follower.federation.snapshot()
    starts = [each for each in decide(snapshot, 0).starts if each.job in (changed, other)]
    stage.change_job(changed, **change)
    with stage.runtime.database.write(stage.fence) as transaction:
        assert commit_starts(transaction, starts, snapshot.shapes) == 1
    assert (stage.runs(changed), stage.job(other).state) == ([], "leased")


def test_nothing_is_leased_by_quotas_that_were_changed_since_the_decision(stage: Stage) -> None:
    stage.agent()
    group = stage.group()
    (job,) = stage.submit(group)
    stage.follower.catch_up()
    snapshot, known = stage.follower.federation.snapshot(), stage.follower.rules_change
    starts = decide(snapshot, 0).starts
    stage.runtime.database.run(
        lambda transaction: quotas.put(
            transaction, group_id=group, gpu_class="h100", guaranteed=0, limit=0, borrowing_limit=None,
            lending_limit=None, weight=1,
        )
    )  # fmt: skip
    with stage.runtime.database.write(stage.fence) as transaction:
        assert commit_starts(transaction, starts, snapshot.shapes, known) == 0
    assert stage.turn() == 0
    assert stage.job(job).state == "queued"


def test_nothing_is_leased_to_a_site_that_was_cordoned_since_the_decision(stage: Stage) -> None:
    agent = stage.agent()
    (job,) = stage.submit(stage.group())
    stage.follower.catch_up()
    snapshot = stage.follower.federation.snapshot()
    stage.runtime.database.run(lambda transaction: sites.change(transaction, agent.site_id, state="cordoned"))
    with stage.runtime.database.write(stage.fence) as transaction:
        assert commit_starts(transaction, decide(snapshot, 0).starts, snapshot.shapes) == 0
    assert stage.job(job).state == "queued"


def test_a_plan_that_breaks_a_law_is_never_applied(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(snapshot: Snapshot, seed: int) -> Plan:
        """Every GPU is given away twice."""
        plan = decide(snapshot, seed)
        return Plan(starts=(*plan.starts, *plan.starts), verdicts=plan.verdicts, seed=seed)

    stage.agent()
    (job,) = stage.submit(stage.group())
    monkeypatch.setattr(loop_module, "decide", twice)
    with pytest.raises(InvariantBroken):
        stage.turn()
    assert (stage.job(job).state, stage.runs(job)) == ("queued", [])


def test_a_round_has_one_moment_though_time_goes_by_while_it_is_made(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.agent(nodes=4)
    group = stage.group()
    (first,) = stage.submit(group, gpus_per_worker=8, walltime="10m")
    stage.submit(group, gpus_per_worker=8, workers=4, walltime="10m")
    read_ms = stage.clock.now_ms

    def ticking_ms() -> int:
        stage.clock.advance(0.001)
        return read_ms()

    monkeypatch.setattr(stage.clock, "now_ms", ticking_ms)
    assert stage.turn() == 1
    assert stage.job(first).state == "leased"


def test_a_round_holds_nodes_tells_runs_to_stop_and_counts_both(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, group = stage.agent(), stage.group()
    (victim,) = stage.submit(group, gpus_per_worker=8)
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(victim), 1))
    (claimant,) = stage.submit(group, gpus_per_worker=8)
    planned = plan_of(stop_of(stage.run(victim), claimant), earmark_on(stage.job(claimant), stage.run(victim)))
    before = STOPS.labels("reclaimed")._value.get()
    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "decide", lambda *_: planned)
        patch.setattr(loop_module, "check_plan", lambda *_: ())
        assert stage.turn() == 2
        assert stage.turn() == 0, "the same plan once more changes nothing"
    assert STOPS.labels("reclaimed")._value.get() == before + 1
    assert (stage.job(victim).state, stage.job(claimant).earmark is None) == ("preempting", False)
    agent.sync(ended(stage.run(victim), 1, 2, cause=EndCause.RECLAIMED))
    assert stage.turn() == 1
    assert (stage.job(claimant).state, stage.job(claimant).earmark) == ("leased", None)


def test_a_job_of_higher_priority_gets_the_nodes_of_a_lower_one_after_its_minimum_run_and_the_lower_one_waits(
    stage: Stage,
) -> None:
    agent, group = stage.agent(), stage.group()
    (victim,) = stage.submit(group, gpus_per_worker=8, priority_class="low", checkpoint={"grace": "90s"})
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(victim), stage.clock.now_ms()))
    (claimant,) = stage.submit(group, gpus_per_worker=8)
    for _ in range(30):
        stage.clock.advance(19.9)
        agent.sync()
        assert stage.turn() == 0, "it has not run for ten minutes"
    stage.clock.advance(5)
    agent.sync()
    assert stage.turn() == 2
    run = stage.run(victim)
    assert (run.stop_cause, run.stop_preemptor, run.stop_grace_ms) == ("preempted", claimant, 90_000)
    assert stage.turn() == 0, "what is decided is decided"
    agent.sync(ended(run, run.started_ms, stage.clock.now_ms(), cause=EndCause.PREEMPTED))
    assert stage.turn() == 1
    assert (stage.job(claimant).state, stage.job(victim).state) == ("leased", "queued")
    assert stage.turn() == 0, "nor does the lower one take them back"


def test_a_fault_ends_a_round_and_not_the_scheduler(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = iter([RuntimeError("a node has two names"), InvariantBroken("the sums are wrong")])

    def faulty(snapshot: Snapshot, seed: int) -> Plan:
        for fault in faults:
            raise fault
        return decide(snapshot, seed)

    stage.agent()
    (job,) = stage.submit(stage.group())
    resign(stage)
    monkeypatch.setattr(loop_module, "decide", faulty)
    monkeypatch.setattr(loop_module, "PAUSE_SECONDS", 0.01)
    with looping(stage.runtime, "one"):
        eventually(lambda: stage.job(job).state == "leased", 10, "the third round leases")
    assert next(faults, None) is None


def test_answers_that_nobody_repeats_a_request_for_are_forgotten(stage: Stage) -> None:
    key = IdempotencyKey(caller="1:jobs", key="k", request_hash="0" * 64)
    stage.runtime.database.run(
        lambda transaction: idempotency.record(transaction, [(key, Answer(status=201, body="{}"))])
    )

    def kept() -> bool:
        with stage.runtime.database.read() as connection:
            return bool(idempotency.find(connection, [key]))

    stage.turn()
    stage.clock.advance(stage.runtime.settings.idempotency_seconds - 1)
    stage.turn()
    assert kept()
    stage.clock.advance(3601)
    stage.turn()
    assert not kept()


def test_counts_of_states_follow_a_burst_of_jobs(stage: Stage) -> None:
    stage.agent(nodes=50)
    stage.submit(stage.group(), 2500)
    started = 0
    while leased := stage.turn():
        started += leased
    assert started == 400
    with stage.runtime.database.read() as connection:
        assert jobs.counts_by_state(connection) == {"leased": 400, "queued": 2100}
