"""Runs that had to make way: their jobs lose nothing but time, and nobody is charged for work that was destroyed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from clearings import commit, make_way, plan_of, stop_of
from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.cycle.plan import StopCause
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.reason import Refusal
from scheduler.model.wire import RunReport
from scheduler.service.caller import Caller
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.usage import ClassCharge, ClassOwed, show_owed, show_usage
from scheduler.store import ledger

SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "60s"}
USED = 8 * 100_000


def stopped(stage: Stage, agent: ScriptedAgent, cause: StopCause = StopCause.RECLAIMED, **spec: Any) -> int:
    """A job of 8 GPUs that has run for 100 s and is told to make way now; no other job waits."""
    (job,) = stage.submit(stage.group(), gpus_per_worker=8, **spec)
    stage.turn()
    started_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(job), started_ms))
    stage.clock.advance(100)
    assert commit(stage, plan_of(stop_of(stage.run(job), None, cause))).count == 1
    return job


def end(
    stage: Stage,
    agent: ScriptedAgent,
    job: int,
    cause: EndCause,
    *,
    exit_code: int | None = None,
    after_seconds: int = 0,
    started: bool = True,
) -> None:
    """The agent says how the run ended."""
    stage.clock.advance(after_seconds)
    run, now_ms = stage.run(job), stage.clock.now_ms()
    report = RunReport(
        run_id=run.id,
        epoch=run.epoch,
        phase=RunPhase.ENDED,
        started_ms=run.started_ms if started else None,
        ended_ms=now_ms,
        cause=cause,
        exit_code=exit_code,
    )
    agent.sync(report)


def accounts(stage: Stage, job: int) -> dict[str, int]:
    """What a job's newest run left on the accounts, which come to nothing together."""
    sums: dict[str, int] = {}
    with stage.runtime.database.read() as connection:
        for entry in ledger.of_run(connection, stage.run(job).id):
            sums[entry.account_kind] = sums.get(entry.account_kind, 0) + entry.gpu_milliseconds
    assert sum(sums.values()) == 0
    return {kind: amount for kind, amount in sums.items() if amount}


@pytest.mark.parametrize("cause", StopCause)
def test_the_job_goes_back_to_the_queue_and_to_its_checkpoint_at_no_cost(
    stage: Stage, agent: ScriptedAgent, cause: StopCause
) -> None:
    job = stopped(stage, agent, cause, checkpoint=SAVES)
    end(stage, agent, job, EndCause(cause.value), exit_code=1)
    row = stage.job(job)
    assert (row.state, row.failures, row.infrastructure_failures, row.not_before_ms) == ("queued", 0, 0, None)
    assert (row.bound_site_id, row.reason, stage.run(job).cause) == (agent.site_id, None, cause.value)
    assert stage.turn() == 1
    assert (stage.run(job).epoch, stage.run(job).stop_cause) == (2, None)


def test_no_number_of_preemptions_uses_a_job_up(stage: Stage, agent: ScriptedAgent) -> None:
    job = stopped(stage, agent)
    for _ in range(30):
        end(stage, agent, job, EndCause.RECLAIMED)
        assert stage.turn() == 1, stage.job(job)
        agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
        commit(stage, plan_of(stop_of(stage.run(job), None)))
    assert stage.job(job).state == "preempting"


def test_a_command_that_ended_well_before_the_stop_reached_it_has_succeeded(stage: Stage, agent: ScriptedAgent) -> None:
    job = stopped(stage, agent)
    end(stage, agent, job, EndCause.EXITED, exit_code=0)
    assert (stage.job(job).state, accounts(stage, job)) == ("succeeded", {"consumer": USED, "provider": -USED})


def test_a_command_that_failed_by_itself_before_the_stop_reached_it_has_failed(
    stage: Stage, agent: ScriptedAgent
) -> None:
    job = stopped(stage, agent)
    end(stage, agent, job, EndCause.EXITED, exit_code=3)
    assert (stage.job(job).state, accounts(stage, job)) == ("failed", {"consumer": USED, "provider": -USED})


def test_a_run_that_saved_its_state_within_its_grace_is_charged(stage: Stage, agent: ScriptedAgent) -> None:
    job = stopped(stage, agent, checkpoint=SAVES)
    end(stage, agent, job, EndCause.RECLAIMED, exit_code=1, after_seconds=60)
    assert accounts(stage, job) == {"consumer": 8 * 160_000, "provider": -8 * 160_000}


@pytest.mark.parametrize(
    ("spec", "how"),
    [
        ({}, {"exit_code": 0}),
        ({"checkpoint": SAVES}, {"exit_code": 137}),
        ({"checkpoint": SAVES}, {"exit_code": 1, "after_seconds": 61}),
        ({"checkpoint": SAVES}, {"cause": EndCause.NODE_LOST}),
    ],
    ids=["no checkpoint", "killed", "too late", "lost before it could"],
)
def test_a_run_that_saved_nothing_is_lost_work_and_its_site_is_credited_all_the_same(
    stage: Stage, agent: ScriptedAgent, spec: dict[str, Any], how: dict[str, Any]
) -> None:
    job = stopped(stage, agent, **spec)
    end(stage, agent, job, **({"cause": EndCause.RECLAIMED} | how))
    used = USED + 8_000 * how.get("after_seconds", 0)
    assert accounts(stage, job) == {"lost": used, "provider": -used}


def test_usage_tells_what_a_group_lost_and_was_not_charged_for(
    stage: Stage, agent: ScriptedAgent, administrator: Caller
) -> None:
    job = stopped(stage, agent)
    end(stage, agent, job, EndCause.RECLAIMED)
    charges = show_usage(stage.runtime, administrator, "research")
    assert charges == [ClassCharge(gpu_class="h100", gpu_milliseconds=0, credits=0, runs=1, gpu_milliseconds_lost=USED)]


def test_a_lender_is_owed_what_was_used_lost_work_included(
    stage: Stage, agent: ScriptedAgent, administrator: Caller
) -> None:
    job = stopped(stage, agent)
    end(stage, agent, job, EndCause.RECLAIMED)
    # A GPU-hour of what has no other rate is worth one credit.
    assert show_owed(stage.runtime, administrator, "site-1") == [
        ClassOwed(gpu_class="h100", gpu_milliseconds=USED, credits=Fraction(USED, 3_600_000), runs=1)
    ]
    nobody = replace(administrator, administrator=False, auditor=False)
    assert isinstance(show_owed(stage.runtime, nobody, "site-1"), Refusal)


def test_an_agent_of_the_older_protocol_is_told_of_a_requeue_and_its_word_is_understood(
    stage: Stage, agent: ScriptedAgent
) -> None:
    job = stopped(stage, agent)
    (stop,) = agent.sync(protocol=1).stop
    assert stop.cause is EndCause.REQUEUED
    end(stage, agent, job, EndCause.REQUEUED)
    assert (stage.job(job).state, stage.run(job).cause) == ("queued", "reclaimed")
    assert accounts(stage, job) == {"lost": USED, "provider": -USED}


@pytest.mark.parametrize("cause", [EndCause.LEASE_EXPIRED, EndCause.NODE_LOST, EndCause.VANISHED])
def test_a_run_that_was_lost_while_it_made_way_is_not_counted_against_its_job(
    stage: Stage, agent: ScriptedAgent, cause: EndCause
) -> None:
    job = stopped(stage, agent)
    stage.change_job(job, infrastructure_failures=5)
    end(stage, agent, job, cause)
    row = stage.job(job)
    assert (row.state, row.infrastructure_failures, row.not_before_ms) == ("queued", 5, None)
    assert stage.run(job).cause == cause.value


def test_a_run_of_a_site_that_fell_silent_while_it_made_way_is_lost_work_until_better_is_known(
    stage: Stage, agent: ScriptedAgent
) -> None:
    job = stopped(stage, agent, checkpoint=SAVES)
    run = stage.run(job)
    heard_ms = stage.clock.now_ms()
    agent.sync()
    stage.turn()
    stage.clock.advance(200)
    stage.turn()
    assert (stage.job(job).state, stage.job(job).infrastructure_failures) == ("queued", 0)
    assert accounts(stage, job).keys() == {"lost", "provider"}
    report = ended(run, run.started_ms, heard_ms + 20_000, cause=EndCause.RECLAIMED, exit_code=1)
    agent.sync(report)
    assert accounts(stage, job) == {"consumer": 8 * 120_000, "provider": -8 * 120_000}


def test_a_run_that_never_started_is_charged_to_nobody(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=8)
    stage.turn()
    commit(stage, plan_of(stop_of(stage.run(job), None)))
    assert agent.sync().start == ()
    end(stage, agent, job, EndCause.RECLAIMED, started=False)
    assert (stage.job(job).state, accounts(stage, job)) == ("queued", {})


@pytest.mark.parametrize(
    ("action", "state", "account"), [(JobAction.CANCEL, "cancelled", "consumer"), (JobAction.REQUEUE, "queued", "lost")]
)
def test_what_its_owner_gives_up_while_it_makes_way_is_not_lost_to_others(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, action: JobAction, state: str, account: str
) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=8)
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    (claimant,) = stage.submit(stage.job(job).group_id, gpus_per_worker=8)
    make_way(stage, job, claimant)
    stage.clock.advance(1)
    stage.runtime.database.run(lambda transaction: act_on_job(transaction, stage.runtime, administrator, job, action))
    stage.follower.catch_up()
    assert stage.follower.federation.live_runs[stage.run(job).id].leaving  # type: ignore[index]
    end(stage, agent, job, EndCause.RECLAIMED)
    assert (stage.job(job).state, stage.job(job).requeue_requested) == (state, False)
    assert accounts(stage, job) == {account: 8_000, "provider": -8_000}
