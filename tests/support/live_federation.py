"""A whole federation in the test's process: server, scheduler and, where wanted, a site of real or instant processes."""

from __future__ import annotations

import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import uvicorn
from empty_record import put_empty_record
from eventually import eventually
from real_redis import free_port

from connectors.agent.agent import Agent
from connectors.agent.settings import AgentSettings
from connectors.agent.transport import HttpTransport
from connectors.clock import SystemClock
from connectors.local.connector import LocalConnector
from connectors.local.nodes import declare_all
from connectors.local.simulated import SimulatedConnector
from connectors.protocol import Connector
from scheduler.bootstrap import Wiring, build_app, first_administrator, open_runtime, scheduling
from scheduler.service.runtime import Runtime
from scheduler.service.settings import Settings
from scheduler.service.submit import Judge

SETTINGS = Settings(
    rate_per_second=100_000,
    rate_burst=100_000,
    staleness_seconds_max=0.0,
    round_interval_seconds=0.2,
    certificate_seconds=3600,
)


#: Nobody here speaks TLS. Without it each client would read all certificate authorities of the machine anew, for 20 ms.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ask_once(method: str, url: str, **arguments: Any) -> httpx.Response:
    """One request over a connection of its own, by nobody who keeps cookies."""
    return httpx.request(method, url, verify=_NO_AUTHORITIES, timeout=30, **arguments)


class Person:
    """Somebody with a token, over HTTP."""

    def __init__(self, server: str, secret: str) -> None:
        self.server = server
        self.secret = secret
        self._http = httpx.Client(
            base_url=f"{server}/api/v1/",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=60,
            verify=_NO_AUTHORITIES,
        )

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request, a POST under a key of its own."""
        headers = dict(arguments.pop("headers", {}))
        if method == "POST":
            headers.setdefault("Idempotency-Key", uuid.uuid4().hex)
        return self._http.request(method, path, headers=headers, **arguments)

    def get(self, path: str, **query: Any) -> Any:
        """A document that is there."""
        answer = self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        """A document that is taken."""
        answer = self.ask("POST", path, json={} if body is None else body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def close(self) -> None:
        """Hang up."""
        self._http.close()


class LiveFederation:
    """Where it listens, its administrator, and how people, groups and sites come into it."""

    def __init__(self, runtime: Runtime, server: str, folder: Path, stack: ExitStack) -> None:
        self.runtime = runtime
        self.server = server
        self.folder = folder
        self._stack = stack
        self.administrator = self.person_of(first_administrator(runtime, "administrator"))

    def person_of(self, secret: str) -> Person:
        """Somebody who holds ``secret``."""
        person = Person(self.server, secret)
        self._stack.callback(person.close)
        return person

    def person(self, name: str, roles: dict[str, str] | None = None, scope: str = "manage") -> Person:
        """A new person with roles on groups."""
        for group, role in (roles or {}).items():
            self.administrator.post(f"groups/{group}/members", {"person": name, "role": role})
        body = {"name": "test", "person": name, "scopes": [scope]}
        return self.person_of(self.administrator.post("tokens", body)["secret"])

    def group(self, path: str) -> None:
        """A group with all above it; the sector is research."""
        parts = path.split(".")
        for depth, name in enumerate(parts):
            parent = ".".join(parts[:depth]) or "federation"
            body = {"parent": parent, "name": name} | ({} if depth else {"sector": "research"})
            answer = self.administrator.ask("POST", "groups", json=body)
            assert answer.status_code in (201, 409), answer.text

    def site(self, name: str, nodes: str, *, instant: bool = False, **contract: Any) -> Connector:
        """A site of declared nodes whose agent serves until the end."""
        clock, declared = SystemClock(), declare_all([nodes], None)
        connector: Connector
        if instant:
            connector = SimulatedConnector(declared, clock)
        else:
            connector = LocalConnector(self.folder / name / "site", declared, clock)
        self.serve(name, connector, len(declared), **contract)
        return connector

    def serve(self, name: str, connector: Connector, nodes: int, **contract: Any) -> None:
        """A site over ``connector``, which is closed at the end; returns when it has reported so many nodes."""
        body = {
            "name": name,
            "owner": "o",
            "operator": "o",
            "facility": "f",
            "isolates_users": True,
            "lease_seconds": 20,
        }
        token = self.administrator.post("sites", body | contract)["enrolment_token"]
        settings = AgentSettings(
            server=self.server,
            state_directory=self.folder / name,
            name=f"agent-of-{name}",
            enrolment_token=token,
            wait_seconds_max=5.0,
            repeat_seconds=0.2,
            retry_seconds_max=0.5,
        )
        agent = Agent(settings, connector, HttpTransport(self.server), SystemClock())
        thread = threading.Thread(target=agent.run, name=f"agent-{name}")
        thread.start()

        def end() -> None:
            agent.stop()
            thread.join(20)
            connector.close()

        self._stack.callback(end)
        eventually(lambda: self.administrator.get(f"sites/{name}")["nodes"] == nodes, 30, "the site reports")

    def job(self, person: Person, group: str, command: list[str], **values: Any) -> int:
        """Submit a job; its number."""
        body = {"name": "job", "group": group, "command": command, "memory_per_worker": 16, **values}
        return int(person.post("jobs", body)["id"])

    def waiting_job(self, person: Person, group: str, **values: Any) -> int:
        """A job that waits: it may not borrow, and was taken as if its group had lost a guarantee since."""
        with patch.object(Judge, "_why_never", return_value=None):
            return self.job(person, group, ["true"], preemptible=False, **values)

    def wait(self, person: Person, job: int, *states: str, seconds: float = 30) -> Any:
        """The job once it stands in one of ``states``."""

        def reached() -> Any:
            document = person.get(f"jobs/{job}")
            return document if document["state"] in states else None

        return eventually(reached, seconds, f"job {job} reaches {states}: {person.get(f'jobs/{job}')}")


@contextmanager
def live_federation(
    folder: Path,
    *,
    database_url: str | None = None,
    redis_url: str | None = None,
    with_scheduler: bool = True,
    settings: Settings = SETTINGS,
) -> Iterator[LiveFederation]:
    """A federation over SQLite, or over another database, for the block."""
    with ExitStack() as stack:
        if database_url is None:
            put_empty_record(folder / "dure.sqlite")
            database_url = f"sqlite:///{folder / 'dure.sqlite'}"
        runtime = stack.enter_context(
            open_runtime(Wiring(database_url=database_url, redis_url=redis_url, settings=settings))
        )
        port = free_port()
        # The test is over when the server is told to end: what an agent still waits for is not waited for.
        config = uvicorn.Config(
            build_app(runtime), host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=0
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="server")
        thread.start()

        def end() -> None:
            server.should_exit = True
            thread.join(20)

        stack.callback(end)
        eventually(lambda: server.started, 20, "the server listens")
        if with_scheduler:
            stack.enter_context(scheduling(runtime))
        with ExitStack() as inner:
            yield LiveFederation(runtime, f"http://127.0.0.1:{port}", folder, inner)
