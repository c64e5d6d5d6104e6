"""An agent that runs in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_server import ENROLMENT_TOKEN, FakeServer

from connectors.agent.agent import Agent
from connectors.agent.settings import AgentSettings
from connectors.agent.transport import HttpTransport
from connectors.clock import SystemClock
from connectors.protocol import Connector


def agent_settings(server: str, state: Path, **values: Any) -> AgentSettings:
    """Settings of an agent that does not wait long."""
    defaults: dict[str, Any] = {
        "enrolment_token": ENROLMENT_TOKEN,
        "retry_seconds_max": 0.2,
        "repeat_seconds": 0.2,
        "wait_seconds_max": 5.0,
        "timeout_seconds": 5.0,
    }
    return AgentSettings(server=server, state_directory=state, name="agent-1", **(defaults | values))


@contextmanager
def running_agent(server: FakeServer, connector: Connector, state: Path, **values: Any) -> Iterator[Agent]:
    """An agent of ``connector`` under ``server`` until the block ends."""
    settings = agent_settings(server.url, state, **values)
    agent = Agent(
        settings,
        connector,
        HttpTransport(server.url, timeout_seconds=settings.timeout_seconds),
        SystemClock(),
    )
    faults: list[BaseException] = []

    def run() -> None:
        try:
            agent.run()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, name="agent-under-test")
    thread.start()
    try:
        yield agent
    finally:
        agent.stop()
        thread.join(20)
        assert not thread.is_alive(), "the agent did not stop"
    if faults:
        raise faults[0]
