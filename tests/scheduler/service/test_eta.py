"""When a waiting job would start, as a server tells it: from the record's walltimes, and never from an old forecast."""

from __future__ import annotations

import pytest
from runtime import Stage, administrator_of, runs_now

from scheduler.cycle.federation import Federation
from scheduler.cycle.forecast import LeftOn, left_on_any
from scheduler.model.eta_text import ETA_TEXTS
from scheduler.model.reason import ReasonCode
from scheduler.service.eta import EtaView, eta_of
from scheduler.service.forecasts import KEPT_FOR_ITS_COST, KEPT_SECONDS, Forecasts
from scheduler.service.jobs import JobAction, act_on_job

HOUR_MS = 3_600_000


def eta(stage: Stage, job: int) -> EtaView:
    """What is said of a waiting job."""
    told = eta_of(stage.runtime, stage.job(job))
    assert told is not None
    return told


def code(stage: Stage, job: int) -> ReasonCode:
    """On what grounds."""
    return eta(stage, job).reason.code


def test_a_job_behind_a_run_starts_when_that_run_s_walltime_is_over_and_the_next_one_after_both(stage: Stage) -> None:
    agent = stage.agent(gpus=2)
    group = stage.group()
    first, second, third = stage.submit(group, 3, gpus_per_worker=2, walltime="1h")
    begin_ms = stage.clock.now_ms()
    assert eta(stage, first) == EtaView(start_ms=begin_ms, reason=eta(stage, first).reason, made_ms=begin_ms)
    assert code(stage, first) is ReasonCode.ETA_NEXT_ROUND
    stage.turn()
    stage.clock.advance(KEPT_SECONDS)
    started_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(first), started_ms))
    assert eta_of(stage.runtime, stage.job(first)) is None, "it does not wait any more"
    assert eta(stage, second).start_ms == started_ms + HOUR_MS
    assert eta(stage, third).start_ms == started_ms + 2 * HOUR_MS
    assert (code(stage, third), eta(stage, third).reason.numbers) == (ReasonCode.ETA_BY_WALLTIMES, {"runs": 2})


def test_a_run_without_a_walltime_is_named_as_why_nothing_is_known(stage: Stage) -> None:
    stage.agent(gpus=2)
    _, second = stage.submit(stage.group(), 2, gpus_per_worker=2)
    stage.turn()
    assert (code(stage, second), eta(stage, second).start_ms) == (ReasonCode.ETA_WITHOUT_WALLTIME, None)


def test_a_run_that_was_told_to_make_way_is_gone_after_its_grace_and_its_job_waits_again(stage: Stage) -> None:
    agent = stage.agent(gpus=2)
    group = stage.group()
    (first,) = stage.submit(group, gpus_per_worker=2, walltime="1h")
    (second,) = stage.submit(group, gpus_per_worker=2, cpus_per_worker=2)
    stage.turn()
    begin_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(first), begin_ms))
    stage.change_run(stage.run(first).id, stop_cause="preempted", stop_grace_ms=20_000, stop_requested_ms=begin_ms)
    # The job that made way was submitted first: it is placed again before the other.
    assert eta(stage, second).start_ms == begin_ms + 20_000 + HOUR_MS
    stage.clock.advance(KEPT_SECONDS)
    stage.change_run(stage.run(first).id, stop_cause="cancelled")
    # Its grace is over, and its job does not come back.
    assert eta(stage, second).start_ms == stage.clock.now_ms()


def test_a_forecast_is_kept_for_a_minute(stage: Stage) -> None:
    stage.agent(gpus=2)
    first, second = stage.submit(stage.group(), 2, gpus_per_worker=2, walltime="1h")
    begin_ms = stage.clock.now_ms()
    assert eta(stage, second).start_ms == begin_ms + HOUR_MS
    stage.clock.advance(KEPT_SECONDS - 1)
    assert eta(stage, second).made_ms == begin_ms
    stage.clock.advance(1)
    assert (eta(stage, second).made_ms, eta(stage, first).made_ms) == (stage.clock.now_ms(), stage.clock.now_ms())


def test_a_job_that_came_after_the_forecast_has_one_made_for_it(stage: Stage) -> None:
    stage.agent(gpus=2)
    group = stage.group()
    (first,) = stage.submit(group, walltime="1h")
    eta(stage, first)
    stage.clock.advance(1)
    (late,) = stage.submit(group, walltime="1h")
    assert (code(stage, late), eta(stage, late).made_ms) == (ReasonCode.ETA_NEXT_ROUND, stage.clock.now_ms())


def test_a_held_job_is_told_that_rounds_do_not_look_at_it(stage: Stage) -> None:
    stage.agent()
    (job,) = stage.submit(stage.group(), walltime="1h")
    administrator = administrator_of(stage.runtime)
    stage.runtime.database.run(
        lambda transaction: act_on_job(transaction, stage.runtime, administrator, job, JobAction.HOLD)
    )
    assert code(stage, job) is ReasonCode.ETA_NOT_LOOKED_AT


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_sentence_of_an_estimate_says_that_it_is_one_or_that_nothing_is_known(language: str) -> None:
    assert set(ETA_TEXTS) == {code for code in ReasonCode if code.name.startswith("ETA_")}
    for _, korean, english in ETA_TEXTS.values():
        text = korean if language == "ko" else english
        assert text.startswith(("추정", "알 수 없음") if language == "ko" else ("An estimate", "Unknown"))


def test_the_scheduler_s_own_follower_knows_what_a_run_s_job_is_when_it_waits_again(stage: Stage) -> None:
    agent = stage.agent(gpus=2)
    checkpoint = {"directory": "auto", "grace": "30s"}
    (job,) = stage.submit(stage.group(), gpus_per_worker=2, walltime="1h", checkpoint=checkpoint)
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    stage.follower.catch_up()
    row, run = stage.job(job), stage.run(job)
    known = stage.follower.federation.live_runs[run.id]  # type: ignore[index]
    again = known.returns_as
    assert again is not None
    assert (again.id, again.shape, again.submitted_ms, again.priority) == (
        job,
        row.shape_id,
        row.submitted_ms,
        row.priority,
    )
    assert (again.bound_site, again.walltime_ms) == (run.site_id, HOUR_MS)
    assert known.expected_end_ms == stage.clock.now_ms() + HOUR_MS


def test_a_forecast_that_took_long_is_kept_for_longer_than_a_minute(stage: Stage) -> None:
    stage.agent(gpus=2)
    group = stage.group()
    (first,) = stage.submit(group, walltime="1h")

    def slowly() -> tuple[Federation, LeftOn]:
        stage.follower.catch_up()
        stage.clock.advance(20)
        return stage.follower.federation.copy(), left_on_any

    forecasts = Forecasts(slowly, stage.clock)
    made_ms = forecasts.of(first).made_ms
    (late,) = stage.submit(group, walltime="1h")
    stage.clock.advance(20 * KEPT_FOR_ITS_COST)
    told = forecasts.of(late)
    assert (told.eta, told.made_ms, forecasts.of(first).made_ms) == (None, made_ms, made_ms)
    stage.clock.advance(1)
    assert forecasts.of(late).eta is not None
