"""The certificate, from what agents report to what everybody is told."""

from __future__ import annotations

from typing import Any

import pytest
from clearings import commit, plan_of, stop_of
from runtime import ScriptedAgent, Stage, node
from sqlalchemy import update
from told_runs import end, start

from scheduler.cycle.certificate_record import ReportedGpus
from scheduler.cycle.plan import StopCause
from scheduler.model.errors import LeadershipLost
from scheduler.model.ids import SiteId
from scheduler.model.job_state import EndCause
from scheduler.model.offer import OfferSpec
from scheduler.model.reason import ReasonCode
from scheduler.service import certificate, certificate_keeper
from scheduler.service.certificate import Certified, SitePrice, show_certificate
from scheduler.service.certificate_keeper import keep_certificate
from scheduler.service.lending import terms_text
from scheduler.service.runtime import Runtime
from scheduler.store import offers, reported_gpus
from scheduler.store.certificate_tables import reported_gpus as table

SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "60s"}


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """Each of them on both databases."""
    return on_both


def made(stage: Stage) -> Certified:
    """A certificate as servers read it."""
    stage.follower.catch_up()
    kept = keep_certificate(stage.runtime, stage.follower.federation.snapshot(), stage.fence)
    told = show_certificate(stage.runtime).certified
    assert told == kept
    return kept


def test_before_the_first_nothing_is_known_and_that_is_said(stage: Stage) -> None:
    told = show_certificate(stage.runtime)
    assert (told.report.code, told.certified) == (ReasonCode.CERTIFICATE_NOT_MADE, None)
    made(stage)
    told = show_certificate(stage.runtime)
    assert (told.report.code, told.report.numbers["left_out"]) == (ReasonCode.CERTIFICATE_WITHOUT_JOBS, 0)


def test_jobs_that_took_turns_are_certified_and_those_that_did_not_succeed_are_not(
    stage: Stage, agent: ScriptedAgent
) -> None:
    group = stage.group()
    one, two, failing = stage.submit(group, 3, gpus_per_worker=8, gpu_classes=["h100"])
    for job, code in ((one, 0), (two, 0), (failing, 1)):
        start(stage, agent, job)
        stage.clock.advance(100)
        end(stage, agent, job, exit_code=code)
    (cancelled,) = stage.submit(group, gpus_per_worker=8)
    stage.change_job(cancelled, state="cancelled", ended_ms=stage.clock.now_ms())
    record = made(stage).record
    assert record is not None
    assert (record.jobs, record.left_out, record.mean_completion_seconds) == (2, 0, 150.0)
    assert record.mean_completion_lower_bound_seconds == pytest.approx(150.0)
    report = show_certificate(stage.runtime).report
    assert report.code is ReasonCode.CERTIFICATE_STANDS
    numbers = report.numbers
    assert (numbers["jobs"], numbers["mean"], numbers["bound"], numbers["percent"]) == (2, "2m30s", "2m30s", 0.0)


@pytest.mark.parametrize(("before", "after", "needed"), [(300, 50, 300 + 30 - 60), (100, 200, 200)])
def test_a_job_that_was_ended_for_others_needed_the_longer_of_what_it_had_before_and_after(
    stage: Stage, agent: ScriptedAgent, before: int, after: int, needed: int
) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=8, checkpoint=SAVES)
    start(stage, agent, job)
    stage.clock.advance(before)
    commit(stage, plan_of(stop_of(stage.run(job), None, StopCause.RECLAIMED)))
    stage.clock.advance(30)
    end(stage, agent, job, cause=EndCause.RECLAIMED)
    start(stage, agent, job)
    assert stage.run(job).served_ms == (before + 30) * 1000
    stage.clock.advance(after)
    end(stage, agent, job)
    record = made(stage).record
    assert record is not None
    assert (record.jobs, record.mean_completion_seconds) == (1, before + 30 + after)
    assert record.mean_completion_lower_bound_seconds == pytest.approx(needed)


def test_nodes_that_a_site_did_not_lend_are_not_counted(stage: Stage) -> None:
    agent = stage.agent(nodes=2)
    spec = OfferSpec.model_validate({"site": "site-1", "gpu_class": "h100", "nodes": 1, "notice": "1h"})
    terms = terms_text(spec)
    stage.runtime.database.run(
        lambda each: offers.add(each, site_id=agent.site_id, group_id=None, terms=terms, created_by="lender")
    )
    for job in stage.submit(stage.group(), 2, gpus_per_worker=8):
        start(stage, agent, job)
        stage.clock.advance(100)
        end(stage, agent, job)
    record = made(stage).record
    assert record is not None
    assert record.mean_completion_seconds == 150.0
    assert record.mean_completion_lower_bound_seconds == pytest.approx(150.0)


def test_what_sites_have_after_a_migration_is_noted(stage: Stage, agent: ScriptedAgent) -> None:
    """Until then a node that has gone counts as if it were there."""
    before = ReportedGpus(SiteId(agent.site_id), "h100", 0, 16, 8)
    stage.runtime.database.run(lambda each: each.connection.execute(update(table).values(at_ms=0, gpus=16)))
    with stage.runtime.database.read() as connection:
        assert reported_gpus.since(connection, 0) == [before]
    made(stage)
    now_ms = stage.clock.now_ms()
    with stage.runtime.database.read() as connection:
        assert reported_gpus.since(connection, 0) == [before, before._replace(at_ms=now_ms, gpus=8)]


def test_it_speaks_of_the_last_days_and_of_the_newest_jobs_alone(
    stage: Stage, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = stage.group()
    for job in stage.submit(group, 3, gpus_per_worker=8):
        start(stage, agent, job)
        stage.clock.advance(10)
        end(stage, agent, job)
    last_ms = stage.clock.now_ms()
    monkeypatch.setattr(certificate, "JOBS_MAX", 2)
    few = made(stage)
    assert few.record is not None
    assert (few.record.jobs, few.record.mean_completion_seconds, few.since_ms) == (2, 25.0, last_ms - 10_000)
    stage.clock.advance(7 * 86_400)
    later = made(stage)
    assert (later.record, later.left_out, later.since_ms) == (None, 0, last_ms)


def test_an_elastic_job_is_left_out(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=4, gpu_classes=["h100"], workers={"min": 1, "max": 2})
    start(stage, agent, job)
    stage.clock.advance(100)
    end(stage, agent, job)
    certified = made(stage)
    assert (certified.record, certified.left_out) == (None, 1)


def test_a_job_that_another_schedule_might_have_given_another_class_is_left_out(
    stage: Stage, agent: ScriptedAgent
) -> None:
    for spec in ({}, {"gpu_classes": ["h100"]}):
        (job,) = stage.submit(stage.group(f"group-{len(spec)}"), gpus_per_worker=8, **spec)
        start(stage, agent, job)
        stage.clock.advance(10)
        end(stage, agent, job)
    record = made(stage).record
    assert record is not None
    assert (record.jobs, record.left_out) == (2, 0)
    stage.agent("site-2", nodes=0).report_nodes(node("n1", gpu_class="a100"))
    record = made(stage).record
    assert record is not None
    assert (record.jobs, record.left_out) == (1, 1)


def test_those_who_wait_put_a_price_on_what_they_wait_for(
    stage: Stage, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = stage.group()
    assert made(stage).prices == (SitePrice(site="site-1", gpu_class="h100", hours_saved=0.0),)
    stage.submit(group, 6, gpus_per_worker=8, walltime="1h")
    stage.submit(group, gpus_per_worker=8)
    told = made(stage)
    assert told.prices is not None
    assert (told.waiting, told.without_time) == (7, 1)
    assert told.prices[0].hours_saved * 8 == pytest.approx(5.0, rel=0.2)
    monkeypatch.setattr(certificate, "WAITING_MAX", 6)
    assert made(stage).prices is None
    reason = show_certificate(stage.runtime).no_prices
    assert reason is not None
    assert (reason.code, reason.numbers["waiting"]) == (ReasonCode.PRICES_TOO_MANY_WAITING, 7)


def test_a_scheduler_that_leads_no_more_when_it_is_done_keeps_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = certificate_keeper.make_certificate

    def meanwhile(*given: Any) -> Certified:
        stage.clock.advance(11)
        stage.lead("another")
        return make(*given)

    monkeypatch.setattr(certificate_keeper, "make_certificate", meanwhile)
    with pytest.raises(LeadershipLost):
        keep_certificate(stage.runtime, stage.follower.federation.snapshot(), stage.fence)
    assert show_certificate(stage.runtime).certified is None
