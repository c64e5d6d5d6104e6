"""The rules of the one sync: what is told, until when, and what becomes of reports that come late, twice or astray."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from eventually import eventually
from runtime import ScriptedAgent, Stage, accepted, ended, ids_of, node, runs_now

from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.wire import CapacityReport, RunReport
from scheduler.store import events, nodes


def leased(stage: Stage, count: int = 1, **spec: Any) -> list[int]:
    """Jobs that a round has just leased; their ids."""
    jobs = stage.submit(stage.group(), count, **spec)
    assert stage.turn() == count
    return jobs


def running(stage: Stage, agent: ScriptedAgent, **spec: Any) -> int:
    """A job whose run the agent has reported as running."""
    (job,) = leased(stage, **spec)
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    return job


def test_a_leased_run_is_ordered_again_until_the_agent_reports_it(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = leased(stage)
    run = stage.run(job)
    assert ids_of(agent.sync().start) == [run.id]
    assert ids_of(agent.sync().start) == []  # told a moment ago
    stage.clock.advance(2.5)
    assert ids_of(agent.sync().start) == [run.id]  # the answer may have been lost
    agent.sync(runs_now(run, stage.clock.now_ms(), RunPhase.STARTING))
    stage.clock.advance(2.5)
    assert ids_of(agent.sync().start) == []
    assert stage.job(job).state == "starting"


def test_an_agent_or_a_server_that_was_started_anew_is_told_at_once(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = leased(stage)
    agent.sync()
    agent.sequence += 1 << 32
    assert ids_of(agent.sync().start) == [stage.run(job).id]
    stage.restart_server()
    assert ids_of(agent.sync().start) == [stage.run(job).id]


def test_an_order_carries_everything_that_the_run_needs(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = leased(stage, workers=2, gpus_per_worker=4, environment={"A": "b"}, walltime="1h", command=["train", "x"])
    (order,) = agent.sync().start
    assert (order.job_id, order.epoch, order.workers, order.gpus_per_worker) == (job, 1, 2, 4)
    assert (order.command, order.environment, order.walltime_seconds) == (("train", "x"), {"A": "b"}, 3600)
    assert [(member.node, member.ranks) for member in order.gang] == [("site-1-0", (0, 1))]
    assert (order.group, order.data_class, order.public_sector) == ("research", "O", False)


def test_a_run_that_ends_is_forgotten_charged_once_and_its_job_is_done(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    run, started_ms = stage.run(job), stage.clock.now_ms()
    stage.clock.advance(5)
    report = ended(run, started_ms, started_ms + 5000)
    assert agent.sync(report).forget == (run.id,)
    assert agent.sync(report, report).forget == (run.id, run.id)  # its answer was lost; and a faulty agent tells twice
    assert stage.job(job).state == "succeeded"
    assert stage.charged(run.id) == [5000]


def test_a_run_that_never_started_is_not_charged_and_its_job_waits_again(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = leased(stage)
    run = stage.run(job)
    agent.sync(ended(run, None, stage.clock.now_ms(), cause=EndCause.START_FAILED))
    assert stage.charged(run.id) == []
    assert (stage.job(job).state, stage.job(job).infrastructure_failures) == ("queued", 1)
    assert stage.turn() == 1
    assert stage.run(job).epoch == 2


def test_all_that_happens_to_a_run_may_come_in_one_request(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = leased(stage)
    run, now_ms = stage.run(job), stage.clock.now_ms()
    steps = runs_now(run, now_ms, RunPhase.STARTING), runs_now(run, now_ms), ended(run, now_ms, now_ms + 1)
    stage.clock.advance(1)
    agent.sync(*steps)
    assert (stage.job(job).state, stage.run(job).phase, stage.charged(run.id)) == ("succeeded", "ended", [1])


def test_a_report_of_numbers_that_no_database_takes_does_not_silence_its_site(
    stage: Stage, agent: ScriptedAgent
) -> None:
    job = running(stage, agent)
    run = stage.run(job)
    report = {"run_id": run.id, "epoch": 1, "phase": "ended", "started_ms": 1, "ended_ms": 2, "cause": "exited"}
    odd = RunReport.model_validate(report | {"exit_code": 10**20, "message": "a\0b\udcff"})
    assert agent.sync(odd).forget == (run.id,)
    assert (stage.run(job).exit_code, stage.run(job).message) == (2**31 - 1, "ab?")


def test_an_answer_says_from_which_state_of_the_record_it_comes(stage: Stage, agent: ScriptedAgent) -> None:
    before = agent.sync().change
    assert agent.sync().change == before
    leased(stage)
    assert agent.sync().change > before > 0


def test_a_phase_that_comes_late_changes_nothing(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms(), RunPhase.STARTING))
    assert (stage.job(job).state, stage.run(job).phase) == ("running", "running")


def test_a_run_that_nobody_ordered_is_stopped_and_its_end_forgotten(stage: Stage, agent: ScriptedAgent) -> None:
    answer = agent.sync(RunReport(run_id=77, epoch=1, phase=RunPhase.RUNNING, started_ms=1))
    assert [(stop.run_id, stop.epoch, stop.cause) for stop in answer.stop] == [(77, 1, EndCause.WITHDRAWN)]
    gone = RunReport(run_id=77, epoch=1, phase=RunPhase.ENDED, started_ms=1, ended_ms=2, cause=EndCause.WITHDRAWN)
    assert agent.sync(gone).forget == (77,)


def test_another_epoch_or_another_sites_run_is_stopped_and_the_record_stays(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    run = stage.run(job)
    stranger = stage.agent("site-2")
    wrong = RunReport(run_id=run.id, epoch=run.epoch + 1, phase=RunPhase.RUNNING, started_ms=1)
    assert ids_of(agent.sync(wrong).stop) == [run.id]
    assert ids_of(stranger.sync(runs_now(run, 1)).stop) == [run.id]
    stranger.sync(ended(run, 1, 2))
    agent.sync(wrong.model_copy(update={"phase": RunPhase.ENDED, "cause": EndCause.EXITED, "exit_code": 0}))
    assert stage.run(job) == run
    assert stage.job(job).state == "running"


def test_a_stop_is_told_until_the_end_is_reported(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    run = stage.run(job)
    stage.change_run(run.id, stop_cause="cancelled", stop_grace_ms=60_000, stop_requested_ms=1)
    stage.change_job(job, state="cancelling", cancel_requested=True)
    (stop,) = agent.sync().stop
    assert (stop.run_id, stop.cause, stop.grace_seconds, stop.checkpoint) == (run.id, EndCause.CANCELLED, 60.0, True)
    stage.clock.advance(2.5)
    assert ids_of(agent.sync().stop) == [run.id]
    agent.sync(ended(run, stage.clock.now_ms(), stage.clock.now_ms() + 1, cause=EndCause.CANCELLED))
    stage.clock.advance(2.5)
    assert agent.sync().stop == ()
    assert stage.job(job).state == "cancelled"


def test_a_sooner_stop_is_told_at_once(stage: Stage, agent: ScriptedAgent) -> None:
    run = stage.run(running(stage, agent))
    stage.change_run(run.id, stop_cause="cancelled", stop_grace_ms=60_000)
    agent.sync()
    stage.change_run(run.id, stop_cause="site_stopped", stop_grace_ms=0)
    (stop,) = agent.sync().stop
    assert (stop.cause, stop.grace_seconds, stop.checkpoint) == (EndCause.SITE_STOPPED, 0.0, False)


def test_a_run_stopped_before_it_was_told_is_never_started(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = leased(stage)
    stage.change_run(stage.run(job).id, stop_cause="cancelled", stop_grace_ms=0)
    answer = agent.sync()
    assert (ids_of(answer.start), ids_of(answer.stop)) == ([], [stage.run(job).id])


def test_a_complete_report_is_wanted_exactly_while_the_digests_differ(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    run = stage.run(job)
    assert not agent.compare([(run.id, run.epoch)]).complete_wanted
    assert agent.compare([]).complete_wanted
    assert agent.compare([(run.id, run.epoch), (run.id + 1, 1)]).complete_wanted
    assert not agent.sync().complete_wanted  # a request that says nothing of it is not compared
    agent.sync(ended(run, 1, 2))
    assert not agent.compare([]).complete_wanted


def test_a_run_missing_from_a_complete_report_has_vanished(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    agent.sync(complete=True)
    assert (stage.run(job).cause, stage.job(job).state) == ("vanished", "queued")


def test_a_run_that_was_not_reported_yet_does_not_vanish(stage: Stage, agent: ScriptedAgent) -> None:
    (job,) = leased(stage)
    answer = agent.sync(complete=True)
    assert ids_of(answer.start) == [stage.run(job).id]
    assert stage.job(job).state == "leased"


def test_a_complete_report_that_was_overtaken_says_of_no_run_that_it_is_gone(
    stage: Stage, agent: ScriptedAgent
) -> None:
    overtaken = agent.request(complete=True)
    job = running(stage, agent)
    agent.send(overtaken)
    assert (stage.job(job).state, stage.run(job).phase) == ("running", "running")


def test_a_report_that_was_overtaken_by_way_of_another_server_says_of_no_run_that_it_is_gone(
    stage: Stage, agent: ScriptedAgent
) -> None:
    overtaken = agent.request(complete=True, capacity=CapacityReport(version=9, complete=True))
    job = running(stage, agent)
    stage.restart_server()  # as good as another one: it has heard nothing
    answer = accepted(agent.send(overtaken))
    assert (stage.job(job).state, stage.run(job).phase) == ("running", "running")
    assert answer.capacity_version == 0
    with stage.runtime.database.read() as connection:
        assert [row.removed for row in nodes.of_site(connection, agent.site_id, removed=True)] == [False]


def test_an_overtaken_report_still_tells_of_the_runs_that_it_names(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    late = agent.request(ended(stage.run(job), 1, 2))
    agent.sync(complete=False, capacity=CapacityReport(version=2, complete=False))
    assert accepted(agent.send(late)).forget == (stage.run(job).id,)
    assert stage.job(job).state == "succeeded"


def test_an_agent_that_counts_anew_is_believed_after_a_while(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    agent.sequence = 1
    stage.clock.advance(130)
    agent.sync(complete=True)
    assert stage.run(job).cause == "vanished"


def test_capacity_is_echoed_written_where_it_differs_and_complete_lists_drop_nodes(
    stage: Stage, agent: ScriptedAgent
) -> None:
    def known() -> dict[str, tuple[int, bool]]:
        with stage.runtime.database.read() as connection:
            rows = nodes.of_site(connection, agent.site_id, removed=True)
        return {row.name: (row.change, row.removed) for row in rows}

    assert agent.report_nodes(node("a"), node("b"), version=4).capacity_version == 4
    first = known()
    assert (first["a"][1], first["b"][1], first["site-1-0"][1]) == (False, False, True)
    change = CapacityReport(version=5, since_version=4, complete=False, nodes=(node("b", 4),), removed=())
    assert agent.sync(capacity=change).capacity_version == 5
    second = known()
    assert second["a"] == first["a"]
    assert second["b"][0] > first["b"][0]
    agent.sync(capacity=CapacityReport(version=6, since_version=5, complete=False, removed=("a",)))
    assert {name for name, (_, removed) in known().items() if not removed} == {"b"}
    assert agent.sync(capacity_version=6).capacity_version == 6


def test_an_unknown_protocol_is_refused_with_those_that_are_spoken(stage: Stage, agent: ScriptedAgent) -> None:
    answer = agent.send(agent.request(protocol=9))
    assert isinstance(answer, Refusal)
    assert answer.reasons[0].code is ReasonCode.PROTOCOL_UNSUPPORTED
    assert agent.sync(protocol=1).protocol == 1


def test_an_idle_request_writes_only_now_and_then_that_it_was_heard(stage: Stage, agent: ScriptedAgent) -> None:
    heard_ms = agent.site.heard_ms
    stage.clock.advance(1.0)
    agent.sync()
    assert agent.site.heard_ms == heard_ms
    stage.clock.advance(1.5)
    agent.sync()
    assert agent.site.heard_ms == stage.clock.now_ms()


def test_many_reports_of_several_sites_share_a_transaction_and_keep_their_answers(
    stage: Stage, agent: ScriptedAgent
) -> None:
    other = stage.agent("site-2")
    jobs = leased(stage, 16)
    of_site: dict[int, list[RunReport]] = {agent.site_id: [], other.site_id: []}
    for job in jobs:
        run = stage.run(job)
        of_site[run.site_id].append(ended(run, 1000, 2000))

    async def both() -> None:
        mine = agent.request(*of_site[agent.site_id])
        theirs = other.request(*of_site[other.site_id])
        answers = await asyncio.gather(
            stage.agent_sync.sync(agent.site, mine), stage.agent_sync.sync(other.site, theirs)
        )
        for answer, told in zip(answers, (mine, theirs), strict=True):
            assert not isinstance(answer, Refusal)
            assert answer.forget == tuple(each.run_id for each in told.runs)

    asyncio.run(both())
    assert {stage.job(job).state for job in jobs} == {"succeeded"}
    assert all(stage.charged(stage.run(job).id) == [1000] for job in jobs)


def test_each_end_is_one_event(stage: Stage, agent: ScriptedAgent) -> None:
    job = running(stage, agent)
    report = ended(stage.run(job), 1, 2)
    agent.sync(report, report)
    agent.sync(report)
    with stage.runtime.database.read() as connection:
        states = [each.data.get("state") for each in events.of_job(connection, job)]
    assert states == ["queued", "leased", "running", "succeeded"]


def test_a_waiting_request_is_answered_when_there_is_a_lease_a_stop_or_a_reader(
    stage: Stage, agent: ScriptedAgent
) -> None:
    (job,) = stage.submit(stage.group())
    # The clock stands still: only news ends the waiting.
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(agent.sync, wait_seconds_max=20.0)
        stage.turn()
        run = stage.run(job)
        assert ids_of(waiting.result(10).start) == [run.id]
        agent.sync(runs_now(run, stage.clock.now_ms()))
        waiting = threads.submit(agent.sync, wait_seconds_max=20.0)
        stage.runtime.log_wants.want(agent.site_id, run.id, 0)
        (want,) = waiting.result(10).logs
        assert (want.run_id, want.epoch, want.rank, want.offset) == (run.id, 1, 0, 0)
        waiting = threads.submit(agent.sync, wait_seconds_max=20.0)
        stage.change_run(run.id, stop_cause="cancelled", stop_grace_ms=0)
        assert ids_of(waiting.result(10).stop) == [run.id]


def test_orders_in_an_answer_that_the_agent_leaves_alone_do_not_count_as_told(
    stage: Stage, agent: ScriptedAgent
) -> None:
    (job,) = stage.submit(stage.group())
    waits = agent.request(wait_seconds_max=20.0)
    with ThreadPoolExecutor() as threads:
        listening = threads.submit(agent.send, waits)
        agent.sync(capacity=CapacityReport(version=2, complete=False))  # later than the one that waits
        stage.turn()
        run_id = stage.run(job).id
        assert ids_of(accepted(listening.result(10)).start) == [run_id]
    assert ids_of(agent.sync().start) == [run_id]
    assert ids_of(agent.sync().start) == []


def test_a_waiting_request_without_news_is_answered_when_it_has_waited_long_enough(
    stage: Stage, agent: ScriptedAgent
) -> None:
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(agent.sync, wait_seconds_max=20.0)

        def answered_later() -> bool:
            stage.clock.advance(5)
            return waiting.done()

        eventually(answered_later, 20, "the request is answered")
        answer = waiting.result()
    assert (answer.start, answer.stop, answer.lease_seconds) == ((), (), 30.0)
    assert answer.contract is not None
    assert answer.contract.supervised
