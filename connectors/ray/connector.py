"""A Ray cluster as a connector: one Ray job a run, its gang on the nodes that the plan chose."""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from connectors.clock import Clock
from connectors.errors import EngineRefused, EngineUnavailable, SettingsUnusable, StateUnusable
from connectors.protocol import Lease, LogPart, Outputs
from connectors.ray import run_record
from connectors.ray.channel import Channel
from connectors.ray.cluster import Cluster, JobStatus
from connectors.ray.gang import RayGang
from connectors.ray.run_record import RayRunRecord
from connectors.ray.settings import RaySettings
from scheduler.model.job_state import EndCause
from scheduler.model.wire import NodeReport, RunOrder, RunReport, StopOrder

LOOK_SECONDS = 2.0
SUBMISSIONS_AT_ONCE = 8
#: Fetches the driver through the gang's channel: nothing has to be installed on the cluster but Ray.
_BOOTSTRAP = (
    "import os,urllib.request as u;"
    "r=u.Request(os.environ['DURE_CHANNEL']+'/driver');"
    "r.add_header('Authorization','Bearer '+os.environ['DURE_CHANNEL_SECRET']);"
    "s=u.build_opener(u.ProxyHandler({})).open(r,timeout=30).read();"
    "exec(compile(s,'driver.py','exec'),{'__name__':'__main__'})"
)


class RayConnector:
    """Implements ``connectors.protocol.Connector``. Its folder holds every run that was not forgotten."""

    def __init__(self, settings: RaySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._cluster = Cluster(settings)
        self._log = structlog.get_logger("connectors.ray")
        self._lock = threading.Lock()
        self._gangs: dict[int, RayGang] = {}
        self._nodes: tuple[NodeReport, ...] | None = None
        self._lease: Lease | None = None
        self._notify: Callable[[], None] = lambda: None
        self._closing = threading.Event()
        self._runs = settings.state_directory / "runs"
        self._runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._leaving = settings.state_directory / "leaving"
        self._leaving.mkdir(mode=0o700, exist_ok=True)
        self._starting = ThreadPoolExecutor(SUBMISSIONS_AT_ONCE, thread_name_prefix="ray-start")
        self._channel = self._listen()
        (settings.state_directory / "port").write_text(str(self._channel.port), encoding="utf-8")
        self._adopt()
        self._thread = threading.Thread(target=self._watch, name="ray-watch", daemon=True)
        self._thread.start()

    def _listen(self) -> Channel:
        port = self._settings.listen_port or self._port_of_before()
        try:
            return Channel(self._settings.listen_host, port, self._gang)
        except OSError as taken:
            raise SettingsUnusable(
                f"--listen: port {port} of {self._settings.listen_host} cannot be listened on ({taken}): name another"
                " address of this machine, or stop what listens there",
                f"--listen: {self._settings.listen_host}의 포트 {port}을(를) 쓸 수 없습니다({taken}). 이 컴퓨터의 다른"
                " 주소를 쓰거나 그 포트를 쓰는 프로그램을 끝내십시오",
            ) from taken

    def _port_of_before(self) -> int:
        """Gangs that run know the channel's port: an agent that starts again listens where it did."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._settings.state_directory / "port").read_text(encoding="utf-8"))
        return 0

    def _adopt(self) -> None:
        for folder in sorted(self._runs.iterdir()):
            try:
                record = run_record.load(folder)
            except StateUnusable as fault:
                self._set_aside(folder, fault)
                continue
            if record is None:
                run_record.remove(folder)
                continue
            gang = self._keep(folder, record)
            if not gang.ended:
                self._starting.submit(self._submit, gang)

    def _set_aside(self, folder: Path, fault: StateUnusable) -> None:
        """Keep the files of a run of which nothing can be read, for the operator. Its workers are renewed no more."""
        self._log.error("a run's record cannot be read: the run is given up", folder=str(folder), fault=str(fault))
        damaged = self._settings.state_directory / "damaged"
        damaged.mkdir(mode=0o700, exist_ok=True)
        folder.rename(damaged / f"{folder.name}-{self._clock.now_ms()}")

    def _keep(self, folder: Path, record: RayRunRecord) -> RayGang:
        gang = RayGang(folder, record, self._clock, self._settings)
        gang.notify = self._changed
        with self._lock:
            self._gangs = {**self._gangs, record.run_id: gang}
        return gang

    def _gang(self, run_id: int) -> RayGang | None:
        return self._gangs.get(run_id)

    def _changed(self) -> None:
        self._notify()

    def capacity(self) -> Sequence[NodeReport]:
        """The cluster's nodes, as seen a moment ago."""
        if self._nodes is None:
            self._look_at_nodes()
        assert self._nodes is not None
        return self._nodes

    def _look_at_nodes(self) -> None:
        nodes = self._cluster.nodes()
        if nodes != self._nodes:
            known = self._nodes is not None
            self._nodes = nodes
            if known:
                self._changed()

    def start(self, order: RunOrder, lease: Lease, archive: Path | None) -> None:
        """Have this run; submitted in the background."""
        if self._gang(order.run_id) is not None:
            return
        record = run_record.new_record(
            order.run_id,
            order,
            archive=archive,
            boot_id=self._clock.boot_id(),
            lease=lease,
        )
        folder = self._runs / str(order.run_id)
        run_record.save(folder, record)
        gang = self._keep(folder, record)
        gang.renew(self._newest(lease))
        self._starting.submit(self._submit, gang)

    def _newest(self, lease: Lease) -> Lease:
        if self._lease is None or lease.renewal > self._lease.renewal:
            self._lease = lease
        return self._lease

    def _submit(self, gang: RayGang) -> None:
        """Ask Ray until it has answered; a run that it knows already goes on."""
        try:
            if not gang.prepare() or not gang.mark_submitted():
                return
            # The driver needs an interpreter that has Ray: on the nodes, `python` is the one that Ray runs on.
            entrypoint = f"python -c {shlex.quote(_BOOTSTRAP)}"
            environment = {
                "DURE_CHANNEL": self._channel.url_of(gang.record.run_id),
                "DURE_CHANNEL_SECRET": gang.record.secret,
            }
            while not self._closing.is_set() and not gang.end_unasked():
                try:
                    self._cluster.submit(gang.record.submission_id, entrypoint, environment)
                    gang.accepted = True
                    return
                except EngineRefused as refusal:
                    gang.end_unstarted(EndCause.REFUSED, str(refusal), None)
                    return
                except EngineUnavailable as away:
                    self._log.warning("ray did not take a run", run=gang.record.run_id, fault=str(away))
                    self._closing.wait(LOOK_SECONDS)
        except Exception as fault:
            self._log.exception("a run could not be started", run=gang.record.run_id)
            gang.end_unstarted(EndCause.START_FAILED, f"the agent could not hand the run to Ray: {fault!r}", None)

    def stop(self, stop: StopOrder) -> None:
        """End this run; an unknown one is recorded as ended."""
        gang = self._gang(stop.run_id)
        if gang is None:
            record = run_record.new_record(stop.run_id, None, stop=stop)
            gang = self._keep(self._runs / str(stop.run_id), record)
            gang.end_unstarted(stop.cause, "stopped before it was known here", None)
            return
        gang.order_stop(stop)

    def observe(self) -> Sequence[RunReport]:
        """Every run, from memory."""
        return [gang.report for gang in self._gangs.values()]

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` whenever a run or the nodes have changed."""
        self._notify = notify

    def renew(self, lease: Lease) -> None:
        """Hand a newer lease to every live run."""
        self._newest(lease)
        for gang in self._gangs.values():
            gang.renew(lease)

    def forget(self, run_id: int) -> None:
        """Drop an ended run with its files, and its record at Ray."""
        gang = self._gang(run_id)
        if gang is None or not gang.ended:
            return
        with self._lock:
            self._gangs = {each: kept for each, kept in self._gangs.items() if each != run_id}
        if gang.record.submitted:
            (self._leaving / gang.record.submission_id).touch(mode=0o600)
        run_record.remove(gang.folder)

    def _forget_at_ray(self, note: Path) -> None:
        """Ray keeps a job while its driver still tidies up, and is asked again."""
        if self._cluster.forget(note.name):
            note.unlink()

    def read_log(self, run_id: int, rank: int, offset: int, bytes_max: int) -> LogPart | None:
        """Bytes of a worker's log that have come in."""
        gang = self._gang(run_id)
        order = gang.record.order if gang is not None else None
        if gang is None or order is None or not 0 <= rank < order.workers:
            return None
        ended = gang.ended
        path = gang.file(f"log-{rank}")
        if not path.exists():
            if ended and gang.report.started_ms is None:
                return None
            return LogPart(data=b"", offset=offset, ended=ended)
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(bytes_max)
        return LogPart(data=data, offset=offset, ended=ended and offset + len(data) >= path.stat().st_size)

    def outputs(self, run_id: int) -> Outputs:
        """What the workers left behind, each on its own node: files of all, and of one name that differ those of the
        lowest rank, the others below ``worker-RANK/``.
        """
        gang = self._gang(run_id)
        if gang is None or gang.collection is None or not gang.ended:
            return Outputs(archive=None)
        return gang.collection.archive()

    def close(self) -> None:
        """Let go of threads and files. Gangs go on until their leases end."""
        self._closing.set()
        self._thread.join()
        self._starting.shutdown(wait=True, cancel_futures=True)
        self._channel.close()
        self._cluster.close()

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self._try("the cluster's nodes", self._look_at_nodes)
            dead = frozenset(node.name for node in self._nodes or () if not node.healthy)
            for gang in list(self._gangs.values()):
                if gang.record.submitted and not gang.ended and not self._closing.is_set():
                    self._try(gang.record.submission_id, partial(self._look_at, gang, dead))

            for note in list(self._leaving.iterdir()):
                if not self._closing.is_set():
                    self._try(note.name, partial(self._forget_at_ray, note))

    def _try(self, what: str, look: Callable[[], None]) -> None:
        """Whatever one look meets, the others go on, and it is tried again."""
        try:
            look()
        except EngineUnavailable as away:
            self._log.warning("the cluster does not answer", what=what, fault=str(away))
        except Exception:
            self._log.exception("the cluster could not be looked at", what=what)

    def _look_at(self, gang: RayGang, dead_nodes: frozenset[str]) -> None:
        # Asked before Ray is: an answer that was on its way when Ray took the run says nothing of it.
        accepted = gang.accepted
        status, message = self._cluster.status(gang.record.submission_id)
        if not status.is_over:
            gang.find()
        elif accepted or status is not JobStatus.MISSING:
            gang.lose(status, message, dead_nodes)
