"""The local connector keeps the connectors' contract with real processes under real supervisors."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from run_orders import lease, node

from connectors.clock import SystemClock
from connectors.local import gang
from connectors.local.connector import LocalConnector
from connectors.local.worker import WorkerFiles, kill_all, read_report
from connectors.protocol import Lease
from scheduler.model.wire import RunOrder
from tests.connectors.contract import Case, cases_for
from tests.connectors.harness import Behaviour, Harness

pytestmark = pytest.mark.slow

SHELL = {
    Behaviour.SUCCEED: "echo hello",
    Behaviour.CRASH: "exit 3",
    Behaviour.RUN: "exec sleep 600",
    Behaviour.STUBBORN: "trap '' TERM; while :; do sleep 0.1; done",
    Behaviour.SAVE: (
        "trap 'echo saved > $DURE_CHECKPOINT_DIR/saved; echo saved; exit 0' USR1;"
        " echo ready; while :; do sleep 0.05; done"
    ),
    Behaviour.TALK: "echo first; while [ ! -e talk ]; do sleep 0.05; done; echo second; exec sleep 600",
    Behaviour.SHOW_ENVIRONMENT: "exec python -c 'import json, os; print(json.dumps(dict(os.environ)))'",
    Behaviour.WRITE_OUTPUT: "echo answer > result.txt; echo $RANK > rank-$RANK.txt",
    Behaviour.RANK_1_CRASHES: "[ $RANK = 1 ] && exit 7; exec sleep 600",
}


class LocalHarness:
    CANNOT: ClassVar[Mapping[str, str]] = {}
    SECONDS_MAX: ClassVar[float] = 60.0
    FIRST_LEASE_SECONDS: ClassVar[float] = 2.0
    nodes = ("default-0", "default-1")

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._clock = SystemClock()
        self._renewal = 0
        self.connector = self._connect()

    def _connect(self) -> LocalConnector:
        return LocalConnector(self.folder / "state", [node("default-0"), node("default-1")], self._clock)

    def run_folder(self, run_id: int) -> Path:
        return self.folder / "state" / "runs" / str(run_id)

    def behave(self, order: RunOrder, behaviour: Behaviour) -> RunOrder:
        return order.model_copy(update={"command": ("/bin/sh", "-c", SHELL[behaviour])})

    def new_lease(self, seconds: float = 60.0) -> Lease:
        self._renewal += 1
        return lease(self._clock.boottime_ns(), seconds=seconds, renewal=self._renewal)

    def advance(self, seconds: float) -> None:
        """Real time goes by itself."""

    def restart(self) -> None:
        self.connector.close()
        self.connector = self._connect()

    def restart_after_death(self, seconds: float) -> None:
        self.connector.close()
        threading.Event().wait(seconds)
        self.connector = self._connect()

    def lose_node(self, name: str) -> None:
        self.connector.lose_node(name)

    def break_start(self, order: RunOrder, rank: int) -> RunOrder:
        launch = gang.launch

        def failing(files: WorkerFiles, *arguments: object, **options: object) -> object:
            if files.rank == rank:
                raise OSError("no more processes")
            return launch(files, *arguments, **options)  # type: ignore[arg-type]

        self._monkeypatch.setattr(gang, "launch", failing)
        return order

    def let_talk(self, run_id: int) -> None:
        (self.run_folder(run_id) / "work" / "talk").touch()

    def working_directory(self) -> Path:
        path = self.folder / "work.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("given.txt")
            member.size = 6
            archive.addfile(member, io.BytesIO(b"given\n"))
        return path

    def ran(self, run_id: int, rank: int) -> bool:
        report = read_report(WorkerFiles(self.run_folder(run_id), rank))
        return report is not None and report.started_ms is not None

    def processes(self, run_id: int) -> int:
        mark = f"DURE_RUN_DIR={self.run_folder(run_id)}".encode()
        count = 0
        for entry in Path("/proc").iterdir():
            try:
                count += mark in (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
        return count


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setenv("DURE_AGENT_TOKEN", "dure_enrol_secret")
    made = LocalHarness(tmp_path, monkeypatch)
    yield made
    made.connector.close()
    for folder in (tmp_path / "state" / "runs").iterdir():
        kill_all(folder, range(8))


@pytest.mark.parametrize("case", cases_for(LocalHarness), ids=lambda case: case.__name__)
def test_the_local_connector_keeps_the_contract(case: Case, harness: Harness) -> None:
    case(harness)
