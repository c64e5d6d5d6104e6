"""An agent that also writes down every end it saw: SERVER STATE_DIRECTORY NODES [RAY_DASHBOARD].

The file ``ended.jsonl`` in the state directory is what the ledger is compared with.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from connectors.agent.agent import Agent
from connectors.agent.settings import AgentSettings
from connectors.agent.transport import HttpTransport
from connectors.clock import SystemClock
from connectors.local.connector import LocalConnector
from connectors.local.nodes import declare_all
from connectors.protocol import Connector
from scheduler.model.job_state import RunPhase
from scheduler.model.wire import RunReport


class Recorder:
    """Writes down each ended report once a process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._seen: set[int] = set()

    def record(self, reports: Sequence[RunReport]) -> None:
        """Append the ends among ``reports`` that are new."""
        for report in reports:
            if report.phase is RunPhase.ENDED and report.run_id not in self._seen:
                self._seen.add(report.run_id)
                self._file.write(report.model_dump_json() + "\n")
                self._file.flush()


def recorded(connector: Connector, path: Path) -> Connector:
    """``connector``, whose ends are written down before anybody else sees them."""
    recorder, observe = Recorder(path), connector.observe

    def observed() -> Sequence[RunReport]:
        reports = observe()
        recorder.record(reports)
        return reports

    connector.observe = observed  # type: ignore[method-assign]
    return connector


def make_connector(state: Path, nodes: str, ray_dashboard: str | None) -> Connector:
    """The engine under the agent."""
    if ray_dashboard is None:
        return LocalConnector(state / "site", declare_all([nodes], None), SystemClock())
    from connectors.ray.connector import RayConnector
    from connectors.ray.settings import RaySettings  # the engine is only needed here

    settings = RaySettings(dashboard_url=ray_dashboard, state_directory=state / "site", gpu_class="h100")
    return RayConnector(settings, SystemClock())


def main(server: str, state: Path, nodes: str, ray_dashboard: str | None = None) -> None:
    """Run until SIGTERM."""
    state.mkdir(parents=True, exist_ok=True)
    connector = recorded(make_connector(state, nodes, ray_dashboard), state / "ended.jsonl")
    settings = AgentSettings(
        server=server,
        state_directory=state,
        name="agent-1",
        enrolment_token=os.environ["DURE_ENROLMENT_TOKEN"],
        retry_seconds_max=0.5,
        repeat_seconds=0.5,
        wait_seconds_max=5.0,
        timeout_seconds=10.0,
    )
    agent = Agent(settings, connector, HttpTransport(server, timeout_seconds=10.0), SystemClock())
    signal.signal(signal.SIGTERM, lambda *_: agent.stop())
    agent.run()
    connector.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], *sys.argv[4:])
