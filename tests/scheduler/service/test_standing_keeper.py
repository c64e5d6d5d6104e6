"""Standing in production: looked at by the scheduler that leads, kept over restarts, and asked by rounds."""

from __future__ import annotations

import threading

import pytest
from eventually import eventually
from runtime import ScriptedAgent, Stage, administrator_of, ended, runs_now

from quota.decay import DEFAULT_DECAY, Decay, DecayedUse
from quota.standing import PARTS, Standing
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.offer import OfferSpec
from scheduler.model.reason import Refusal
from scheduler.service.follow import Follower
from scheduler.service.loop import SchedulerLoop
from scheduler.service.offers import OfferView, create_offer
from scheduler.service.past_use import set_decay
from scheduler.service.quotas import QuotaView, show_quotas
from scheduler.service.runtime import Runtime
from scheduler.service.standing_keeper import StandingKeeper, keep_standing
from scheduler.store import leadership, quotas, standings
from scheduler.store.follow import latest_change
from scheduler.store.past_uses import DecayRule

HOUR_MS = 3_600_000


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """Each of them on both databases."""
    return on_both


def look(stage: Stage) -> int:
    """What a turn of the loop does when it is time."""
    stage.follower.catch_up()
    return keep_standing(stage.runtime, stage.follower.federation.snapshot(), stage.fence)


def in_record(stage: Stage) -> dict[tuple[int, str], Standing]:
    with stage.runtime.database.read() as connection:
        return standings.every(connection)


def answered(answer: list[QuotaView] | Refusal) -> list[QuotaView]:
    assert not isinstance(answer, Refusal), answer
    return answer


def newest_change(stage: Stage) -> int:
    with stage.runtime.database.read() as connection:
        return latest_change(connection)


def seconds_of(stage: Stage, follower: Follower, group: int) -> int:
    follower.catch_up()
    snapshot = follower.federation.snapshot()
    own = snapshot.standing.own("h100")
    return 0 if own is None else int(own[snapshot.tree.positions[group]])


def follower_of(stage: Stage) -> Follower:
    return Follower(stage.runtime.database, stage.clock, DEFAULT_POLICY, stage.runtime.settings.preemption)


def guarantee(stage: Stage, group: int, gpus: int) -> None:
    limits = {"limit": None, "borrowing_limit": None, "lending_limit": None}
    stage.runtime.database.run(
        lambda each: quotas.put(each, group_id=group, gpu_class="h100", guaranteed=gpus, weight=1, **limits)
    )


def lender_and_user(stage: Stage, agent: ScriptedAgent) -> tuple[int, int, int]:
    """Two groups that are guaranteed four each, and a job of the second on all eight."""
    lender, user = stage.group("lender"), stage.group("user")
    for group in (lender, user):
        guarantee(stage, group, 4)
    (job,) = stage.submit(user, gpus_per_worker=8)
    agent.sync()
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    return lender, user, job


def test_a_lender_earns_while_others_use_what_it_leaves_and_nothing_afterwards(
    stage: Stage, agent: ScriptedAgent
) -> None:
    lender, _, job = lender_and_user(stage, agent)
    assert look(stage) == 1
    before = newest_change(stage)
    assert (look(stage), newest_change(stage)) == (0, before), "nothing is written where nothing has changed"
    began_ms = stage.clock.now_ms()
    stage.clock.advance(3600)
    expected = DEFAULT_DECAY.after(DecayedUse(0, began_ms), 4, stage.clock.now_ms()).gpu_milliseconds // 1000
    assert seconds_of(stage, stage.follower, lender) == pytest.approx(expected, abs=1)
    (view,) = answered(show_quotas(stage.runtime, administrator_of(stage.runtime), "lender"))
    assert (view.use.lends_gpus, view.use.surges_gpus, view.use.surged_gpus) == (4.0, 0.0, 0.0)
    assert (
        view.use.standing_gpus
        == view.use.lent_gpus
        == pytest.approx(expected * 1000 / DEFAULT_DECAY.half_life_ms, rel=1e-3)
    )
    assert view.use.standing_gpu_seconds == pytest.approx(expected, abs=1)
    run = stage.run(job)
    agent.sync(ended(run, run.started_ms, stage.clock.now_ms()))
    assert look(stage) == 1
    assert in_record(stage)[lender, "h100"].lends == 0
    stage.clock.advance(DEFAULT_DECAY.half_life_ms // 1000)
    assert seconds_of(stage, stage.follower, lender) == pytest.approx(expected / 2, abs=2)


def test_the_group_of_an_offer_earns_by_the_runs_of_others_on_its_nodes(stage: Stage, agent: ScriptedAgent) -> None:
    lender, user, administrator = stage.group("lender"), stage.group("user"), administrator_of(stage.runtime)
    terms = {"site": agent.site.name, "gpu_class": "h100", "nodes": 1, "notice": "none", "group": "lender"}
    spec = OfferSpec.model_validate(terms)
    made = stage.runtime.database.run(lambda each: create_offer(each, stage.runtime, administrator, spec, ""))
    assert isinstance(made, OfferView), made
    (job,) = stage.submit(user, gpus_per_worker=8)
    agent.sync()
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    assert look(stage) == 1
    assert in_record(stage)[lender, "h100"].lends == 8 * PARTS
    stage.clock.advance(60)
    stage.follower.catch_up()
    snapshot = stage.follower.federation.snapshot()
    ranks = snapshot.standing.ranks(snapshot.tree.of_class("h100"))
    assert ranks[snapshot.tree.positions[lender]] < ranks[snapshot.tree.positions[user]]


def test_a_scheduler_that_starts_anew_counts_the_very_same(stage: Stage, agent: ScriptedAgent) -> None:
    lender, user, _ = lender_and_user(stage, agent)
    for _ in range(3):
        stage.clock.advance(5000)
        look(stage)
    stage.clock.advance(777)
    for group in (lender, user):
        assert seconds_of(stage, stage.follower, group) == seconds_of(stage, follower_of(stage), group)
    assert seconds_of(stage, stage.follower, lender) > 0


def test_another_half_life_leaves_everybody_the_average_they_had(stage: Stage, agent: ScriptedAgent) -> None:
    lender, _, _ = lender_and_user(stage, agent)
    look(stage)
    stage.clock.advance(20 * 86_400)
    before = seconds_of(stage, stage.follower, lender) / DEFAULT_DECAY.half_life_ms
    day, administrator = Decay(half_life_ms=86_400_000), administrator_of(stage.runtime)
    answer = stage.runtime.database.run(
        lambda each: set_decay(each, stage.runtime, administrator, day, etag="0", why="test")
    )
    assert isinstance(answer, DecayRule)
    assert seconds_of(stage, stage.follower, lender) / day.half_life_ms == pytest.approx(before, rel=1e-3)
    assert in_record(stage)[lender, "h100"].lends == 4 * PARTS


def test_the_scheduler_looks_at_once_and_then_when_it_is_time(stage: Stage, agent: ScriptedAgent) -> None:
    keeper = StandingKeeper(stage.runtime)
    shown = list[Snapshot]()

    def show() -> Snapshot:
        shown.append(stage.follower.federation.snapshot())
        return shown[-1]

    for advance_seconds, looks in ((0, 1), (0, 1), (stage.runtime.settings.standing_seconds, 2)):
        stage.clock.advance(advance_seconds)
        keeper.look_when_due(show, stage.fence)
        assert len(shown) == looks


def test_the_scheduler_that_leads_looks_by_itself(stage: Stage, agent: ScriptedAgent) -> None:
    lender, _, _ = lender_and_user(stage, agent)
    leadership.release(stage.runtime.database, stage.fence)
    loop = SchedulerLoop(stage.runtime, "alone")
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        eventually(lambda: (lender, "h100") in in_record(stage), 20, "what it lends")
    finally:
        loop.stop()
        thread.join(10)
    assert not thread.is_alive()
