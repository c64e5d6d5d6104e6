"""kill -9 of server, scheduler and agent at random moments: every job ends exactly once, nothing runs twice.

The seed of a round is its number; a failure names it. ``make test-faults`` runs many rounds, CI a short version.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from eventually import eventually
from killable import DURE, ROOT, Chaos, Killable
from real_postgresql import running_postgresql
from real_redis import running_redis
from walked import (
    Record,
    assert_every_job_ended_once,
    assert_ledger_equals_what_the_agent_recorded,
    assert_no_gpu_is_held,
    assert_nothing_ran_twice,
)

from scheduler.demo.ray_cluster import RayCluster

pytestmark = pytest.mark.service

GROUP = "research.laboratory"
#: Each process writes down that it began and that it ended; what it does between takes a moment.
COMMAND = (
    'echo "begin $DURE_JOB_ID $DURE_EPOCH" >> "$DONE"; sleep "$PAUSE"; echo "end $DURE_JOB_ID $DURE_EPOCH" >> "$DONE"'
)


class Federation:
    """Server, scheduler and agent as processes of their own over one database."""

    def __init__(self, folder: Path, database_url: str, redis_url: str | None) -> None:
        self.folder = folder
        self.database_url = database_url
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._options = ["--database", database_url, *(["--redis", redis_url] if redis_url else [])]
        made = subprocess.run(
            [*DURE, "administrator", "tester", "--database", database_url],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        token = made.stdout.strip().splitlines()[-1]
        listen = ["--host", "127.0.0.1", "--port", str(self.port)]
        self.processes = [
            self._process("server", [*DURE, "server", *self._options, *listen]),
            self._process("scheduler", [*DURE, "scheduler", *self._options]),
        ]
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        eventually(self._is_ready, 60)

    def _process(self, name: str, command: list[str], **environment: str) -> Killable:
        return Killable(name, command, self.folder / f"{name}.log", environment)

    def _is_ready(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def post(self, path: str, body: dict[str, object], key: str) -> httpx.Response:
        """POST below the API."""
        answer = self.client.post(f"/api/v1/{path}", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code < 300, answer.text
        return answer

    def start_agent(self, nodes: str, gpus: int, ray_dashboard: str | None = None) -> None:
        """Register a site, and have an agent serve it."""
        self.post("groups", {"parent": "federation", "name": "research", "sector": "research"}, "sector")
        self.post("groups", {"parent": "research", "name": "laboratory"}, "group")
        site = {
            "name": "site-1",
            "owner": "o",
            "operator": "o",
            "facility": "f",
            "trust_domain": GROUP,
            "lease_seconds": 60,
        }
        token = self.post("sites", site, "site").json()["enrolment_token"]
        script = [sys.executable, str(ROOT / "tests/support/recording_agent.py")]
        arguments = [f"http://127.0.0.1:{self.port}", str(self.folder / "agent"), nodes]
        command = [*script, *arguments, *([ray_dashboard] if ray_dashboard else [])]
        self.processes.append(self._process("agent", command, DURE_ENROLMENT_TOKEN=token))

        def all_there() -> bool:
            site = self.client.get("/api/v1/sites/site-1").json()
            return sum(int(one["total"]) for one in site["gpu_classes"]) == gpus

        eventually(all_there, 60)

    def submit(self, jobs: int, done: Path) -> None:
        """Submit short one-GPU jobs that write down that they began and ended."""
        documents = [
            {
                "name": f"job-{number}",
                "group": GROUP,
                "environment": {"DONE": str(done), "PAUSE": f"{number % 3}.{number % 10}"},
                "command": COMMAND,
                "memory_per_worker": 16,
            }
            for number in range(jobs)
        ]
        answer = self.post("jobs/batch", {"jobs": documents}, "batch")
        assert [item["status"] for item in answer.json()["items"]] == [201] * jobs

    def close(self) -> None:
        """End every process."""
        for process in reversed(self.processes):
            process.stop()
        self.client.close()


def walk_under_chaos(federation: Federation, *, jobs: int, kills: int, seed: int, seconds_max: float) -> None:
    """Submit, kill, wait for every end, and look at what must hold."""
    done = federation.folder / "done"
    federation.submit(jobs, done)
    record = Record(federation.database_url)
    with Chaos(federation.processes, seed=seed, kills=kills) as chaos:
        eventually(lambda: record.unended_jobs() == 0, seconds_max)
    assert_every_job_ended_once(record, jobs)
    assert_nothing_ran_twice(done, jobs)
    assert_no_gpu_is_held(record)
    for process in reversed(federation.processes):
        process.stop()
    assert_ledger_equals_what_the_agent_recorded(record, federation.folder / "agent" / "ended.jsonl")
    assert chaos.killed
    record.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def federation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Federation]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            made = Federation(tmp_path, f"sqlite:///{tmp_path / 'dure.sqlite'}", None)
        else:
            postgresql, redis = stack.enter_context(running_postgresql()), stack.enter_context(running_redis())
            made = Federation(tmp_path, postgresql, redis)
        stack.callback(made.close)
        yield made


def test_every_job_ends_once_while_processes_are_killed(
    federation: Federation, kill_round: int, kill_jobs: int
) -> None:
    federation.start_agent("4x8:h100", 32)
    walk_under_chaos(federation, jobs=kill_jobs, kills=kill_jobs // 8, seed=kill_round, seconds_max=240)


def test_every_job_on_ray_ends_once_while_processes_are_killed(
    tmp_path: Path, ray_kill_round: int, ray_kill_jobs: int
) -> None:
    with RayCluster(tmp_path / "ray", nodes=2, gpus_per_node=8) as cluster:
        federation = Federation(tmp_path, f"sqlite:///{tmp_path / 'dure.sqlite'}", None)
        try:
            federation.start_agent("none", 16, cluster.dashboard_url)
            walk_under_chaos(federation, jobs=ray_kill_jobs, kills=4, seed=ray_kill_round, seconds_max=400)
        finally:
            federation.close()
