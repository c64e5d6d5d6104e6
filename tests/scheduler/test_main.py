"""The processes of a federation, as processes."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from eventually import eventually
from real_redis import free_port
from run_orders import lease, run_order
from typer.testing import CliRunner

from connectors.agent.state import StateDirectory
from connectors.clock import SystemClock
from connectors.local.run_record import RunRecord, load, save
from scheduler.cli.failure import EXIT_USAGE
from scheduler.main import app

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DURE = [sys.executable, "-m", "scheduler.main"]


def leaders(database: Path) -> list[str]:
    """Who holds a leadership."""
    connection = sqlite3.connect(database)
    try:
        return [row[0] for row in connection.execute("SELECT holder FROM leadership WHERE holder <> ''")]
    finally:
        connection.close()


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dure's, gone for certain at the end."""
    process = subprocess.Popen([*DURE, *arguments], cwd=ROOT, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def administrator(database: Path) -> str:
    """The token of a first administrator, which also makes the schema."""
    command = [*DURE, "administrator", "jiwoo", "--database", f"sqlite:///{database}"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return made.stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_federation_that_is_told_to_end_lets_another_lead_at_once(tmp_path: Path, number: signal.Signals) -> None:
    database = tmp_path / "dure.sqlite"
    token = administrator(database)
    port = free_port()
    with started("up", "--database", f"sqlite:///{database}", "--port", str(port)) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

            def answers() -> bool:
                try:
                    headers = {"Authorization": f"Bearer {token}"}
                    return client.get("/api/v1/whoami", headers=headers).status_code == httpx.codes.OK
                except httpx.TransportError:
                    return False

            eventually(answers, 60, "the server answers")
        eventually(lambda: leaders(database), 60, "it leads")
        process.send_signal(number)
        assert process.wait(20) == 0
    assert leaders(database) == []


def test_a_scheduler_alone_that_is_told_to_end_lets_another_lead_at_once(tmp_path: Path) -> None:
    database = tmp_path / "dure.sqlite"
    administrator(database)
    with started("scheduler", "--database", f"sqlite:///{database}") as process:
        eventually(lambda: leaders(database), 60, "it leads")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert leaders(database) == []


def test_a_scheduler_alone_answers_monitoring_where_it_is_asked_to(tmp_path: Path) -> None:
    database, port = tmp_path / "dure.sqlite", free_port()
    command = ["scheduler", "--database", f"sqlite:///{database}", "--metrics-address", f"127.0.0.1:{port}"]
    with started(*command) as process, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def leads() -> bool:
            try:
                return "dure_scheduler_leads 1.0" in client.get("/metrics").text
            except httpx.TransportError:
                return False

        eventually(leads, 60, "it leads and says so")
        assert "dure_admission_wait_seconds_count" in client.get("/metrics").text
        assert [client.get(path).json()["status"] for path in ("/healthz", "/readyz")] == ["ok", "ready"]
        assert client.get("/api/v1/whoami").status_code == httpx.codes.NOT_FOUND
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("address", ["8481", "127.0.0.1:", "127.0.0.1:0", ":8481"])
def test_an_address_for_monitoring_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    database = f"sqlite:///{tmp_path / 'dure.sqlite'}"
    answer = CliRunner().invoke(app, ["scheduler", "--database", database, "--metrics-address", address])
    assert answer.exit_code == EXIT_USAGE


def test_a_second_agent_of_a_folder_ends_without_touching_its_runs(tmp_path: Path) -> None:
    run = RunRecord(
        run_id=1,
        order=run_order(1, command=("touch", str(tmp_path / "ran"))),
        lease=lease(SystemClock().boottime_ns()),
        gpu_indices={0: (0,)},
    )
    save(tmp_path / "agent/site/runs/1", run)
    first = StateDirectory(tmp_path / "agent")
    command = [*DURE, "agent", "--server", "http://127.0.0.1:9", "--connector", "local", "--nodes", "1x8:h100"]
    command += ["--state", str(tmp_path / "agent")]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first.close()
    assert second.returncode != 0
    assert "another agent" in second.stderr
    assert not (tmp_path / "ran").exists()
    assert load(tmp_path / "agent/site/runs/1") == run


def test_an_agent_whose_jobs_can_read_its_credential_says_so(tmp_path: Path) -> None:
    command = [*DURE, "agent", "--server", "http://127.0.0.1:9", "--connector", "local", "--nodes", "1x8:h100"]
    command += ["--state", str(tmp_path / "agent")]  # without a token it ends at once
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "jobs can read this agent's credential" in ended.stdout + ended.stderr


def refused(*words: str) -> tuple[int, str]:
    done = subprocess.run([*DURE, "--lang", "en", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_taken_port_is_named_with_what_mends_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, told = refused("up", "--database", f"sqlite:///{tmp_path / 'dure.sqlite'}", "--port", port)
    assert code == EXIT_USAGE and port in told and "--port" in told


def test_a_database_in_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, told = refused("administrator", "jiwoo", "--database", f"sqlite:///{tmp_path / 'none' / 'dure.sqlite'}")
    assert code == EXIT_USAGE and str(tmp_path / "none") in told


@pytest.mark.parametrize("name", ["", " kim", "a/b", "k" * 129])
def test_an_administrator_has_a_name_that_the_api_takes(tmp_path: Path, name: str) -> None:
    words = ["--lang", "en", "administrator", name, "--database", f"sqlite:///{tmp_path / 'dure.sqlite'}"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == EXIT_USAGE and "no name of a person" in done.output
    assert not (tmp_path / "dure.sqlite").exists()
