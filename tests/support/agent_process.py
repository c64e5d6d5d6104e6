"""An agent with a local site as a process of its own, for tests that kill it: SERVER STATE_DIRECTORY."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from run_orders import node
from running_agent import agent_settings

from connectors.agent.agent import Agent
from connectors.agent.transport import HttpTransport
from connectors.clock import SystemClock
from connectors.local.connector import LocalConnector


def main(server: str, state: Path) -> None:
    """Run until SIGTERM."""
    connector = LocalConnector(state / "site", [node("default-0"), node("default-1")], SystemClock())
    agent = Agent(agent_settings(server, state), connector, HttpTransport(server), SystemClock())
    signal.signal(signal.SIGTERM, lambda *_: agent.stop())
    agent.run()
    connector.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
