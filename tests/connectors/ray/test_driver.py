"""What stands beside a worker on its node comes through while the agent is away, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from eventually import eventually

from connectors.ray import driver
from connectors.ray.driver import Away, Channel, Gone, Worker

SUPERVISE = Path(driver.__file__).resolve().parent.parent / "supervisor" / "supervise.py"
LEASE = {"remaining_seconds": 60.0, "lease_seconds": 60.0, "renewal": 1, "stop": None}


class Agent(Channel):
    """An agent that is away whenever ``away`` says so of a request, and keeps what it is told."""

    def __init__(self, *command: str, **spec: Any) -> None:
        super().__init__("", "")
        self.spec = {
            "command": ["/bin/sh", "-c", *command],
            "environment": {},
            "inherited_names": ["PATH"],
            "inherited_prefixes": [],
            "options": [],
            "archive": False,
            "checkpoint_directory": None,
            "outputs": [],
            "outputs_bytes_max": 1 << 20,
        } | spec
        self.archive = b""
        self.outputs = b""
        self.left: list[Any] = []
        self.answers: dict[str, str] = {}
        self.lease: dict[str, Any] = dict(LEASE)
        self.told: list[Any] = []
        self.asked: list[str] = []
        self.away: Callable[[str], bool] = lambda path: False

    def ask(self, method: str, path: str, data: Any = None, into: IO[bytes] | None = None) -> bytes:
        path = path.partition("?")[0]
        self.asked.append(path)
        if self.away(path):
            raise Away(path)
        if path.endswith("/beat"):
            self.told.append(json.loads(data or b"null")["report"])
            return json.dumps(self.lease).encode()
        if path.endswith("/left"):
            self.left += json.loads(data or b"null")
            return json.dumps([self.answers.get(name, "send") for name, _, _ in json.loads(data or b"null")]).encode()
        if path.endswith("/log"):
            return json.dumps(len(data or b"")).encode()
        answers = {
            "/supervisor": SUPERVISE.read_bytes(),
            "/archive": self.archive,
            "/worker/0": json.dumps(self.spec).encode(),
        }
        if into is not None:
            into.write(answers[path])
            return b""
        if path == "/worker/0/outputs":
            self.outputs = data.read()
        return answers.get(path, b"null")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "BEAT_SECONDS", 0.02)


def test_an_agent_that_is_away_at_any_request_is_asked_again() -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w"):
        pass
    agent = Agent("true", archive=True)
    agent.archive = archive.getvalue()
    missed: set[str] = set()

    def once(path: str) -> bool:
        first = path not in missed
        missed.add(path)
        return first

    agent.away = once
    Worker(agent, 0).run()
    assert missed >= {"/port", "/worker/0", "/supervisor", "/archive", "/worker/0/beat"}
    assert (agent.told[-1]["phase"], agent.told[-1]["exit_code"]) == ("ended", 0)


def test_a_worker_waits_for_its_first_lease() -> None:
    agent = Agent("true")
    agent.lease["remaining_seconds"] = None

    def grant(path: str) -> bool:
        if len(agent.told) == 3:
            agent.lease["remaining_seconds"] = 60.0
        return False

    agent.away = grant
    Worker(agent, 0).run()
    assert agent.told[:3] == [None, None, None]
    assert agent.told[-1]["exit_code"] == 0


def test_a_worker_that_its_node_cannot_start_is_told_of() -> None:
    agent = Agent("true", archive=True)
    agent.archive = b"no archive"
    Worker(agent, 0).run()
    assert [word["cause"] for word in agent.told] == ["start_failed"]


def test_a_supervisor_that_is_killed_leaves_nothing_and_is_told_of() -> None:
    agent = Agent("(sleep 600 & echo $! > orphan); exec sleep 600")
    worker = Worker(agent, 0)
    thread = threading.Thread(target=worker.run)
    thread.start()
    orphan = Path(worker.work) / "orphan"
    eventually(lambda: orphan.exists() and orphan.read_text().strip())
    pid = orphan.read_text().strip()
    eventually(lambda: any(word and word["phase"] == "running" for word in agent.told))
    for entry in Path("/proc").iterdir():
        words = (entry / "cmdline").read_bytes() if entry.name.isdigit() and (entry / "cmdline").exists() else b""
        if worker.file("supervise.py").encode() in words:
            driver.os.kill(int(entry.name), signal.SIGKILL)
    thread.join(20)
    assert not thread.is_alive()
    assert agent.told[-1] == {"phase": "gone"}
    assert driver.environment_of(pid) in ([], [b""])


def test_a_worker_that_must_not_run_says_nothing() -> None:
    agent = Agent("true")

    def refused(path: str) -> bool:
        if path.endswith("/beat"):
            raise Gone(path)
        return False

    agent.away = refused
    Worker(agent, 0).run()
    assert agent.told == []
    assert "/worker/0/log" not in agent.asked


def test_outputs_come_before_the_end_with_what_was_left_out() -> None:
    script = "mkdir -p deep/er; echo 1 > deep/er/a.txt; head -c 5000 /dev/zero > large.txt; ln -s /etc/passwd out.txt"
    agent = Agent(script, outputs=["deep", "*.txt"], outputs_bytes_max=1000)
    Worker(agent, 0).run()
    with tarfile.open(fileobj=io.BytesIO(agent.outputs)) as archive:
        assert archive.getnames() == ["deep/er/a.txt"]
    assert "large.txt" in agent.told[-1]["left_out"] and "out.txt" in agent.told[-1]["left_out"]
    assert agent.left == [["deep/er/a.txt", 2, hashlib.sha256(b"1\n").hexdigest()]]
    assert agent.asked[-1].endswith("/beat") and agent.asked[-2] == "/worker/0/outputs"
    assert all(word is None or word["phase"] != "ended" for word in agent.told[:-1])


def test_only_what_the_agent_wants_is_sent_and_the_rest_is_told_but_what_others_left_alike() -> None:
    agent = Agent("for name in a b c d; do echo $name > $name; done", outputs=["*"])
    agent.answers = {"a": "large", "b": "same", "d": "many"}
    Worker(agent, 0).run()
    with tarfile.open(fileobj=io.BytesIO(agent.outputs)) as archive:
        assert archive.getnames() == ["c"]
    limit = "outputs left out, above the limit of 1048576 bytes: a"
    assert agent.told[-1]["left_out"] == f"{limit}; outputs left out, too many files: d"


def test_nothing_is_sent_where_nothing_is_wanted() -> None:
    agent = Agent("echo > a", outputs=["a"])
    agent.answers = {"a": "same"}
    Worker(agent, 0).run()
    assert "/worker/0/outputs" not in agent.asked
    assert (agent.told[-1]["phase"], agent.told[-1]["left_out"]) == ("ended", "")


def test_many_files_are_told_of_in_parts_that_the_agent_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LOG_BYTES", 200)
    agent = Agent("for number in 1 2 3 4 5; do echo > $number; done", outputs=["*"])
    Worker(agent, 0).run()
    assert [name for name, _, _ in agent.left] == ["1", "2", "3", "4", "5"]
    assert agent.asked.count("/worker/0/left") == 3


def test_a_long_log_does_not_hold_up_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LOG_BYTES", 10)
    agent = Agent("true")
    worker = Worker(agent, 0)
    Path(worker.file("log")).write_bytes(b"x" * 1000)
    answers = iter(range(10, 2000, 10))
    monkeypatch.setattr(Agent, "ask", _counting(Agent.ask, answers))
    worker.beat()
    assert agent.asked == ["/worker/0/beat", *["/worker/0/log"] * driver.LOG_PARTS_A_BEAT]


def _counting(ask: Callable[..., bytes], offsets: Iterator[int]) -> Callable[..., bytes]:
    def counting(agent: Agent, method: str, path: str, data: Any = None, into: Any = None) -> bytes:
        answer = ask(agent, method, path, data, into)
        return str(next(offsets)).encode() if "/log" in path else answer

    return counting
