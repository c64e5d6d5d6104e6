"""The contract of connectors: what ``connectors.protocol`` promises, as cases that every connector runs.

A connector's test file makes a ``Harness`` and parametrises over ``cases_for(harness_class)``. A case that
cannot apply to a connector stands in its harness's ``CANNOT`` with the reason, which ``cases_for`` checks to
be a real case.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from eventually import eventually
from run_orders import stop_order

from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunReport
from tests.connectors.contract_epochs import (
    a_renewal_that_comes_after_a_newer_one_changes_nothing,
    an_order_of_an_older_epoch_starts_nothing_and_stops_nothing,
)
from tests.connectors.contract_outputs import (
    outputs_are_archived,
    outputs_of_a_gang_are_limited_as_a_whole,
    outputs_of_every_worker_are_archived_and_what_they_share_is_there_once,
)
from tests.connectors.harness import (
    Behaviour,
    Harness,
    assert_no_process_is_left,
    log_text,
    order_for,
    report_of,
    start,
    two_nodes,
    wait_for,
)


def capacity_lists_every_node(harness: Harness) -> None:
    nodes = {node.name: node for node in harness.connector.capacity()}
    assert nodes.keys() >= set(harness.nodes)
    first = nodes[harness.nodes[0]]
    assert (first.gpus, first.healthy) == (8, True)
    assert harness.connector.capacity() is harness.connector.capacity()


def a_run_starts_runs_and_succeeds(harness: Harness) -> None:
    start(harness, Behaviour.SUCCEED)
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert (report.cause, report.exit_code) == (EndCause.EXITED, 0)
    assert report.started_ms is not None and report.ended_ms is not None
    assert report.started_ms <= report.ended_ms


def a_running_run_is_reported_running_with_its_start(harness: Harness) -> None:
    start(harness, Behaviour.RUN)
    assert wait_for(harness, 1, RunPhase.RUNNING).started_ms is not None
    assert report_of(harness, 1) is report_of(harness, 1)


def a_duplicate_start_changes_nothing(harness: Harness) -> None:
    order = start(harness, Behaviour.RUN)
    before = wait_for(harness, 1, RunPhase.RUNNING)
    processes = harness.processes(1)
    harness.connector.start(order, harness.new_lease(), None)
    assert [run for run in harness.connector.observe() if run.run_id == 1] == [before]
    assert harness.processes(1) == processes


def a_start_of_an_ended_run_changes_nothing(harness: Harness) -> None:
    order = start(harness, Behaviour.SUCCEED)
    before = wait_for(harness, 1, RunPhase.ENDED)
    harness.connector.start(order, harness.new_lease(), None)
    assert report_of(harness, 1) == before


def a_stop_ends_a_run_with_its_cause(harness: Harness) -> None:
    start(harness, Behaviour.RUN)
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.connector.stop(stop_order(cause=EndCause.REQUEUED))
    harness.connector.stop(stop_order(cause=EndCause.REQUEUED))
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert report.cause is EndCause.REQUEUED
    assert_no_process_is_left(harness, 1)


def a_stop_with_checkpoint_lets_the_command_save(harness: Harness) -> None:
    start(harness, Behaviour.SAVE, checkpoint_directory="auto", checkpoint_signal="SIGUSR1")
    wait_for(harness, 1, RunPhase.RUNNING)
    eventually(lambda: "ready" in log_text(harness, 1), 10, "the command is ready for its signal")
    harness.connector.stop(stop_order(checkpoint=True, cause=EndCause.REQUEUED))
    wait_for(harness, 1, RunPhase.ENDED)
    assert "saved" in log_text(harness, 1)


def a_stubborn_command_is_killed_after_its_grace(harness: Harness) -> None:
    start(harness, Behaviour.STUBBORN)
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.connector.stop(stop_order(grace_seconds=1.0))
    harness.advance(1.0)
    assert wait_for(harness, 1, RunPhase.ENDED).cause is EndCause.CANCELLED
    assert_no_process_is_left(harness, 1)


def a_grace_longer_than_the_lease_is_kept(harness: Harness) -> None:
    start(harness, Behaviour.STUBBORN)
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.connector.renew(harness.new_lease(2.0))
    harness.connector.stop(stop_order(grace_seconds=4.0))

    def ended_under_renewals() -> RunReport | None:
        harness.connector.renew(harness.new_lease(2.0))
        harness.advance(0.5)
        report = report_of(harness, 1)
        return report if report is not None and report.phase is RunPhase.ENDED else None

    report = eventually(ended_under_renewals, 20)
    assert report is not None
    assert report.cause is EndCause.CANCELLED
    assert_no_process_is_left(harness, 1)


def a_stop_before_the_start_keeps_the_run_from_starting(harness: Harness) -> None:
    harness.connector.stop(stop_order())
    before = wait_for(harness, 1, RunPhase.ENDED)
    assert (before.cause, before.started_ms) == (EndCause.CANCELLED, None)
    start(harness, Behaviour.SUCCEED)
    assert report_of(harness, 1) == before
    assert not harness.ran(1, 0)


def a_crash_is_reported_with_its_exit_code(harness: Harness) -> None:
    start(harness, Behaviour.CRASH)
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert (report.cause, report.exit_code) == (EndCause.EXITED, 3)


def walltime_ends_a_run(harness: Harness) -> None:
    start(harness, Behaviour.RUN, walltime_seconds=1)
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.advance(1.1)
    assert wait_for(harness, 1, RunPhase.ENDED).cause is EndCause.WALLTIME


def one_failing_worker_ends_the_gang_with_its_exit_code(harness: Harness) -> None:
    start(harness, Behaviour.RANK_1_CRASHES, gang=two_nodes(harness))
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert (report.cause, report.exit_code) == (EndCause.EXITED, 7)
    assert_no_process_is_left(harness, 1)


def a_gang_starts_as_a_whole_or_not_at_all(harness: Harness) -> None:
    order = harness.behave(order_for(harness, gang=two_nodes(harness)), Behaviour.RUN)
    harness.connector.start(harness.break_start(order, rank=1), harness.new_lease(), None)
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert (report.cause, report.started_ms) == (EndCause.START_FAILED, None)
    assert report.message
    assert_no_process_is_left(harness, 1)


def gpus_are_never_given_twice(harness: Harness) -> None:
    start(harness, Behaviour.RUN, run_id=1, gpus_per_worker=6)
    wait_for(harness, 1, RunPhase.RUNNING)
    start(harness, Behaviour.RUN, run_id=2, gpus_per_worker=6)
    assert wait_for(harness, 2, RunPhase.ENDED).cause is EndCause.START_FAILED
    harness.connector.stop(stop_order(1))
    wait_for(harness, 1, RunPhase.ENDED)
    start(harness, Behaviour.RUN, run_id=3, gpus_per_worker=6)
    wait_for(harness, 3, RunPhase.RUNNING)


def a_lost_node_ends_its_gangs(harness: Harness) -> None:
    start(harness, Behaviour.RUN, gang=two_nodes(harness))
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.lose_node(harness.nodes[1])
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert (report.cause, report.node) == (EndCause.NODE_LOST, harness.nodes[1])
    assert_no_process_is_left(harness, 1)
    assert harness.nodes[1] not in {node.name for node in harness.connector.capacity() if node.healthy}


def a_log_is_read_by_offset(harness: Harness) -> None:
    start(harness, Behaviour.SUCCEED)
    wait_for(harness, 1, RunPhase.ENDED)
    whole = harness.connector.read_log(1, 0, 0, 1024)
    assert whole is not None and whole.ended and b"hello" in whole.data
    part = harness.connector.read_log(1, 0, 2, 2)
    assert part is not None and part.data == whole.data[2:4] and not part.ended
    beyond = harness.connector.read_log(1, 0, len(whole.data), 10)
    assert beyond is not None and beyond.data == b"" and beyond.ended
    assert harness.connector.read_log(1, 5, 0, 10) is None
    assert harness.connector.read_log(9, 0, 0, 10) is None


def a_log_can_be_followed_while_it_grows(harness: Harness) -> None:
    start(harness, Behaviour.TALK)
    eventually(lambda: "first" in log_text(harness, 1), harness.SECONDS_MAX, "the first word")
    part = harness.connector.read_log(1, 0, 0, 1024)
    assert part is not None and not part.ended
    harness.let_talk(1)
    eventually(lambda: "second" in log_text(harness, 1), 10, "the second word")


def workers_find_their_environment(harness: Harness) -> None:
    order = start(
        harness,
        Behaviour.SHOW_ENVIRONMENT,
        gang=two_nodes(harness),
        gpus_per_worker=2,
        job_id=77,
        epoch=4,
        environment={"LEARNING_RATE": "0.1"},
        checkpoint_directory="auto",
    )
    wait_for(harness, 1, RunPhase.ENDED)
    found = [json.loads(log_text(harness, 1, rank).strip().splitlines()[-1]) for rank in (0, 1)]
    for rank, environment in enumerate(found):
        assert environment["RANK"] == environment["PET_NODE_RANK"] == str(rank)
        assert environment["WORLD_SIZE"] == environment["PET_NNODES"] == "2"
        assert environment["PET_NPROC_PER_NODE"] == str(order.gpus_per_worker)
        assert environment["LEARNING_RATE"] == "0.1"
        assert (environment["DURE_JOB_ID"], environment["DURE_RUN_ID"], environment["DURE_EPOCH"]) == (
            "77",
            "1",
            "4",
        )
        assert environment["DURE_CHECKPOINT_DIR"]
        assert len(environment["CUDA_VISIBLE_DEVICES"].split(",")) == 2
        assert "DURE_AGENT_TOKEN" not in environment
    for name in ("MASTER_ADDR", "MASTER_PORT", "PET_MASTER_ADDR", "PET_MASTER_PORT"):
        assert found[0][name] == found[1][name] != ""
    assert found[0]["MASTER_PORT"] == found[0]["PET_MASTER_PORT"]


def the_working_directory_is_where_the_command_runs(harness: Harness) -> None:
    order = order_for(harness, command=("cat", "given.txt"))
    harness.connector.start(order, harness.new_lease(), harness.working_directory())
    assert wait_for(harness, 1, RunPhase.ENDED).exit_code == 0
    assert "given" in log_text(harness, 1)


def a_checkpoint_directory_stays_with_its_job(harness: Harness) -> None:
    for run_id in (1, 2):
        start(
            harness,
            Behaviour.SHOW_ENVIRONMENT,
            run_id=run_id,
            job_id=5,
            epoch=run_id,
            checkpoint_directory="auto",
        )
        wait_for(harness, run_id, RunPhase.ENDED)
    first, second = (json.loads(log_text(harness, run_id).strip().splitlines()[-1]) for run_id in (1, 2))
    assert first["DURE_CHECKPOINT_DIR"] == second["DURE_CHECKPOINT_DIR"]


def a_restart_while_running_finds_the_run_again(harness: Harness) -> None:
    start(harness, Behaviour.RUN)
    before = wait_for(harness, 1, RunPhase.RUNNING)
    processes = harness.processes(1)
    harness.restart()
    assert wait_for(harness, 1, RunPhase.RUNNING).started_ms == before.started_ms
    assert harness.processes(1) == processes
    harness.connector.stop(stop_order())
    assert wait_for(harness, 1, RunPhase.ENDED).cause is EndCause.CANCELLED


def a_restart_right_after_the_start_loses_nothing(harness: Harness) -> None:
    start(harness, Behaviour.RUN, gang=two_nodes(harness))
    harness.restart()
    wait_for(harness, 1, RunPhase.RUNNING)
    assert len([run for run in harness.connector.observe() if run.run_id == 1]) == 1


def a_restart_while_stopping_still_stops(harness: Harness) -> None:
    start(harness, Behaviour.STUBBORN)
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.connector.stop(stop_order(grace_seconds=1.0))
    harness.restart()
    harness.advance(1.0)
    assert wait_for(harness, 1, RunPhase.ENDED).cause is EndCause.CANCELLED


def a_restart_after_the_end_still_knows_the_end(harness: Harness) -> None:
    start(harness, Behaviour.CRASH)
    before = wait_for(harness, 1, RunPhase.ENDED)
    harness.restart()
    assert report_of(harness, 1) == before


def a_run_that_ends_while_nobody_watches_is_reported_with_its_own_times(harness: Harness) -> None:
    start(harness, Behaviour.TALK)
    eventually(lambda: "first" in log_text(harness, 1), harness.SECONDS_MAX, "the first word")
    harness.connector.stop(stop_order())
    harness.restart_after_death(1.0)
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert report.cause is EndCause.CANCELLED
    assert report.started_ms is not None and report.ended_ms is not None


def a_lease_that_runs_out_with_the_agent_dead_ends_the_run(harness: Harness) -> None:
    order = harness.behave(order_for(harness, grace_seconds=0.5), Behaviour.RUN)
    harness.connector.start(order, harness.new_lease(harness.FIRST_LEASE_SECONDS), None)
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.connector.renew(harness.new_lease(2.0))
    harness.restart_after_death(4.0)
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert report.cause is EndCause.LEASE_EXPIRED
    assert report.started_ms is not None and report.ended_ms is not None
    assert_no_process_is_left(harness, 1)


def a_renewed_lease_keeps_a_run_alive(harness: Harness) -> None:
    order = harness.behave(order_for(harness, grace_seconds=0.5), Behaviour.TALK)
    harness.connector.start(order, harness.new_lease(harness.FIRST_LEASE_SECONDS), None)
    wait_for(harness, 1, RunPhase.RUNNING)
    harness.connector.renew(harness.new_lease(6.0))
    harness.connector.renew(harness.new_lease(60.0))
    harness.restart_after_death(7.0)
    harness.let_talk(1)
    eventually(lambda: "second" in log_text(harness, 1), 10, "still alive")
    assert wait_for(harness, 1, RunPhase.RUNNING).started_ms is not None


def forgetting_drops_ended_runs_only(harness: Harness) -> None:
    start(harness, Behaviour.RUN, run_id=1)
    start(harness, Behaviour.SUCCEED, run_id=2)
    wait_for(harness, 1, RunPhase.RUNNING)
    wait_for(harness, 2, RunPhase.ENDED)
    for run_id in (1, 2, 3):
        harness.connector.forget(run_id)
    assert [run.run_id for run in harness.connector.observe()] == [1]
    assert harness.connector.read_log(2, 0, 0, 10) is None
    harness.restart()
    assert [run.run_id for run in harness.connector.observe()] == [1]


def changes_are_announced(harness: Harness) -> None:
    announced: list[int] = []
    harness.connector.on_change(lambda: announced.append(1))
    start(harness, Behaviour.RUN)
    wait_for(harness, 1, RunPhase.RUNNING)
    eventually(lambda: announced, 5, "the start was announced")
    announced.clear()
    harness.connector.stop(stop_order())
    wait_for(harness, 1, RunPhase.ENDED)
    eventually(lambda: announced, 5, "the end was announced")


Case = Callable[[Harness], None]
CASES: tuple[Case, ...] = (
    capacity_lists_every_node,
    a_run_starts_runs_and_succeeds,
    a_running_run_is_reported_running_with_its_start,
    a_duplicate_start_changes_nothing,
    a_start_of_an_ended_run_changes_nothing,
    a_stop_ends_a_run_with_its_cause,
    a_stop_with_checkpoint_lets_the_command_save,
    a_stubborn_command_is_killed_after_its_grace,
    a_grace_longer_than_the_lease_is_kept,
    a_stop_before_the_start_keeps_the_run_from_starting,
    a_crash_is_reported_with_its_exit_code,
    walltime_ends_a_run,
    one_failing_worker_ends_the_gang_with_its_exit_code,
    a_gang_starts_as_a_whole_or_not_at_all,
    gpus_are_never_given_twice,
    a_lost_node_ends_its_gangs,
    a_log_is_read_by_offset,
    a_log_can_be_followed_while_it_grows,
    workers_find_their_environment,
    the_working_directory_is_where_the_command_runs,
    outputs_are_archived,
    outputs_of_every_worker_are_archived_and_what_they_share_is_there_once,
    outputs_of_a_gang_are_limited_as_a_whole,
    a_checkpoint_directory_stays_with_its_job,
    a_restart_while_running_finds_the_run_again,
    a_restart_right_after_the_start_loses_nothing,
    a_restart_while_stopping_still_stops,
    a_restart_after_the_end_still_knows_the_end,
    a_run_that_ends_while_nobody_watches_is_reported_with_its_own_times,
    a_lease_that_runs_out_with_the_agent_dead_ends_the_run,
    a_renewed_lease_keeps_a_run_alive,
    a_renewal_that_comes_after_a_newer_one_changes_nothing,
    an_order_of_an_older_epoch_starts_nothing_and_stops_nothing,
    forgetting_drops_ended_runs_only,
    changes_are_announced,
)


def cases_for(harness: type[Harness]) -> list[Case]:
    """The cases a connector runs: all but those it cannot, each with a reason."""
    unknown = harness.CANNOT.keys() - {case.__name__ for case in CASES}
    assert not unknown, f"no such cases: {sorted(unknown)}"
    assert all(harness.CANNOT.values()), "say why a case cannot apply"
    return [case for case in CASES if case.__name__ not in harness.CANNOT]
