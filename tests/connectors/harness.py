"""What the contract asks of each connector's tests: a site to drive, and commands to run at it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import ClassVar, Protocol

from eventually import eventually
from run_orders import run_order

from connectors.protocol import Connector, Lease
from scheduler.model.job_state import RunPhase
from scheduler.model.wire import RunOrder, RunReport


class Behaviour(Enum):
    """What a worker's command does."""

    SUCCEED = "prints 'hello' and ends well"
    CRASH = "ends with exit code 3"
    RUN = "runs until it is told to end"
    STUBBORN = "ignores SIGTERM"
    SAVE = "at SIGUSR1 writes 'saved' into DURE_CHECKPOINT_DIR and prints 'saved', then ends with 0"
    TALK = "prints 'first', waits for the file that Harness.let_talk makes, prints 'second', runs on"
    SHOW_ENVIRONMENT = "prints its environment as one JSON object"
    WRITE_OUTPUT = "writes 'answer' into result.txt, its rank into rank-RANK.txt, and ends well"
    RANK_1_CRASHES = "rank 1 ends with exit code 7, the others run on"


class Harness(Protocol):
    """One connector at a site with two nodes (``nodes`` has their names) of 8 GPUs each."""

    #: names of cases that cannot apply, with the reason
    CANNOT: ClassVar[Mapping[str, str]]
    #: how long a run may take from one phase to the next
    SECONDS_MAX: ClassVar[float]
    #: the shortest lease on which a run surely starts
    FIRST_LEASE_SECONDS: ClassVar[float]
    nodes: tuple[str, str]
    connector: Connector

    def behave(self, order: RunOrder, behaviour: Behaviour) -> RunOrder:
        """The order with a command (or a script) of this behaviour."""

    def new_lease(self, seconds: float = 60.0) -> Lease:
        """A lease from now on, with a higher renewal than any before."""

    def advance(self, seconds: float) -> None:
        """Let time go by where the connector's clock is moved by hand; nothing elsewhere."""

    def restart(self) -> None:
        """Close the connector and make a new one over the same site."""

    def restart_after_death(self, seconds: float) -> None:
        """Leave the site without a connector for that long, then make a new one. Before, workers have heard of
        the newest lease.
        """

    def lose_node(self, name: str) -> None:
        """Have a node die."""

    def break_start(self, order: RunOrder, rank: int) -> RunOrder:
        """The order so changed, or the site so broken, that this worker of it cannot be started."""

    def let_talk(self, run_id: int) -> None:
        """Have TALK go on."""

    def working_directory(self) -> Path:
        """An archive with one file, given.txt, that holds 'given'."""

    def ran(self, run_id: int, rank: int) -> bool:
        """Whether this worker's command was ever started."""

    def processes(self, run_id: int) -> int:
        """How many processes of the run live."""


def report_of(harness: Harness, run_id: int) -> RunReport | None:
    """What the connector says of one run."""
    return next((run for run in harness.connector.observe() if run.run_id == run_id), None)


def wait_for(harness: Harness, run_id: int, phase: RunPhase) -> RunReport:
    """The report of a run once it has reached a phase."""

    def reached() -> RunReport | None:
        report = report_of(harness, run_id)
        return report if report is not None and report.phase is phase else None

    report = eventually(reached, harness.SECONDS_MAX, f"run {run_id} {phase}")
    assert report is not None
    return report


def order_for(harness: Harness, run_id: int = 1, **values: object) -> RunOrder:
    """An order of one worker on the first node, unless told otherwise."""
    return run_order(run_id, **({"gang": ((harness.nodes[0], (0,)),)} | values))


def two_nodes(harness: Harness) -> tuple[tuple[str, tuple[int]], ...]:
    """A gang of one worker on each node."""
    return tuple((name, (rank,)) for rank, name in enumerate(harness.nodes))


def start(harness: Harness, behaviour: Behaviour, run_id: int = 1, **values: object) -> RunOrder:
    """Start a run of this behaviour."""
    order = harness.behave(order_for(harness, run_id, **values), behaviour)
    harness.connector.start(order, harness.new_lease(), None)
    return order


def log_text(harness: Harness, run_id: int, rank: int = 0) -> str:
    """All of a worker's log."""
    part = harness.connector.read_log(run_id, rank, 0, 1024 * 1024)
    return "" if part is None else part.data.decode()


def assert_no_process_is_left(harness: Harness, run_id: int) -> None:
    """No process of an ended run lives; its supervisors may take a moment to go after their last word."""
    eventually(lambda: harness.processes(run_id) == 0, 5, f"no process of run {run_id}")
