"""The local connector: real processes on the agent's own machine, on nodes that its operator declares.

Every worker stands under a supervisor in a session of its own, so that runs outlive the agent and end by
themselves when their lease does. All that is known of a run lies in its folder below the state directory.

Jobs run as the agent's own user: nothing keeps them from each other or from the agent's files, so such a site
isolates nobody, and its contract lets it take open data of one trust domain only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import structlog

from connectors.agent.archive import pack
from connectors.clock import Clock
from connectors.errors import StateUnusable
from connectors.local import run_record
from connectors.local.gang import Gang, GangSettings, end_without_start
from connectors.local.gpus import GpuIndices
from connectors.local.run_record import RunRecord
from connectors.local.worker import kill_all, reap
from connectors.protocol import Lease, LogPart, Outputs
from scheduler.model.job_state import EndCause
from scheduler.model.wire import NodeReport, RunOrder, RunReport, StopOrder

WATCH_SECONDS = 0.05
#: While nothing runs, how often supervisors that have spoken their last word are reaped.
IDLE_SECONDS = 5.0
#: Liveness of supervisors is asked once in so many looks at their reports.
LIVENESS_LOOKS = 10
LOG_BYTES_MAX = 256 * 1024 * 1024
NO_LEASE = Lease(deadline_boottime_ns=0, lease_seconds=0.0, renewal=0)


class LocalConnector:
    """Implements ``connectors.protocol.Connector``; one instance at a time over a state directory."""

    def __init__(
        self,
        state_directory: Path,
        nodes: Sequence[NodeReport],
        clock: Clock,
        *,
        launches_at_once: int = 4,
        log_bytes_max: int = LOG_BYTES_MAX,
    ) -> None:
        self._runs_folder = state_directory / "runs"
        self._damaged_folder = state_directory / "damaged"
        self._runs_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._settings = GangSettings(checkpoints=state_directory / "checkpoints", log_bytes_max=log_bytes_max)
        self._clock = clock
        self._nodes = tuple(nodes)
        self._gpus = GpuIndices(self._nodes)
        self._gangs: dict[int, Gang] = {}
        self._lock = threading.RLock()
        self._notify: Callable[[], None] = _nobody
        self._log = structlog.get_logger("connectors.local")
        self._closing = threading.Event()
        self._busy = threading.Event()
        self._launcher = ThreadPoolExecutor(launches_at_once, thread_name_prefix="dure-launch")
        self._adopt_all()
        self._watcher = threading.Thread(target=self._watch, name="dure-watch", daemon=True)
        self._watcher.start()

    def _adopt_all(self) -> None:
        for folder in sorted(self._runs_folder.iterdir()):
            try:
                record = run_record.load(folder)
            except StateUnusable as fault:
                self._set_aside(folder, fault)
                continue
            if record is None:
                run_record.remove(folder)
                continue
            gang = Gang(folder, record, self._clock, self._settings)
            self._gangs[record.run_id] = gang
            if record.order is not None and not gang.ended:
                self._gpus.hold(record.order, record.gpu_indices)
                self._busy.set()
                if gang.adopt():
                    self._launcher.submit(self._start, gang)

    def _set_aside(self, folder: Path, fault: StateUnusable) -> None:
        """End a run of which nothing can be read, and keep its files for the operator; the agent no longer knows it."""
        self._log.error("a run's record cannot be read: the run is ended", folder=str(folder), fault=str(fault))
        kill_all(folder)
        self._damaged_folder.mkdir(mode=0o700, exist_ok=True)
        folder.rename(self._damaged_folder / f"{folder.name}-{self._clock.now_ms()}")

    def capacity(self) -> Sequence[NodeReport]:
        """The declared nodes; those that ``lose_node`` took are not healthy."""
        return self._nodes

    def start(self, order: RunOrder, lease: Lease, archive: Path | None) -> None:
        """Accept a run durably and launch it in the background."""
        with self._lock:
            if order.run_id in self._gangs:
                return
            taken = self._why_not(order) or self._gpus.take(order)
            indices = {} if isinstance(taken, str) else taken
            record = RunRecord(
                run_id=order.run_id,
                order=order,
                lease=lease,
                boot_id=self._clock.boot_id(),
                archive=str(archive) if archive is not None else None,
                gpu_indices=indices,
            )
            if isinstance(taken, str):
                report = end_without_start(record, self._clock.now_ms(), EndCause.START_FAILED, taken)
                record = replace(record, report=report)
            gang = self._keep(record)
        if not gang.ended:
            self._busy.set()
            self._launcher.submit(self._start, gang)
        self._notify()

    def _why_not(self, order: RunOrder) -> str | None:
        lost = {node.name for node in self._nodes if not node.healthy}
        for member in order.gang:
            if member.node in lost:
                return f"node {member.node} is lost"
        return None

    def _keep(self, record: RunRecord) -> Gang:
        folder = self._runs_folder / str(record.run_id)
        run_record.save(folder, record)
        gang = Gang(folder, record, self._clock, self._settings)
        self._gangs[record.run_id] = gang
        return gang

    def _start(self, gang: Gang) -> None:
        try:
            gang.start()
        except Exception as fault:
            self._give_up(gang, fault)
        self._settle(gang)

    def _give_up(self, gang: Gang, fault: Exception) -> None:
        self._log.exception("a run is given up", run_id=gang.record.run_id)
        try:
            gang.give_up(f"the site cannot look after this run: {fault}")
        except Exception as again:  # whatever it is must not end the thread that looks after all runs
            self._log.error("a run's end could not be noted yet", run_id=gang.record.run_id, fault=str(again))

    def stop(self, stop: StopOrder) -> None:
        """End a run; an unknown one is noted as ended before it began."""
        with self._lock:
            gang = self._gangs.get(stop.run_id)
            if gang is None:
                record = RunRecord(run_id=stop.run_id, order=None, lease=NO_LEASE, gpu_indices={}, stop=stop)
                report = end_without_start(record, self._clock.now_ms(), stop.cause, "stopped before it came")
                self._keep(replace(record, report=report))
        if gang is not None:
            gang.order_stop(stop)
        self._notify()

    def observe(self) -> Sequence[RunReport]:
        """Every run not forgotten."""
        with self._lock:
            return [gang.report for gang in self._gangs.values()]

    def on_change(self, notify: Callable[[], None]) -> None:
        """Have ``notify`` called when a run changes by itself."""
        self._notify = notify

    def renew(self, lease: Lease) -> None:
        """Renew every live run that is not being stopped."""
        for gang in self._live():
            gang.renew(lease)

    def forget(self, run_id: int) -> None:
        """Drop an ended run and its folder."""
        with self._lock:
            gang = self._gangs.get(run_id)
            if gang is None or not gang.ended:
                return
            del self._gangs[run_id]
        run_record.remove(gang.folder)

    def read_log(self, run_id: int, rank: int, offset: int, bytes_max: int) -> LogPart | None:
        """Part of a worker's log, read from its file."""
        with self._lock:
            gang = self._gangs.get(run_id)
        if gang is None:
            return None
        # Asked before reading: a log is at its end only if the run had ended before its last bytes were read.
        ended = gang.ended
        try:
            with gang.files(rank).log.open("rb") as log:
                log.seek(offset)
                data = log.read(bytes_max)
                at_end = not log.read(1)
        except FileNotFoundError:
            return None if ended else LogPart(data=b"", offset=offset, ended=False)
        return LogPart(data=data, offset=offset, ended=ended and at_end)

    def outputs(self, run_id: int) -> Outputs:
        """Archive what the order's patterns match in the working directory, which all workers share."""
        with self._lock:
            gang = self._gangs.get(run_id)
        order = gang.record.order if gang is not None else None
        if gang is None or order is None or not order.outputs or not (gang.folder / "work").exists():
            return Outputs(archive=None)
        archive = gang.folder / "outputs.tar.gz"
        if archive.exists():
            return Outputs(archive=archive)
        chosen = pack(gang.folder / "work", order.outputs, order.outputs_bytes_max, archive)
        return Outputs(archive=archive if chosen.names else None, message=chosen.left_out)

    def lose_node(self, name: str) -> None:
        """Fault: the node dies. Its processes are killed without a word, and it is no longer healthy."""
        self._mark_lost(name)
        for gang in self._live():
            gang.lose_node(name)
        self._notify()

    def _mark_lost(self, name: str) -> None:
        with self._lock:
            self._nodes = tuple(
                node.model_copy(update={"healthy": False}) if node.name == name else node for node in self._nodes
            )

    def close(self) -> None:
        """Stop watching; launches under way are finished first. Runs go on."""
        self._closing.set()
        self._busy.set()
        self._launcher.shutdown(wait=True)
        self._watcher.join()

    def _live(self) -> list[Gang]:
        with self._lock:
            return [gang for gang in self._gangs.values() if not gang.ended]

    def _watch(self) -> None:
        look = 0
        while not self._closing.is_set():
            live = self._live()
            if not live:
                self._busy.clear()
                if not self._live() and not self._closing.is_set():
                    self._busy.wait(IDLE_SECONDS)
                reap()
                continue
            look += 1
            for gang in live:
                self._look_at(gang, check_liveness=look % LIVENESS_LOOKS == 0)
            reap()
            self._closing.wait(WATCH_SECONDS)

    def _look_at(self, gang: Gang, *, check_liveness: bool) -> None:
        try:
            if gang.watch(check_liveness=check_liveness):
                self._settle(gang)
        except OSError as fault:
            # A full disk must not blind the watcher to the other runs; this one is looked at again.
            self._log.error("run could not be watched", run_id=gang.record.run_id, fault=str(fault))
        except Exception as fault:
            self._give_up(gang, fault)
            self._settle(gang)

    def _settle(self, gang: Gang) -> None:
        """Give back what an ended gang held, and say that something changed."""
        if gang.ended:
            with self._lock:
                self._gpus.free(gang.record.run_id)
        self._notify()


def _nobody() -> None:
    """Who is told of changes before the agent listens."""
