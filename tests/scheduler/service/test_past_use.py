"""What groups used before: written with the ledger as runs end, followed, kept over restarts, and asked by rounds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from clearings import commit, plan_of, stop_of
from runtime import ScriptedAgent, Stage, administrator_of, ended, runs_now
from sqlalchemy import select

from quota.decay import DEFAULT_DECAY, Decay, DecayedUse
from scheduler.cycle.past_use import PastUse
from scheduler.cycle.plan import StopCause
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller
from scheduler.service.follow import Follower
from scheduler.service.past_use import set_decay, show_decay
from scheduler.service.quotas import show_quotas
from scheduler.service.run_end import RunEnd, RunEnds
from scheduler.service.runtime import Runtime
from scheduler.store import past_uses
from scheduler.store.past_uses import DecayRule
from scheduler.store.tables import ledger, runs

DAY_SECONDS = 86_400
SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "60s"}


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """Each of them on both databases."""
    return on_both


def start(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    agent.sync()  # its site was not heard for long
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))


def end(stage: Stage, agent: ScriptedAgent, job: int, **how: Any) -> None:
    run = stage.run(job)
    agent.sync(ended(run, run.started_ms, stage.clock.now_ms(), **how))


def run_for(stage: Stage, agent: ScriptedAgent, group: int, seconds: int) -> int:
    """A job of 8 GPUs from its submission to its end."""
    (job,) = stage.submit(group, gpus_per_worker=8)
    start(stage, agent, job)
    stage.clock.advance(seconds)
    end(stage, agent, job)
    return job


def in_record(stage: Stage) -> dict[tuple[int, str], float]:
    """GPU-hours, decayed up to now."""
    with stage.runtime.database.read() as connection:
        decay, uses = past_uses.rule(connection).decay, past_uses.every(connection)
    now_ms = stage.clock.now_ms()
    return {key: decay.after(use, 0, max(use.at_ms, now_ms)).gpu_milliseconds / 3_600_000 for key, use in uses.items()}


def by_the_ledger(stage: Stage) -> dict[tuple[int, str], float]:
    """The same from nothing but what groups were charged for each run in the end."""
    now_ms = stage.clock.now_ms()
    found: dict[tuple[int, str], DecayedUse] = defaultdict(lambda: DecayedUse(0, now_ms))
    with stage.runtime.database.read() as connection:
        entries = connection.execute(
            select(ledger, runs.c.gpus)
            .join(runs, runs.c.id == ledger.c.run_id)
            .where(ledger.c.account_kind == "consumer")
        ).all()
    for each in sorted(entries, key=lambda each: -each.gpu_milliseconds):
        gpus = each.gpus if each.gpu_milliseconds > 0 else -each.gpus
        key = each.account_id, each.gpu_class
        found[key] = DEFAULT_DECAY.with_spell(found[key], gpus, each.start_ms, each.end_ms)
    return {key: use.gpu_milliseconds / 3_600_000 for key, use in found.items()}


def shown(follower: Follower, stage: Stage) -> tuple[PastUse, dict[str, list[int]]]:
    follower.catch_up()
    past = follower.federation.snapshot().past_use
    return past, {name: own.tolist() for name in past.counts if (own := past.own(name)) is not None}


def follower_of(stage: Stage) -> Follower:
    return Follower(stage.runtime.database, stage.clock, DEFAULT_POLICY, stage.runtime.settings.preemption)


def test_what_groups_were_charged_is_what_they_are_known_to_have_used(stage: Stage, agent: ScriptedAgent) -> None:
    one, two = stage.group("one"), stage.group("two")
    for group, seconds in ((one, 3600), (two, DAY_SECONDS), (one, 5)):
        run_for(stage, agent, group, seconds)
        stage.clock.advance(7200)
    found = in_record(stage)
    assert set(found) == {(one, "h100"), (two, "h100")}
    assert found == pytest.approx(by_the_ledger(stage), rel=1e-6)
    assert found[two, "h100"] > 10 * found[one, "h100"] > 0


def test_a_run_counts_the_same_a_moment_before_and_after_its_end(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=8)
    start(stage, agent, job)
    stage.clock.advance(3 * DAY_SECONDS)
    agent.sync(runs_now(stage.run(job), stage.run(job).started_ms or 0))
    live, ended_ = shown(stage.follower, stage)[1], {}
    end(stage, agent, job)
    ended_ = shown(stage.follower, stage)[1]
    assert sum(live["h100"]) > 8 * DAY_SECONDS
    assert ended_["h100"] == pytest.approx(live["h100"], abs=2)


def test_a_scheduler_that_starts_anew_counts_the_very_same(stage: Stage, agent: ScriptedAgent) -> None:
    groups = [stage.group("one"), stage.group("two")]
    for number, seconds in enumerate((40, 5000, 3 * DAY_SECONDS, 77, 9 * DAY_SECONDS, 1)):
        run_for(stage, agent, groups[number % 2], seconds)
        stage.clock.advance(number * DAY_SECONDS)
        shown(stage.follower, stage)
    (running,) = stage.submit(groups[0], gpus_per_worker=4)
    start(stage, agent, running)
    stage.clock.advance(777)
    lasting, anew = shown(stage.follower, stage), shown(follower_of(stage), stage)
    assert lasting[1] == anew[1] and sum(anew[1]["h100"]) > 0
    assert lasting[0].growth == anew[0].growth


@pytest.mark.parametrize(("checkpoint", "charged"), [(SAVES, True), (None, False)])
def test_what_was_destroyed_for_others_is_no_use_of_the_group_that_lost_it(
    stage: Stage, agent: ScriptedAgent, checkpoint: dict[str, str] | None, charged: bool
) -> None:
    (job,) = stage.submit(
        stage.group(), gpus_per_worker=8, **({} if checkpoint is None else {"checkpoint": checkpoint})
    )
    start(stage, agent, job)
    stage.clock.advance(100)
    commit(stage, plan_of(stop_of(stage.run(job), None, StopCause.RECLAIMED)))
    stage.clock.advance(30)
    run, now_ms = stage.run(job), stage.clock.now_ms()
    agent.sync(ended(run, run.started_ms, now_ms, cause=EndCause.RECLAIMED).model_copy(update={"exit_code": 1}))
    assert bool(in_record(stage)) is charged
    assert in_record(stage) == pytest.approx(by_the_ledger(stage), rel=1e-6)


def test_a_correction_of_the_ledger_corrects_what_was_used(stage: Stage, agent: ScriptedAgent) -> None:
    group = stage.group()
    (job,) = stage.submit(group, gpus_per_worker=8)
    start(stage, agent, job)
    began_ms = stage.run(job).started_ms or 0
    stage.clock.advance(3600)
    end(stage, agent, job)
    stage.clock.advance(3600)

    def correct(transaction: Any) -> None:
        ends = RunEnds(transaction)
        known = RunEnd(cause=EndCause.EXITED, started_ms=began_ms, ended_ms=began_ms + 1_800_000)
        ends.correct(stage.run(job), stage.job(job), known, actor="test")
        ends.write()

    before = in_record(stage)[group, "h100"]
    stage.runtime.database.run(correct)
    assert in_record(stage)[group, "h100"] < 0.6 * before
    assert in_record(stage) == pytest.approx(by_the_ledger(stage), rel=1e-6)


def test_of_two_groups_that_are_equal_otherwise_the_one_that_used_less_before_starts(
    stage: Stage, agent: ScriptedAgent
) -> None:
    early, late = stage.group("a-group"), stage.group("b-group")
    first, second = (stage.submit(group, gpus_per_worker=8)[0] for group in (early, late))
    stage.turn()
    assert [len(stage.runs(job)) for job in (first, second)] == [1, 0], "by names, where nobody used anything"
    agent.sync(runs_now(stage.run(first), stage.clock.now_ms()))
    stage.submit(early, gpus_per_worker=8)
    stage.clock.advance(60)
    end(stage, agent, first)
    stage.turn()
    assert len(stage.runs(second)) == 1


def changed(stage: Stage, caller: Caller, decay: Decay, etag: int) -> DecayRule | Refusal:
    return stage.runtime.database.run(
        lambda transaction: set_decay(transaction, stage.runtime, caller, decay, etag=str(etag), why="test")
    )


def code_of(answer: object) -> ReasonCode:
    assert isinstance(answer, Refusal)
    return answer.code


def test_another_half_life_leaves_everybody_the_average_they_had(stage: Stage, agent: ScriptedAgent) -> None:
    group, administrator = stage.group(), administrator_of(stage.runtime)
    run_for(stage, agent, group, 40 * DAY_SECONDS)
    day = Decay(half_life_ms=DAY_SECONDS * 1000, entry_ms=0)

    def average() -> float:
        views = show_quotas(stage.runtime, administrator, "research")
        assert not isinstance(views, Refusal)
        (view,) = views
        return view.use.past_use_gpus

    before = average()
    assert before == pytest.approx(8, rel=0.05)
    rule = changed(stage, administrator, day, 0)
    assert isinstance(rule, DecayRule) and rule.decay == day == show_decay(stage.runtime).decay
    assert average() == pytest.approx(before, rel=1e-3)
    stage.clock.advance(DAY_SECONDS)
    assert average() == pytest.approx(before / 2, rel=1e-3)
    assert shown(stage.follower, stage)[1] == shown(follower_of(stage), stage)[1]
    assert changed(stage, administrator, day, rule.change) == rule, "nothing has changed"


def test_the_rule_is_set_by_administrators_against_what_they_read(stage: Stage) -> None:
    administrator, decay = administrator_of(stage.runtime), Decay(half_life_ms=3_600_000)
    assert show_decay(stage.runtime) == DecayRule(DEFAULT_DECAY, 0)
    manager = replace(administrator, administrator=False)
    assert code_of(changed(stage, manager, decay, 0)) is ReasonCode.FORBIDDEN
    assert code_of(changed(stage, administrator, decay, 7)) is ReasonCode.ETAG_MISMATCH
    assert isinstance(changed(stage, administrator, decay, 0), DecayRule)
    assert code_of(changed(stage, administrator, DEFAULT_DECAY, 0)) is ReasonCode.ETAG_MISMATCH
