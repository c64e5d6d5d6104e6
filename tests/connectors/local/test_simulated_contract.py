"""The simulated site keeps the connectors' contract as far as a site without processes can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from run_orders import lease, node
from site_clock import ManualSiteClock

from connectors.local.simulated import Script, SimulatedConnector
from connectors.protocol import Lease
from scheduler.model.wire import RunOrder
from tests.connectors.contract import Case, cases_for
from tests.connectors.harness import Behaviour, Harness

NO_PROCESSES = "a simulated run has no process that could"
NO_FILES = "a simulated run has no files"

SCRIPTS = {
    Behaviour.SUCCEED: Script(log=b"hello\n"),
    Behaviour.CRASH: Script(exit_code=3),
    Behaviour.RUN: Script(seconds=None),
    Behaviour.STUBBORN: Script(seconds=None, stop_seconds=1e6),
    Behaviour.TALK: Script(seconds=None, log=b"first\nsecond\n"),
    Behaviour.RANK_1_CRASHES: Script(exit_code=7),
}


class SimulatedHarness:
    CANNOT: ClassVar[Mapping[str, str]] = {
        "a_stop_with_checkpoint_lets_the_command_save": f"{NO_PROCESSES} take a signal",
        "a_log_can_be_followed_while_it_grows": "a simulated log is there as a whole from the start",
        "workers_find_their_environment": f"{NO_PROCESSES} have an environment",
        "the_working_directory_is_where_the_command_runs": NO_FILES,
        "outputs_are_archived": NO_FILES,
        "outputs_of_every_worker_are_archived_and_what_they_share_is_there_once": NO_FILES,
        "outputs_of_a_gang_are_limited_as_a_whole": NO_FILES,
        "a_checkpoint_directory_stays_with_its_job": NO_FILES,
    }
    SECONDS_MAX: ClassVar[float] = 20.0
    FIRST_LEASE_SECONDS: ClassVar[float] = 2.0
    nodes = ("default-0", "default-1")

    def __init__(self) -> None:
        self.clock = ManualSiteClock()
        self._renewal = 0
        self._scripts: dict[int, Script] = {}
        self.connector = SimulatedConnector(
            [node("default-0"), node("default-1")],
            self.clock,
            script_of=lambda order: self._scripts[order.run_id],
            background=False,
        )

    def behave(self, order: RunOrder, behaviour: Behaviour) -> RunOrder:
        self._scripts[order.run_id] = SCRIPTS[behaviour]
        return order

    def new_lease(self, seconds: float = 60.0) -> Lease:
        self._renewal += 1
        return lease(self.clock.boottime_ns(), seconds=seconds, renewal=self._renewal)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def restart(self) -> None:
        """The simulated site is its own record: it outlives the agent as a whole."""
        self.connector.close()

    def restart_after_death(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def lose_node(self, name: str) -> None:
        self.connector.lose_node(name)

    def break_start(self, order: RunOrder, rank: int) -> RunOrder:
        self._scripts[order.run_id] = Script(start_failure=f"worker {rank} is broken")
        return order

    def let_talk(self, run_id: int) -> None:
        return

    def working_directory(self) -> Path:
        raise AssertionError(NO_FILES)

    def ran(self, run_id: int, rank: int) -> bool:
        return any(run.run_id == run_id and run.started_ms is not None for run in self.connector.observe())

    def processes(self, run_id: int) -> int:
        return 0


@pytest.fixture
def harness() -> Iterator[Harness]:
    made = SimulatedHarness()
    yield made
    made.connector.close()


@pytest.mark.parametrize("case", cases_for(SimulatedHarness), ids=lambda case: case.__name__)
def test_the_simulated_connector_keeps_the_contract(case: Case, harness: Harness) -> None:
    case(harness)
