"""Lending in production: the scheduler's turns by what the record says of offers, recalls and maintenance."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from offered import offer
from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.cycle.decide import decide
from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller
from scheduler.service.jobs import why_job
from scheduler.service.round_commit import commit_starts
from scheduler.service.usage import show_owed
from scheduler.store import recalls, reservations
from scheduler.store.transaction import WriteTransaction

HOUR = 3600


def opens_for(stage: Stage, hours: int) -> dict[str, object]:
    """A calendar that is open from now on for some hours of today and every day."""
    now = datetime.fromtimestamp(stage.clock.now_ms() / 1000, tz=UTC)
    closes = (now.hour + hours) % 24
    return {"time_zone": "UTC", "windows": [{"from": f"{now:%H:%M}", "to": f"{closes:02}:{now:%M}"}]}


def reason(stage: Stage, administrator: Caller, job: int) -> ReasonCode | None:
    stage.runtime.world.forget()
    told = why_job(stage.runtime, administrator, job)
    assert not isinstance(told, type(None)) and hasattr(told, "job")
    return None if told.job.reason is None else told.job.reason.code


def test_a_site_lends_no_more_nodes_than_it_offers(stage: Stage, administrator: Caller) -> None:
    agent = stage.agent(nodes=4, gpus=8)
    offer(stage, agent)
    jobs = stage.submit(stage.group(), 3, gpus_per_worker=8)
    assert stage.turn() == 2
    assert [stage.job(job).state for job in jobs] == ["leased", "leased", "queued"]


def test_a_window_takes_what_ends_in_it_or_saves_its_state_and_says_so_to_others(
    stage: Stage, administrator: Caller
) -> None:
    agent = stage.agent(nodes=4, gpus=8)
    offer(stage, agent, calendar=opens_for(stage, 2))
    group = stage.group()
    (endless,) = stage.submit(group, gpus_per_worker=8)
    assert stage.turn() == 0
    assert reason(stage, administrator, endless) is ReasonCode.LENT_TOO_SHORT
    (timed,) = stage.submit(group, gpus_per_worker=8, walltime="2h")
    (saving,) = stage.submit(group, gpus_per_worker=8, checkpoint={})
    assert stage.turn() == 2
    assert [stage.job(job).state for job in (endless, timed, saving)] == ["queued", "leased", "leased"]


def test_an_offer_for_others_is_said_to_be(stage: Stage, administrator: Caller) -> None:
    agent = stage.agent(nodes=4, gpus=8)
    offer(stage, agent, sectors=["public"])
    (job,) = stage.submit(stage.group(), gpus_per_worker=8)
    assert stage.turn() == 0
    assert reason(stage, administrator, job) is ReasonCode.NOT_LENT_TO


def test_at_a_window_s_end_a_run_is_told_in_time_and_its_job_waits_again(stage: Stage) -> None:
    agent = stage.agent(nodes=2, gpus=8)
    offer(stage, agent, calendar=opens_for(stage, 2))
    (job,) = stage.submit(stage.group(), gpus_per_worker=8, checkpoint={"grace": "2m"})
    assert stage.turn() == 1
    run = stage.run(job)
    started_ms = stage.clock.now_ms()
    agent.sync(runs_now(run, started_ms))
    stage.clock.advance(2 * HOUR - 121)
    agent.sync(runs_now(run, started_ms))
    assert stage.turn() == 0
    stage.clock.advance(1)
    assert stage.turn() == 1
    assert (stage.run(job).stop_cause, stage.job(job).state) == ("recalled", "preempting")
    (stop,) = agent.sync(runs_now(run, started_ms)).stop
    assert (stop.cause, stop.grace_seconds) == (EndCause.RECALLED, 120)
    stage.clock.advance(5)
    agent.sync(ended(run, started_ms, stage.clock.now_ms(), cause=EndCause.RECALLED))
    stage.turn()
    assert stage.job(job).state == "queued"


def test_a_recall_empties_the_very_nodes_that_it_names_and_nothing_starts_there_again(stage: Stage) -> None:
    agent = stage.agent(nodes=2, gpus=8)
    offer(stage, agent)
    first, second = stage.submit(stage.group(), 2, gpus_per_worker=8)
    assert stage.turn() == 2
    taken, by_ms = stage.run(first).gang[0][0], stage.clock.now_ms() + HOUR * 1000

    def recall(transaction: WriteTransaction) -> None:
        recalls.add(
            transaction, site_id=agent.site_id, gpu_class="h100", node_ids=[taken], by_ms=by_ms, until_ms=None,
            created_by="minseo",
        )  # fmt: skip

    stage.runtime.database.run(recall)
    assert stage.turn() == 0
    stage.clock.advance(HOUR)
    started_ms = stage.clock.now_ms() - HOUR * 1000
    live = [runs_now(stage.run(job), started_ms) for job in (first, second)]
    agent.sync(*live)
    assert stage.turn() == 1
    assert [stage.run(job).stop_cause for job in (first, second)] == ["recalled", None]
    agent.sync(ended(stage.run(first), started_ms, stage.clock.now_ms(), cause=EndCause.RECALLED))
    stage.turn()
    assert stage.job(first).state == "queued"


def test_maintenance_is_kept_clear_of_what_would_not_be_done_by_then(stage: Stage) -> None:
    agent = stage.agent(nodes=1, gpus=8)
    now_ms = stage.clock.now_ms()

    def reserve(transaction: WriteTransaction) -> None:
        (node,) = stage.follower.federation.snapshot().nodes
        reservations.add(
            transaction, site_id=agent.site_id, gpu_class=None, node_ids=[node], from_ms=now_ms + HOUR * 1000,
            to_ms=now_ms + 2 * HOUR * 1000, reason="cables", created_by="minseo",
        )  # fmt: skip

    stage.turn()
    stage.runtime.database.run(reserve)
    group = stage.group()
    (endless,) = stage.submit(group, gpus_per_worker=8)
    assert stage.turn() == 0
    (timed,) = stage.submit(group, gpus_per_worker=4, walltime="1h")
    assert stage.turn() == 1
    assert [stage.job(job).state for job in (endless, timed)] == ["queued", "leased"]
    agent.sync(ended(stage.run(timed), now_ms, now_ms + 1000))
    stage.clock.advance(2 * HOUR)
    agent.sync()
    assert stage.turn() == 1
    assert stage.job(endless).state == "leased"


def test_what_was_decided_before_an_offer_changed_is_not_committed(stage: Stage) -> None:
    agent = stage.agent(nodes=2, gpus=8)
    stage.submit(stage.group(), gpus_per_worker=8)
    stage.follower.catch_up()
    snapshot, known = stage.follower.federation.snapshot(), stage.follower.rules_change
    plan = decide(snapshot, 0)
    assert len(plan.starts) == 1
    offer(stage, agent, sectors=["public"])

    def commit(transaction: WriteTransaction) -> int:
        return commit_starts(transaction, plan.starts, snapshot.shapes, known)

    assert stage.runtime.database.run(commit, stage.fence) == 0


def owed(stage: Stage, administrator: Caller, agent: ScriptedAgent, job: int) -> Fraction | None:
    """What the lender is owed once a job has run for an hour."""
    started_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(job), started_ms))
    stage.clock.advance(HOUR)
    agent.sync(ended(stage.run(job), started_ms, stage.clock.now_ms(), cause=EndCause.EXITED, exit_code=0))
    found = show_owed(stage.runtime, administrator, "site-1")
    assert not isinstance(found, Refusal)
    (each,) = found
    return each.credits


def test_a_lender_is_owed_what_its_offers_say_and_for_the_rest_what_the_exchange_table_says(
    stage: Stage, administrator: Caller
) -> None:
    agent = stage.agent(nodes=2, gpus=8)
    offer(stage, agent, nodes=1, rate="9/4")
    offer(stage, agent, nodes=1)
    (job,) = stage.submit(stage.group(), workers=2, gpus_per_worker=8)
    assert stage.turn() == 1
    assert sorted(stage.run(job).lender_rates or [], key=str) == [[8, "9/4"], [8, None]]
    assert owed(stage, administrator, agent, job) == 8 * Fraction(9, 4) + 8


def test_a_run_keeps_the_rate_with_which_it_started_and_one_under_no_rate_has_none(
    stage: Stage, administrator: Caller
) -> None:
    agent, group = stage.agent(nodes=2, gpus=8), stage.group()
    (before,) = stage.submit(group, gpus_per_worker=8)
    stage.turn()
    offer(stage, agent, rate=3)
    (after,) = stage.submit(group, gpus_per_worker=8)
    stage.turn()
    assert (stage.run(before).lender_rates, stage.run(after).lender_rates) == (None, [[8, "3"]])
    assert owed(stage, administrator, agent, before) == 8
