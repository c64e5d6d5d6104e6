"""The agent against a server in this process and a simulated site."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eventually import eventually
from fake_server import CREDENTIAL, FakeServer
from run_orders import contract, node, run_order, stop_order
from running_agent import running_agent

from connectors.clock import SystemClock
from connectors.errors import ServerRefused, SettingsUnusable, StateUnusable
from connectors.local.simulated import Script, SimulatedConnector
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import LogWant, SyncRequest

pytestmark = pytest.mark.slow

SCRIPTS: dict[str, Script] = {
    "instant": Script(),
    "long": Script(seconds=None),
    "short": Script(seconds=0.2),
    "talk": Script(seconds=0.2, log=b"line\n" * 200_000),
}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as made:
        yield made


@pytest.fixture
def site() -> Iterator[SimulatedConnector]:
    made = SimulatedConnector(
        [node("default-0"), node("default-1")],
        SystemClock(),
        script_of=lambda order: SCRIPTS[order.command[0]],
    )
    yield made
    made.close()


def test_it_reports_its_capacity_completely_and_then_only_what_changed(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        eventually(lambda: len(server.nodes) == 2)
        site.lose_node("default-1")
        eventually(lambda: not server.nodes["default-1"].healthy)
    reports = [sync.capacity for sync in server.syncs if sync.capacity is not None]
    assert [(report.complete, len(report.nodes)) for report in reports] == [(True, 2), (False, 1)]
    assert reports[1].since_version == reports[0].version


def test_a_run_is_started_reported_and_forgotten(server: FakeServer, site: SimulatedConnector, tmp_path: Path) -> None:
    with running_agent(server, site, tmp_path):
        eventually(lambda: server.nodes)
        server.order(run_order(1, command=("short",)))
        eventually(lambda: server.ended(1))
        eventually(lambda: not site.observe(), what="forgotten")
    assert [run.phase for run in server.reports[1]] == [RunPhase.RUNNING, RunPhase.ENDED]


def test_a_stop_reaches_a_run(server: FakeServer, site: SimulatedConnector, tmp_path: Path) -> None:
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, command=("long",)))
        eventually(lambda: server.last(1))
        server.stop(stop_order(1, cause=EndCause.REQUEUED))
        assert eventually(lambda: server.ended(1)).cause is EndCause.REQUEUED


def test_many_runs_go_through_quickly_and_each_ends_once(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        server.order(*(run_order(number, command=("instant",)) for number in range(1, 501)))
        eventually(lambda: all(server.ended(number) for number in range(1, 501)))
        eventually(lambda: not site.observe(), what="all forgotten")
    assert all(len(history) == 1 for history in server.reports.values())


@pytest.mark.parametrize("fault", ["unavailable", "lose_answers"])
def test_a_server_that_fails_now_and_then_loses_nothing(
    fault: str, server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        eventually(lambda: server.nodes)
        for number in range(1, 6):
            setattr(server, fault, 2)
            server.order(run_order(number, command=("short",)))
            eventually(lambda run_id=number: server.ended(run_id))
        eventually(lambda: not site.observe(), what="all forgotten")
    assert {history[-1].cause for history in server.reports.values()} == {EndCause.EXITED}


def test_an_older_epoch_of_a_job_is_refused_over_restarts(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        server.order(run_order(7, job_id=1, epoch=3, command=("instant",)))
        eventually(lambda: server.ended(7))
        eventually(lambda: not site.observe())
    with running_agent(server, site, tmp_path):
        server.order(run_order(6, job_id=1, epoch=2, command=("instant",)))
        report = eventually(lambda: server.ended(6))
    assert report.cause is EndCause.REFUSED
    assert "epoch 2 is stale" in report.message
    assert report.started_ms is None


def test_a_run_that_ended_and_was_forgotten_is_never_started_again(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    order = run_order(7, command=("instant",))
    with running_agent(server, site, tmp_path):
        server.order(order)
        eventually(lambda: server.ended(7))
        eventually(lambda: not site.observe())
        server.reports.clear()
        server.order(order)
        assert eventually(lambda: server.ended(7)).cause is EndCause.REFUSED


def test_a_newer_epoch_waits_until_the_older_one_of_its_job_has_ended(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, job_id=1, epoch=1, command=("long",)))
        eventually(lambda: server.last(1))
        server.order(run_order(2, job_id=1, epoch=2, command=("instant",)))
        newer = eventually(lambda: server.ended(2))
        older = eventually(lambda: server.ended(1))
    assert older.ended_ms is not None and newer.started_ms is not None
    assert older.ended_ms <= newer.started_ms


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"data_class": "S"}, "csap"),
        ({"trust_domain": "startup.other"}, "trust_domain"),
        ({"public_sector": True}, "csap"),
    ],
)
def test_data_that_the_contract_does_not_allow_is_refused(
    values: dict[str, object], rule: str, server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, command=("instant",), **values))
        report = eventually(lambda: server.ended(1))
        server.order(run_order(2, command=("instant",)))
        eventually(lambda: server.ended(2))
    assert report.cause is EndCause.REFUSED
    assert f"rule: {rule}" in report.message
    assert server.last(2).cause is EndCause.EXITED  # type: ignore[union-attr]


def test_a_contract_that_changed_is_held_to_over_restarts(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        eventually(lambda: server.nodes)
        server.contract = contract(trust_domain="startup.other")
        server.order(run_order(1, command=("instant",)))
        assert eventually(lambda: server.ended(1)).cause is EndCause.REFUSED
    assert "startup.other" in (tmp_path / "credential.json").read_text()


def test_a_log_is_brought_whole_even_when_its_end_was_reported_first(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, command=("talk",)))
        eventually(lambda: (1, 0) in server.logs_ended)
        eventually(lambda: not site.observe(), what="forgotten after delivery")
    assert server.logs[1, 0] == SCRIPTS["talk"].log


def test_a_log_left_undelivered_is_brought_by_the_next_agent(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    server.log_limit = 0

    def go_away(request: SyncRequest) -> None:
        if any(run.phase is RunPhase.ENDED for run in request.runs):
            server.unavailable = 10**6  # from the very moment at which it has heard of the end

    server.on_sync = go_away
    with running_agent(server, site, tmp_path, log_chunk_bytes=100_000):
        server.order(run_order(1, command=("talk",)))
        eventually(lambda: server.ended(1))
    server.on_sync = lambda _: None
    server.unavailable, server.log_limit = 0, None
    with running_agent(server, site, tmp_path):
        eventually(lambda: (1, 0) in server.logs_ended)
        eventually(lambda: not site.observe())
    assert server.logs[1, 0] == SCRIPTS["talk"].log


def test_a_log_somebody_reads_is_brought_while_the_run_goes_on(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    SCRIPTS["chat"] = Script(seconds=None, log=b"now\n")
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, command=("chat",)))
        eventually(lambda: server.last(1))
        server.want(LogWant(run_id=1, epoch=1, rank=0, offset=0))
        eventually(lambda: server.logs.get((1, 0)) == b"now\n")
    assert (1, 0) not in server.logs_ended


def test_a_server_that_takes_no_more_of_a_log_does_not_keep_the_run_for_ever(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    server.log_limit = 100
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, command=("talk",)))
        eventually(lambda: server.ended(1))
        eventually(lambda: not site.observe())


def test_a_working_directory_is_fetched_once_and_a_false_one_is_refused(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    good = server.put_content(b"an archive")
    bad = server.put_content(b"another")
    server.contents[bad] = b"not what its digest says"
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, command=("instant",), working_directory=good))
        assert eventually(lambda: server.ended(1)).cause is EndCause.EXITED
        server.order(run_order(2, command=("instant",), working_directory=bad))
        report = eventually(lambda: server.ended(2))
    assert report.cause is EndCause.START_FAILED
    assert "arrived as" in report.message
    assert [path.read_bytes() for path in (tmp_path / "content").iterdir()] == [b"an archive"]


def test_a_digest_that_differs_is_mended_by_a_complete_report(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path, wait_seconds_max=0.2):
        server.order(run_order(1, command=("long",)))
        eventually(lambda: server.last(1))
        server._live[99] = 1
        eventually(lambda: 99 not in server._live)
    assert sum(sync.complete for sync in server.syncs) == 2


def test_an_agent_with_nothing_to_do_waits_instead_of_asking(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with running_agent(server, site, tmp_path):
        eventually(lambda: any(sync.wait_seconds_max for sync in server.syncs))
        time.sleep(0.5)
    assert len(server.syncs) <= 3


def test_the_credential_is_kept_for_its_owner_only_and_the_token_used_once(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with running_agent(server, site, state):
        eventually(lambda: server.syncs)
    with running_agent(server, site, state, enrolment_token=None):
        eventually(lambda: sum(sync.complete for sync in server.syncs) == 2)
    assert len(server.enrolments) == 1
    kept = state / "credential.json"
    assert CREDENTIAL in kept.read_text()
    assert (kept.stat().st_mode & 0o777, state.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_wrong_token_and_no_token_say_what_to_do(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    with pytest.raises(ServerRefused), running_agent(server, site, tmp_path / "1", enrolment_token="wrong"):
        eventually(lambda: server.refused_requests)
    without_token = running_agent(server, site, tmp_path / "2", enrolment_token=None)
    with pytest.raises(SettingsUnusable, match="dure site register"), without_token:
        pass


def test_two_agents_never_share_a_state_directory(server: FakeServer, site: SimulatedConnector, tmp_path: Path) -> None:
    second = running_agent(server, site, tmp_path)
    with running_agent(server, site, tmp_path), pytest.raises(StateUnusable, match="another agent"), second:
        pass


def test_leases_come_before_their_deadline_and_grow(
    server: FakeServer, site: SimulatedConnector, tmp_path: Path
) -> None:
    server.lease_seconds = 0.6
    server.contract = contract(lease_seconds=0.6)
    with running_agent(server, site, tmp_path):
        server.order(run_order(1, command=("long",)))
        eventually(lambda: server.last(1))
        time.sleep(1.5)
        assert server.ended(1) is None
        server.unavailable = 10**6
        eventually(lambda: site.observe()[0].phase is RunPhase.ENDED)
        server.unavailable = 0
        assert eventually(lambda: server.ended(1)).cause is EndCause.LEASE_EXPIRED
