"""A real Ray cluster on this machine: nodes with declared GPUs, each with a loopback address of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from scheduler.demo.screen import DemoFailure

_PR_SET_PDEATHSIG = 1
START_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 5.0
OBJECT_STORE_BYTES = 100_000_000


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class RayCluster:
    """Nodes on 127.0.x.2, .3 and so on; ``close`` leaves no process. ``folder`` takes the logs.

    Raises ``DemoFailure`` when it does not come up.
    """

    def __init__(self, folder: Path, *, nodes: int = 2, gpus_per_node: int = 8, cpus_per_node: int = 4) -> None:
        self._folder = folder
        self._nodes = nodes
        self._gpus = gpus_per_node
        self._cpus = cpus_per_node
        # Sockets lie in it, and their paths may not be long. Another cluster gets another network.
        self._temporary = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self._network = f"127.{1 + os.getpid() % 250}.{1 + time.monotonic_ns() // 1000 % 250}"
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._head_port, self._dashboard_port, *self._agent_ports = _free_ports(2 + nodes)
        self.dashboard_url = f"http://127.0.0.1:{self._dashboard_port}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            for number in range(self._nodes):
                self.start_node(number)
                self.wait_for_nodes(number + 1)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def address_of(self, number: int) -> str:
        """The address of one node, which is its name."""
        return f"{self._network}.{number + 2}"

    def start_node(self, number: int) -> None:
        """Start one node, or one that was killed anew; the first is the head."""
        place = f"--address={self.address_of(0)}:{self._head_port}"
        options = [place, f"--dashboard-agent-listen-port={self._agent_ports[number]}"]
        if number == 0:
            options = [
                *("--head", f"--port={self._head_port}", "--dashboard-host=127.0.0.1"),
                f"--dashboard-port={self._dashboard_port}",
                f"--dashboard-agent-listen-port={self._agent_ports[0]}",
                f"--temp-dir={self._temporary}",
            ]
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
            *(f"--node-ip-address={self.address_of(number)}", f"--num-gpus={self._gpus}"),
            *(f"--num-cpus={self._cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"),
            *options,
        ]
        log = (self._folder / f"node-{number}.log").open("ab")
        with log:
            self._processes[number] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_without_dure(os.environ), "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def kill_node(self, number: int) -> None:
        """kill -9 of one node with all its Ray processes, as a power failure would."""
        _kill_session(self._processes[number].pid)
        self._processes[number].wait()

    def close(self) -> None:
        """End every process of every node, and remove their files."""
        for process in reversed(self._processes.values()):
            _kill_session(process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS_MAX)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def wait_for_nodes(self, count: int) -> None:
        """Until so many nodes live. Raises ``DemoFailure`` when one ends meanwhile, or after a while."""
        until_seconds = time.monotonic() + START_SECONDS_MAX
        ended: list[int] = []
        while time.monotonic() < until_seconds:
            ended = [number for number, process in self._processes.items() if process.poll() is not None]
            if ended:
                break
            if self._alive() >= count:
                return
            time.sleep(0.2)
        number = ended[0] if ended else count - 1
        log = (self._folder / f"node-{number}.log").read_text(encoding="utf-8", errors="replace")
        raise DemoFailure("A node of the Ray cluster did not come up.", f"The end of its log:\n{log[-2000:]}")

    def _alive(self) -> int:
        try:
            answer = httpx.get(f"{self.dashboard_url}/api/v0/nodes", params={"detail": "True"}, timeout=5)
            nodes = answer.json()["data"]["result"]["result"]
        except (httpx.TransportError, ValueError, KeyError, TypeError):
            return 0
        return sum(node["state"] == "ALIVE" for node in nodes)


def _without_dure(environment: os._Environ[str]) -> dict[str, str]:
    """Nothing of the federation's own settings reaches the cluster; its `python` is the one that has Ray."""
    own = {name: value for name, value in environment.items() if not name.startswith("DURE_")}
    return own | {"PATH": f"{Path(sys.executable).parent}:{own.get('PATH', os.defpath)}"}


def _kill_session(leader: int) -> None:
    """SIGKILL every process of a session, whatever groups it made for itself."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            session = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[3])
        except (OSError, ValueError, IndexError):
            continue
        if session == leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
