"""What a lender was told of each run when it asked is what rounds then do, to the millisecond."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from runtime import ScriptedAgent, Stage, runs_now

from scheduler.model.offer import OfferSpec
from scheduler.model.reason import Refusal
from scheduler.service.caller import Caller
from scheduler.service.offers import OfferView, close_offer, create_offer
from scheduler.service.recalls import RecallInput, recall, withdraw_recall
from scheduler.service.reservations import ReservationInput, reserve, withdraw_reservation

HOUR_MS = 3_600_000
GRACE_MS = {False: 10_000, True: 300_000}


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site of four nodes."""
    return stage.agent(nodes=4)


@pytest.fixture
def offer(stage: Stage, agent: ScriptedAgent, administrator: Caller) -> OfferView:
    """Three of them, with an hour's notice."""
    spec = OfferSpec.model_validate({"site": "site-1", "gpu_class": "h100", "nodes": 3, "notice": "1h"})
    made = stage.runtime.database.run(
        lambda transaction: create_offer(transaction, stage.runtime, administrator, spec, "")
    )
    assert isinstance(made, OfferView)
    return made


@pytest.fixture
def live(stage: Stage, agent: ScriptedAgent, offer: OfferView) -> Mapping[int, bool]:
    """Three runs of a node each, and a job that waits; whether each run saves its state."""
    group = stage.group()
    plain = stage.submit(group, gpus_per_worker=8)
    saving = stage.submit(group, 3, gpus_per_worker=8, checkpoint={"grace": "5m"})
    assert stage.turn() == 3, "no more nodes than are offered"
    made = [job for job in (*plain, *saving) if stage.runs(job)]
    agent.sync(*(runs_now(stage.run(job), stage.clock.now_ms()) for job in made))
    return {job: job in saving for job in made}


def told_at(stage: Stage, live: Mapping[int, bool], moments_ms: set[int]) -> dict[int, int]:
    """By job, the first of these moments at which its run was told to go; one round at each of them and just before."""
    found: dict[int, int] = {}
    for at_ms in sorted({each for moment_ms in moments_ms for each in (moment_ms - 1, moment_ms)}):
        stage.clock.jump((at_ms - stage.clock.now_ms()) / 1000)
        stage.turn()
        for job in live.keys() - found.keys():
            if stage.run(job).stop_cause is not None:
                assert (stage.run(job).stop_cause, stage.run(job).stop_grace_ms) == ("recalled", GRACE_MS[live[job]])
                found[job] = at_ms
    return found


@pytest.mark.parametrize("asks", ["recall", "reserve"])
def test_every_run_of_the_plan_is_told_when_it_says_and_no_other(
    stage: Stage, live: Mapping[int, bool], administrator: Caller, asks: str
) -> None:
    deadline_ms = stage.clock.now_ms() + 2 * HOUR_MS
    asked = RecallInput(gpu_class="h100", nodes=2, by_ms=deadline_ms)
    wanted = ReservationInput(gpu_class="h100", count=3, from_ms=deadline_ms, reason="new cables")
    made = stage.runtime.database.run(
        lambda transaction: (
            recall(transaction, stage.runtime, administrator, "site-1", asked, "")
            if asks == "recall"
            else reserve(transaction, stage.runtime, administrator, "site-1", wanted)
        )
    )
    assert not isinstance(made, Refusal)
    plan = {each.run.job_id: each.told_ms for each in made.departures}
    assert len(plan) == 2
    assert told_at(stage, live, {*plan.values(), deadline_ms}) == plan


@pytest.mark.parametrize("asks", ["recall", "reserve"])
def test_nobody_is_told_for_what_was_withdrawn(
    stage: Stage, live: Mapping[int, bool], administrator: Caller, asks: str
) -> None:
    deadline_ms, runtime = stage.clock.now_ms() + 2 * HOUR_MS, stage.runtime
    asked = RecallInput(gpu_class="h100", nodes=3, by_ms=deadline_ms)
    wanted = ReservationInput(from_ms=deadline_ms, reason="new cables")
    if asks == "recall":
        recalled = runtime.database.run(lambda each: recall(each, runtime, administrator, "site-1", asked, ""))
        assert not isinstance(recalled, Refusal)
        runtime.database.run(lambda each: withdraw_recall(each, runtime, administrator, recalled.row.id, ""))
    else:
        reserved = runtime.database.run(lambda each: reserve(each, runtime, administrator, "site-1", wanted))
        assert not isinstance(reserved, Refusal)
        runtime.database.run(lambda each: withdraw_reservation(each, runtime, administrator, reserved.row.id, ""))
    assert told_at(stage, live, {deadline_ms}) == {}


def test_a_closed_offer_s_runs_are_told_in_time_for_the_end_of_its_notice(
    stage: Stage, live: Mapping[int, bool], offer: OfferView, administrator: Caller
) -> None:
    closed = stage.runtime.database.run(
        lambda transaction: close_offer(transaction, stage.runtime, administrator, offer.row.id, "")
    )
    assert not isinstance(closed, Refusal) and closed.row.closes_ms == stage.clock.now_ms() + HOUR_MS
    plan = {job: closed.row.closes_ms - GRACE_MS[saves] for job, saves in live.items()}
    assert told_at(stage, live, set(plan.values())) == plan
