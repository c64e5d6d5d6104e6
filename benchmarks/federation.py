"""A federation of its own for one measurement: a database, a server process, an administrator's token."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.real_postgresql import running_postgresql

DURE = (sys.executable, "-m", "scheduler.main")
READY_SECONDS_MAX = 60.0
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """Where it listens, and who administers it."""

    port: int
    token: str
    folder: Path
    database_url: str

    @property
    def server(self) -> str:
        """The server's address."""
        return f"http://{HOST}:{self.port}"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_federation(database: str, command: str) -> Iterator[Federation]:
    """Run ``dure COMMAND`` (``up`` or ``server``) over a fresh ``sqlite`` or ``postgresql`` database, limits off."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="dure-benchmark-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = f"sqlite:///{folder / 'dure.sqlite'}"
        if database == "postgresql":
            url = stack.enter_context(running_postgresql())
        made = subprocess.run(
            [*DURE, "administrator", "benchmark", "--database", url], capture_output=True, text=True, check=True
        )
        port = free_port()
        log = stack.enter_context((folder / "server.log").open("wb"))
        process = subprocess.Popen(
            [*DURE, command, "--database", url, "--host", HOST, "--port", str(port)],
            stdout=log,
            stderr=log,
            env={**os.environ, "DURE_RATE_PER_SECOND": "1000000", "DURE_RATE_BURST": "1000000"},
        )
        stack.callback(_stop, process)
        token = made.stdout.strip().splitlines()[-1]
        federation = Federation(port=port, token=token, folder=folder, database_url=url)
        _wait_until_ready(federation, process)
        yield federation


def _wait_until_ready(federation: Federation, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{federation.server}/readyz", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    log = (federation.folder / "server.log").read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"the server did not become ready:\n{log[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
