"""kill -9 of the agent at each step of a run: nothing runs twice, nothing is lost, the next agent goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from eventually import eventually
from fake_server import FakeServer
from run_orders import contract, run_order

from connectors.local.worker import kill_all
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import SyncRequest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
#: Each worker appends its epoch and rank to a file: what ran, however often anybody says that it did.
COMMAND = ("/bin/sh", "-c", "echo $DURE_EPOCH $RANK >> $DONE; echo begin; sleep 0.4; echo end")
GANG = (("default-0", (0,)), ("default-1", (1,)))


class Site:
    """An agent's process that can be killed and started again."""

    def __init__(self, server: FakeServer, state: Path) -> None:
        self._command = [sys.executable, str(ROOT / "tests/support/agent_process.py"), server.url, str(state)]
        self._environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, env=self._environment, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as made:
        yield made


@pytest.fixture
def site(server: FakeServer, tmp_path: Path) -> Iterator[Site]:
    made = Site(server, tmp_path / "state")
    yield made
    made.end()
    for folder in (tmp_path / "state/site/runs").iterdir():
        kill_all(folder, range(2))


def kill_when(site: Site, server: FakeServer, phase: RunPhase) -> threading.Event:
    """Kill the agent as it reports this phase, before it gets its answer."""
    killed = threading.Event()

    def judge(request: SyncRequest) -> None:
        if not killed.is_set() and any(run.phase is phase for run in request.runs):
            killed.set()
            site.kill()

    server.on_sync = judge
    return killed


def assert_ran_once_and_was_told_whole(server: FakeServer, done: Path) -> None:
    report = eventually(lambda: server.ended(1), 30)
    assert report is not None
    assert (report.cause, report.exit_code) == (EndCause.EXITED, 0)
    assert sorted(done.read_text().splitlines()) == ["1 0", "1 1"]
    eventually(lambda: {(1, 0), (1, 1)} <= server.logs_ended, 10)
    assert server.logs[1, 0] == server.logs[1, 1] == b"begin\nend\n"


def assert_ran_once_or_was_given_up_as_a_whole(server: FakeServer, done: Path) -> None:
    """What holds of an agent killed between the launches of two workers: it cannot tell which of them began."""
    report = eventually(lambda: server.ended(1), 30)
    assert report is not None
    ran = done.read_text().splitlines() if done.exists() else []
    assert len(ran) == len(set(ran))
    assert report.cause in {EndCause.EXITED, EndCause.START_FAILED}
    if report.cause is EndCause.EXITED:
        assert sorted(ran) == ["1 0", "1 1"]


def test_an_agent_killed_as_it_reports_that_a_gang_starts_starts_nothing_twice(
    server: FakeServer, site: Site, tmp_path: Path
) -> None:
    killed = kill_when(site, server, RunPhase.STARTING)
    server.order(run_order(1, gang=GANG, command=COMMAND, environment={"DONE": str(tmp_path / "done")}))
    assert killed.wait(20)
    site.process.wait()
    site.start()
    assert_ran_once_or_was_given_up_as_a_whole(server, tmp_path / "done")


@pytest.mark.parametrize("phase", [RunPhase.RUNNING, RunPhase.ENDED])
def test_an_agent_killed_as_it_reports_a_phase_is_followed_by_one_that_goes_on(
    phase: RunPhase, server: FakeServer, site: Site, tmp_path: Path
) -> None:
    killed = kill_when(site, server, phase)
    server.order(run_order(1, gang=GANG, command=COMMAND, environment={"DONE": str(tmp_path / "done")}))
    assert killed.wait(20)
    site.process.wait()
    site.start()
    assert_ran_once_and_was_told_whole(server, tmp_path / "done")


@pytest.mark.parametrize("delay_seconds", [0.0, 0.01, 0.03, 0.06, 0.2])
def test_an_agent_killed_some_time_after_its_order_starts_nothing_twice(
    delay_seconds: float, server: FakeServer, site: Site, tmp_path: Path
) -> None:
    eventually(lambda: server.nodes)
    order = run_order(1, gang=GANG, command=COMMAND, environment={"DONE": str(tmp_path / "done")})
    server.order(order)
    threading.Event().wait(delay_seconds)
    site.kill()
    site.start()
    assert_ran_once_or_was_given_up_as_a_whole(server, tmp_path / "done")


def test_a_lease_that_runs_out_under_a_dead_agent_is_told_by_the_next(
    server: FakeServer, site: Site, tmp_path: Path
) -> None:
    server.lease_seconds = 1.5
    server.contract = contract(lease_seconds=1.5)
    eventually(lambda: server.nodes)
    server.order(run_order(1, gang=GANG, command=("sleep", "600"), grace_seconds=0.5))
    eventually(lambda: (server.last(1) or run_order(1)).model_dump().get("phase") == RunPhase.RUNNING)
    site.kill()
    threading.Event().wait(3.5)
    site.start()
    report = eventually(lambda: server.ended(1), 20)
    assert report is not None
    assert report.cause is EndCause.LEASE_EXPIRED
    assert report.started_ms is not None and report.ended_ms is not None
    assert 500 < report.ended_ms - report.started_ms < 3_400
