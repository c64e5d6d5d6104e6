"""The processes of a federation, as processes."""

from __future__ import annotations

import signal
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

            eventually(answers, 30, "the server answers")
        eventually(lambda: leaders(database), 30, "it leads")
        process.send_signal(number)
        assert process.wait(20) == 0
    assert leaders(database) == []


def test_a_scheduler_alone_that_is_told_to_end_lets_another_lead_at_once(tmp_path: Path) -> None:
    database = tmp_path / "dure.sqlite"
    administrator(database)
    with started("scheduler", "--database", f"sqlite:///{database}") as process:
        eventually(lambda: leaders(database), 30, "it leads")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert leaders(database) == []
