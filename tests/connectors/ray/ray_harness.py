"""A site on a real Ray cluster, as the contract wants it."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from eventually import eventually
from run_orders import lease, stop_order

from connectors.clock import SystemClock
from connectors.protocol import Lease
from connectors.ray.connector import RayConnector
from connectors.ray.settings import RaySettings
from scheduler.demo.ray_cluster import RayCluster
from scheduler.model.job_state import RunPhase
from scheduler.model.wire import RunOrder
from tests.connectors.harness import Behaviour

#: In the environment of every process of a harness's runs.
MARK = "CONTRACT_SITE"

SHELL = {
    Behaviour.SUCCEED: "echo hello",
    Behaviour.CRASH: "exit 3",
    Behaviour.RUN: "exec sleep 600",
    Behaviour.STUBBORN: "trap '' TERM; while :; do sleep 0.1; done",
    Behaviour.SAVE: (
        "trap 'echo saved > $DURE_CHECKPOINT_DIR/saved; echo saved; exit 0' USR1;"
        " echo ready; while :; do sleep 0.05; done"
    ),
    Behaviour.TALK: (
        f"echo first; while [ ! -e ${MARK}/talk-$DURE_RUN_ID ]; do sleep 0.05; done; echo second; exec sleep 600"
    ),
    Behaviour.SHOW_ENVIRONMENT: "exec python -c 'import json, os; print(json.dumps(dict(os.environ)))'",
    Behaviour.WRITE_OUTPUT: "echo answer > result.txt; echo $RANK > rank-$RANK.txt",
    Behaviour.RANK_1_CRASHES: "[ $RANK = 1 ] && exit 7; exec sleep 600",
}


class RayHarness:
    """Its state lies in ``folder``; ``close`` ends its runs and brings back the nodes that it lost."""

    CANNOT: ClassVar[Mapping[str, str]] = {}
    SECONDS_MAX: ClassVar[float] = 120.0
    FIRST_LEASE_SECONDS: ClassVar[float] = 60.0

    def __init__(self, cluster: RayCluster, folder: Path) -> None:
        self.folder = folder
        self.nodes = (cluster.address_of(0), cluster.address_of(1))
        self._cluster = cluster
        self._lost: list[int] = []
        self._clock = SystemClock()
        self._renewal = 0
        self.connector = self.connect()

    def connect(self) -> RayConnector:
        """Another connector over the same site."""
        settings = RaySettings(
            dashboard_url=self._cluster.dashboard_url,
            state_directory=self.folder / "state",
            checkpoint_root=self.folder / "checkpoints",
            place_seconds_max=10.0,
        )
        return RayConnector(settings, self._clock)

    def close(self) -> None:
        """Leave the cluster as it was."""
        live = [run for run in self.connector.observe() if run.phase is not RunPhase.ENDED]
        for run in live:
            self.connector.stop(stop_order(run.run_id, grace_seconds=0.0))
        eventually(lambda: all(run.phase is RunPhase.ENDED for run in self.connector.observe()), self.SECONDS_MAX)
        self.connector.close()
        for number in self._lost:
            self._cluster.start_node(number)
            self._cluster.wait_for_nodes(len(self.nodes))

    def behave(self, order: RunOrder, behaviour: Behaviour) -> RunOrder:
        environment = {**order.environment, MARK: str(self.folder)}
        return order.model_copy(update={"command": ("/bin/sh", "-c", SHELL[behaviour]), "environment": environment})

    def new_lease(self, seconds: float = 60.0) -> Lease:
        self._renewal += 1
        return lease(self._clock.boottime_ns(), seconds=seconds, renewal=self._renewal)

    def advance(self, seconds: float) -> None:
        """Real time goes by itself."""

    def restart(self) -> None:
        self.connector.close()
        self.connector = self.connect()

    def restart_after_death(self, seconds: float) -> None:
        eventually(lambda: all(found == self._renewal for found in self._renewals_heard()), 20, "the newest lease")
        self.connector.close()
        threading.Event().wait(seconds)
        self.connector = self.connect()

    def lose_node(self, name: str) -> None:
        number = self.nodes.index(name)
        self._lost.append(number)
        self._cluster.kill_node(number)

    def break_start(self, order: RunOrder, rank: int) -> RunOrder:
        gang = [
            member.model_copy(update={"node": "192.0.2.1"}) if rank in member.ranks else member for member in order.gang
        ]
        return order.model_copy(update={"gang": tuple(gang)})

    def let_talk(self, run_id: int) -> None:
        (self.folder / f"talk-{run_id}").touch()

    def working_directory(self) -> Path:
        path = self.folder / "work.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("given.txt")
            member.size = 6
            archive.addfile(member, io.BytesIO(b"given\n"))
        return path

    def ran(self, run_id: int, rank: int) -> bool:
        return (self.folder / "state" / "runs" / str(run_id) / f"report-{rank}.json").exists()

    def processes(self, run_id: int) -> int:
        return sum(1 for _ in self.processes_of(run_id))

    def processes_of(self, run_id: int) -> Iterator[Path]:
        """Folders of /proc."""
        marks = {f"{MARK}={self.folder}".encode(), f"DURE_RUN_ID={run_id}".encode()}
        for entry in Path("/proc").iterdir():
            try:
                if marks <= set((entry / "environ").read_bytes().split(b"\0")):
                    yield entry
            except OSError:
                continue

    def _renewals_heard(self) -> list[int]:
        """The lease that each supervisor on the nodes has."""
        found = []
        for run in self.connector.observe():
            for entry in self.processes_of(run.run_id):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"--control" in words:
                    control = Path(words[words.index(b"--control") + 1].decode())
                    found.append(int(json.loads(control.read_text())["renewal"]))
        return found
