"""Silence: jobs are held, never guessed dead; what ends a silent run, and what a late report corrects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from eventually import eventually
from runtime import ScriptedAgent, Stage, ended, ids_of, runs_now
from site_model import SiteModel

from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller
from scheduler.service.follow import Follower
from scheduler.service.hearing import over_seconds
from scheduler.service.loop import SchedulerLoop
from scheduler.service.run_report import CLOCK_OFF_MS_MAX
from scheduler.service.sites import declare_lost
from scheduler.store import events
from scheduler.store.sites import SiteRow

#: lease 30 s, drift 5 s, grace 10 s, and 2 s by which ``heard_ms`` may be late
OVER_SECONDS = 47.0


def running(stage: Stage, agent: ScriptedAgent, **spec: Any) -> int:
    """A job whose run was reported as running a moment ago."""
    (job,) = stage.submit(stage.group(), **spec)
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    stage.clock.advance(3.5)
    agent.sync()
    stage.turn()  # the leader sees that it was heard: silence counts from here
    return job


def lost(stage: Stage, caller: Caller, site: str) -> SiteRow | Refusal:
    """Declare a site lost."""
    return stage.runtime.database.run(
        lambda transaction: declare_lost(transaction, stage.runtime, caller, site, "burnt down")
    )


@pytest.mark.parametrize("supervised", [True, False])
def test_jobs_of_a_site_that_is_not_heard_for_two_leases_are_unreachable(stage: Stage, supervised: bool) -> None:
    # A long grace, so that the supervised run is not over yet.
    agent = stage.agent(lease_seconds=10, supervised=supervised)
    job = running(stage, agent, checkpoint={"grace": "5m"})
    stage.clock.advance(20)
    stage.turn()
    assert stage.job(job).state == "running"
    stage.clock.advance(0.5)
    stage.turn()
    assert stage.job(job).state == "unreachable"
    assert (stage.job(job).reason or {}) == {
        "code": ReasonCode.SITE_UNREACHABLE,
        "numbers": {"site": "site-1", "silent_seconds": 20},
    }


def test_a_job_of_an_unsupervised_site_never_starts_again_by_itself(stage: Stage) -> None:
    job = running(stage, stage.agent(supervised=False))
    other = stage.agent("site-2")
    stage.clock.advance(30 * 86_400)
    other.sync()
    assert stage.turn() == 0
    assert (stage.job(job).state, len(stage.runs(job))) == ("unreachable", 1)


def test_a_supervised_run_is_given_elsewhere_only_after_lease_drift_and_grace(stage: Stage) -> None:
    agent = stage.agent(nodes=1)
    job = running(stage, agent)
    other = stage.agent("site-2")
    heard_ms = agent.site.heard_ms
    assert heard_ms is not None
    assert over_seconds(30, 10.0) == OVER_SECONDS
    # The site counts as silent after two leases only: that is later here.
    for seconds in (46.0, 13.9):
        stage.clock.advance(seconds)
        other.sync()
        assert stage.turn() == 0
        assert stage.job(job).state == "running"
    stage.clock.advance(0.2)
    other.sync()
    stage.turn()
    first, second = stage.runs(job)
    assert (first.cause, first.ended_ms, first.site_id) == ("lease_expired", heard_ms, agent.site_id)
    assert (second.epoch, second.site_id, stage.job(job).state) == (2, other.site_id, "leased")


def test_multikueue_kep_693_a_link_that_is_back_after_the_job_was_queued_again_finds_it_running_once(
    stage: Stage,
) -> None:
    """KEP-693: a manager that has not heard a worker for 15 minutes queues its job again, and the worker then comes back."""
    silent = SiteModel(stage, stage.agent("site-1", gpus=1))
    (job,) = stage.submit(stage.group())
    stage.turn()
    silent.sync()
    silent.sync()
    stage.turn()  # the leader sees that it was heard: silence counts from here
    other = SiteModel(stage, stage.agent("site-2", gpus=1))
    for _ in range(15 * 3):
        stage.clock.advance(20)
        other.sync()
        stage.turn()
        other.sync()
        assert len(silent.alive()) + len(other.alive()) <= 1
    first, second = stage.runs(job)
    assert (first.cause, first.epoch, second.epoch, second.site_id) == ("lease_expired", 1, 2, other.agent.site_id)
    for _ in range(2):
        silent.sync()
        other.sync()
        stage.turn()
    (was,), (is_now,) = silent.runs.values(), other.alive()
    assert was.ended_ms is not None and was.ended_ms < is_now.started_ms
    assert was.forgotten
    assert (stage.job(job).state, stage.job(job).run_id, len(stage.runs(job))) == ("running", second.id, 2)
    assert sum(stage.charged(first.id)) == was.ended_ms - was.started_ms, "the late report says how long it truly ran"


@pytest.mark.parametrize("seconds", [120.0, -120.0])
def test_a_wall_clock_that_jumps_ends_no_run_and_holds_no_job(stage: Stage, seconds: float) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    stage.clock.advance(2.5)
    agent.sync()
    stage.clock.jump(seconds)
    stage.turn()
    assert (stage.job(job).state, len(stage.runs(job))) == ("running", 1)
    stage.clock.advance(2.5)
    agent.sync()
    stage.turn()
    stage.clock.advance(61)
    stage.turn()
    assert stage.run(job).cause == "lease_expired"


def test_a_leader_that_takes_over_waits_until_it_has_watched_the_silence_itself(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    stage.clock.jump(3600)
    stage.follower = Follower(stage.runtime.database, stage.clock, DEFAULT_POLICY)  # it knows of no time before
    stage.turn()
    assert stage.job(job).state == "unreachable"
    stage.clock.advance(OVER_SECONDS - 0.1)
    stage.turn()
    assert stage.job(job).state == "unreachable"
    stage.clock.advance(0.1)
    stage.turn()
    assert stage.runs(job)[0].cause == "lease_expired"


def test_a_site_that_stays_silent_costs_no_change_numbers(stage: Stage) -> None:
    agent = stage.agent(supervised=False)
    running(stage, agent)
    stage.clock.advance(100)
    stage.turn()

    def change() -> int:
        return stage.runtime.database.run(lambda transaction: transaction.change)

    before = change()
    for _ in range(3):
        stage.clock.advance(1)
        stage.turn()
    assert change() == before + 1


def test_a_long_grace_is_waited_for(stage: Stage) -> None:
    agent = stage.agent(lease_seconds=10)
    job = running(stage, agent, checkpoint={"directory": "s3://bucket/x", "grace": "10m"})
    stage.clock.advance(10 + 5 + 2 + 599)
    stage.turn()
    assert stage.job(job).state == "unreachable"
    stage.clock.advance(2)
    stage.turn()
    assert stage.runs(job)[0].cause == "lease_expired"


def test_a_site_that_is_heard_again_has_its_jobs_where_their_runs_are(stage: Stage) -> None:
    agent = stage.agent(supervised=False)
    job = running(stage, agent)
    stage.clock.advance(100)
    stage.turn()
    assert stage.job(job).state == "unreachable"
    agent.sync()
    stage.turn()
    assert (stage.job(job).state, stage.job(job).reason) == ("running", None)


def test_a_report_of_a_silent_sites_run_brings_its_job_back_without_the_reason(stage: Stage) -> None:
    agent = stage.agent(supervised=False)
    job = running(stage, agent)
    stage.clock.advance(100)
    stage.turn()
    agent.sync(runs_now(stage.run(job), 1), complete=True)
    assert (stage.job(job).state, stage.job(job).reason) == ("running", None)


def test_a_leader_that_took_over_meanwhile_brings_jobs_back_too(stage: Stage) -> None:
    agent = stage.agent(supervised=False)
    job = running(stage, agent)
    stage.clock.advance(100)
    stage.turn()
    agent.sync()
    stage.clock.advance(11)  # the one who led before leads no more
    agent.sync()
    successor = SchedulerLoop(stage.runtime, "successor")
    with ThreadPoolExecutor() as threads:
        leading = threads.submit(successor.run)
        eventually(lambda: stage.job(job).state == "running", 10, "the job is back")
        successor.stop()
        leading.result(10)


def test_who_cancelled_a_job_of_a_silent_site_stays_known_to_its_end(stage: Stage) -> None:
    agent = stage.agent(supervised=False)
    job = running(stage, agent)
    cancelled_by = {"code": ReasonCode.CANCELLED_BY, "numbers": {"person": "jiwoo"}}
    stage.change_run(stage.run(job).id, stop_cause="cancelled", stop_grace_ms=0)
    stage.change_job(job, state="cancelling", cancel_requested=True, reason=cancelled_by)
    stage.clock.advance(100)
    stage.turn()
    assert (stage.job(job).state, stage.job(job).reason) == ("unreachable", cancelled_by)
    agent.sync()
    stage.turn()
    assert (stage.job(job).state, stage.job(job).reason) == ("cancelling", cancelled_by)
    agent.sync(ended(stage.run(job), 1, 2, cause=EndCause.CANCELLED))
    assert (stage.job(job).state, stage.job(job).reason) == ("cancelled", cancelled_by)


def test_a_late_report_corrects_the_ledger_and_leaves_the_job_alone(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    run = stage.run(job)
    assert run.started_ms is not None
    stage.clock.advance(100)
    stage.turn()
    guessed = (agent.site.heard_ms or 0) - run.started_ms
    assert stage.charged(run.id) == [guessed]
    report = ended(run, run.started_ms, run.started_ms + 30_000, cause=EndCause.LEASE_EXPIRED)
    before = stage.job(job)
    assert agent.sync(report).forget == (run.id,)
    agent.sync(report)  # told twice, entered once
    assert stage.charged(run.id) == [guessed, -guessed, 30_000]
    with stage.runtime.database.read() as connection:
        assert [each.kind for each in events.of_job(connection, job)].count("run.corrected") == 1
    assert stage.job(job) == before


def test_a_late_report_mends_the_times_of_a_job_that_ended_with_the_run(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    run = stage.run(job)
    assert run.started_ms is not None
    stage.change_job(job, cancel_requested=True, state="cancelling")
    stage.clock.advance(100)
    stage.turn()
    assert stage.job(job).state == "cancelled"
    guessed_ms = stage.job(job).ended_ms
    agent.sync(ended(run, run.started_ms, run.started_ms + 1_000, cause=EndCause.CANCELLED))
    assert (stage.job(job).ended_ms, stage.run(job).ended_ms) == (run.started_ms + 1_000,) * 2
    assert stage.job(job).state == "cancelled" and guessed_ms != run.started_ms + 1_000


@pytest.mark.parametrize("hours", [1, 1_000_000])
def test_a_clock_that_is_hours_ahead_charges_nothing_that_never_was(stage: Stage, hours: int) -> None:
    agent = stage.agent()
    (job,) = stage.submit(stage.group())
    assert stage.turn() == 1
    run, wrong_ms = stage.run(job), hours * 3_600_000
    agent.sync(runs_now(run, stage.clock.now_ms() + wrong_ms))
    stage.clock.advance(10)
    report = ended(run, stage.clock.now_ms() + wrong_ms - 10_000, stage.clock.now_ms() + wrong_ms)
    agent.sync(report)
    assert stage.charged(run.id) == [10_000]
    assert stage.run(job).ended_ms == stage.clock.now_ms()
    stage.clock.advance(100)
    agent.sync(report)  # told again, much later
    assert stage.charged(run.id) == [10_000]


def test_a_run_that_claims_to_have_lasted_for_years_is_charged_for_no_more_than_clocks_may_be_off(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    run = stage.run(job)
    stage.clock.advance(10)
    agent.sync(ended(run, 0, stage.clock.now_ms()))
    (charged,) = stage.charged(run.id)
    assert charged == stage.clock.now_ms() - run.leased_ms + CLOCK_OFF_MS_MAX


def test_an_end_before_its_start_is_no_time_at_all(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    run = stage.run(job)
    assert run.started_ms is not None
    agent.sync(ended(run, run.started_ms, run.started_ms - 1_000))
    assert (stage.run(job).ended_ms, stage.charged(run.id)) == (run.started_ms, [0])


def test_a_late_word_that_it_never_ran_takes_no_charge_back(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    run = stage.run(job)
    stage.clock.advance(100)
    stage.turn()
    charged = stage.charged(run.id)
    assert len(charged) == 1
    agent.sync(ended(run, None, stage.clock.now_ms(), cause=EndCause.START_FAILED))
    assert stage.charged(run.id) == charged


def test_a_run_that_outlived_the_guess_is_stopped_when_its_site_is_back(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent)
    run = stage.run(job)
    stage.clock.advance(100)
    stage.turn()
    answer = agent.sync(runs_now(run, 1), complete=True)
    assert [(stop.run_id, stop.epoch, stop.cause) for stop in answer.stop] == [(run.id, 1, EndCause.WITHDRAWN)]


def test_an_unsupervised_site_that_is_declared_lost_frees_its_jobs(stage: Stage, administrator: Caller) -> None:
    agent = stage.agent(supervised=False)
    job = running(stage, agent)
    assert isinstance(lost(stage, administrator, "site-1"), Refusal), "it is heard"
    stage.clock.advance(100)
    stage.turn()
    assert not isinstance(lost(stage, administrator, "site-1"), Refusal)
    assert (stage.run(job).cause, stage.job(job).state) == ("declared_lost", "queued")
    other = stage.agent("site-2")
    assert stage.turn() == 1
    assert (stage.run(job).site_id, stage.run(job).epoch) == (other.site_id, 2)


def test_a_supervised_site_is_not_declared_lost(stage: Stage, administrator: Caller) -> None:
    stage.agent()
    stage.clock.advance(100)
    refusal = lost(stage, administrator, "site-1")
    assert isinstance(refusal, Refusal)
    assert refusal.reasons[0].code is ReasonCode.STATE_CONFLICT


def test_a_job_with_its_checkpoint_at_a_site_waits_for_that_site(stage: Stage) -> None:
    agent = stage.agent()
    job = running(stage, agent, checkpoint={})
    other = stage.agent("site-2")
    stage.clock.advance(200)
    other.sync()
    assert stage.turn() == 0
    assert (stage.job(job).state, stage.job(job).bound_site_id) == ("queued", agent.site_id)
    agent.sync()
    assert stage.turn() == 1
    assert ids_of(agent.sync().start) == [stage.run(job).id]
