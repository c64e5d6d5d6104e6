"""Leases under an agent with its usual settings: lost connections, late answers, slow starts and restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eventually import eventually
from fake_server import FakeServer
from run_orders import contract, node, run_order, stop_order
from running_agent import running_agent

from connectors.agent.settings import AgentSettings
from connectors.clock import SystemClock
from connectors.local.simulated import Script, SimulatedConnector
from connectors.protocol import Lease
from scheduler.model.wire import RunOrder, StopOrder, SyncRequest, SyncResponse

pytestmark = pytest.mark.slow

FIELDS = AgentSettings.__dataclass_fields__
USUAL = {
    name: FIELDS[name].default
    for name in ("wait_seconds_max", "timeout_seconds", "retry_seconds_max", "repeat_seconds")
}


class Site(SimulatedConnector):
    """Runs go on until they are stopped; starts take their time; what is asked is written down."""

    def __init__(self) -> None:
        clock = SystemClock()
        super().__init__([node("default-0", gpus=1024)], clock, script_of=lambda _: Script(seconds=None))
        self.start_seconds = 0.0
        self.calls: list[str] = []

    def start(self, order: RunOrder, lease: Lease, archive: Path | None) -> None:
        time.sleep(self.start_seconds)
        self.calls.append("start")
        super().start(order, lease, archive)

    def stop(self, stop: StopOrder) -> None:
        self.calls.append("stop")
        super().stop(stop)

    def renew(self, lease: Lease) -> None:
        self.calls.append("renew")
        super().renew(lease)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as made:
        yield made


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def use_lease(server: FakeServer, seconds: float) -> None:
    server.lease_seconds = seconds
    server.contract = contract(lease_seconds=seconds)


def test_a_connection_that_is_lost_in_silence_costs_no_run(server: FakeServer, site: Site, tmp_path: Path) -> None:
    use_lease(server, 6.0)
    over = threading.Event()
    waiting: list[SyncRequest] = []

    def swallow(request: SyncRequest) -> None:
        if request.wait_seconds_max and server.last(1):
            waiting.append(request)
            over.wait(60)

    server.on_sync = swallow
    with running_agent(server, site, tmp_path, **USUAL):
        server.order(run_order(1))
        eventually(lambda: waiting)
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 9.0 or server.ended(1) or "stop" in site.calls, 20)
        assert server.ended(1) is None
        assert [run.run_id for run in site.observe() if run.ended_ms is None] == [1]
        over.set()


def test_a_start_that_answers_an_older_request_from_a_newer_record_is_taken_at_once(
    server: FakeServer, site: Site, tmp_path: Path
) -> None:
    server.repeat_seconds = 60.0
    with running_agent(server, site, tmp_path, **USUAL):
        eventually(lambda: any(sync.wait_seconds_max for sync in server.syncs))
        site.lose_node("default-0")  # news: told beside the request that waits
        eventually(lambda: not server.nodes["default-0"].healthy)
        server.order(run_order(1))
        eventually(lambda: server.last(1), 5)
    assert sum(sync.complete for sync in server.syncs) == 1


def test_a_start_that_was_taken_back_before_its_answer_came_is_left_alone(
    server: FakeServer, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, release = threading.Event(), threading.Event()
    answer = server.sync

    def late(request: SyncRequest) -> SyncResponse:
        response = answer(request)
        if response.start and not held.is_set():
            server.orders.clear()
            server.change += 1
            held.set()
            release.wait(20)
        return response

    monkeypatch.setattr(server, "sync", late)
    with running_agent(server, site, tmp_path, **USUAL):
        eventually(lambda: any(sync.wait_seconds_max for sync in server.syncs))
        server.order(run_order(1))
        assert held.wait(10)
        site.lose_node("default-0")  # news: told, and answered, beside the answer that is on its way
        eventually(lambda: not server.nodes["default-0"].healthy)
        release.set()
        eventually(lambda: sum(sync.complete for sync in server.syncs) == 2, what="asked again, completely")
        eventually(lambda: server.syncs[-1].wait_seconds_max)
    assert "start" not in site.calls


def test_starts_that_take_long_keep_no_run_from_its_renewals(server: FakeServer, site: Site, tmp_path: Path) -> None:
    use_lease(server, 5.0)
    server.repeat_seconds = 60.0
    with running_agent(server, site, tmp_path, **USUAL):
        server.order(run_order(1))
        eventually(lambda: server.last(1))
        site.start_seconds = 0.05
        server.order(*(run_order(number) for number in range(2, 152)))
        eventually(lambda: all(server.last(number) for number in range(2, 152)), 60)
        assert not any(server.ended(number) for number in range(1, 152))


@pytest.mark.parametrize("word", ["start", "stop"])
def test_the_first_thing_that_an_answer_does_is_to_renew(
    word: str, server: FakeServer, site: Site, tmp_path: Path
) -> None:
    if word == "start":
        server.order(run_order(1))
    else:
        server.stop(stop_order(1))
    with running_agent(server, site, tmp_path, **USUAL):
        eventually(lambda: word in site.calls)
    assert site.calls[0] == "renew"
