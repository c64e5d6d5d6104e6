"""One run on Ray: what its workers told, what they are told, and how it ended."""

from __future__ import annotations

import shutil
import tarfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from connectors.agent.archive import unpack
from connectors.clock import Clock
from connectors.errors import UnsafeArchive
from connectors.message import message_of
from connectors.protocol import Lease, stop_over_ns
from connectors.ray import run_record
from connectors.ray.cluster import JobStatus
from connectors.ray.collection import Collection
from connectors.ray.given import GivenLeases
from connectors.ray.run_record import RayRunRecord
from connectors.ray.settings import RaySettings
from connectors.ray.spec import spec_of
from connectors.ray.words import Word, Words
from connectors.verdict import PEER_ENDED, WorkerEnd, gang_end, node_of
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunOrder, RunReport, StopOrder

EXIT_CODE_UNUSABLE = 126
#: After a worker's lease is over its supervisor takes a moment to end everything.
KILL_SECONDS = 2.0
#: Reports may still be on their way when Ray says that the driver is over.
SETTLE_SECONDS = 3.0
LOG_BYTES_BESIDE = 1024
_CAUSES = frozenset({*EndCause, PEER_ENDED})
SUPERVISE = Path(__file__).resolve().parent.parent / "supervisor" / "supervise.py"


class RayGang:
    """A run on the cluster. Thread-safe. ``report`` is what ``observe`` answers; ended gangs never change.

    ``accepted`` is set once Ray has answered this agent that it has the run: before that, that Ray does not know
    the run means nothing.
    """

    def __init__(self, folder: Path, record: RayRunRecord, clock: Clock, settings: RaySettings) -> None:
        self.folder = folder
        self.record = record
        self.accepted = False
        self.report = record.report or self._report(RunPhase.STARTING)
        self._clock = clock
        self._settings = settings
        self._lock = threading.RLock()
        self._lease: Lease | None = None
        order = record.order
        self.collection = None if order is None else Collection(folder, order.outputs_bytes_max)
        self._given = GivenLeases(self.file("given.json"), clock)
        self._lost: tuple[int, EndCause, str, str | None] | None = None
        self._kept = Words(folder)
        self._words: dict[int, Word] = {}
        self._ends: dict[int, WorkerEnd] = {}
        self.notify: Callable[[], None] = lambda: None
        if not self.ended:
            self._read_words()

    @property
    def ended(self) -> bool:
        """Whether every worker has ended (or none ever started)."""
        return self.report.phase is RunPhase.ENDED

    def file(self, name: str) -> Path:
        """A file of the run's own."""
        return self.folder / name

    def _report(self, phase: RunPhase, **values: object) -> RunReport:
        record = self.record
        epoch = record.order.epoch if record.order else record.stop.epoch if record.stop else 1
        return RunReport.model_validate({"run_id": record.run_id, "epoch": epoch, "phase": phase, **values})

    def _save(self, **values: Any) -> None:
        self.record = replace(self.record, **values)
        run_record.save(self.folder, self.record)

    def _read_words(self) -> None:
        """What workers told an earlier agent, and were given by it."""
        order = self.record.order
        if order is None:
            return
        for rank in range(order.workers):
            word = self._kept.read(rank)
            if word is not None:
                self._take_word(rank, word)
        self._lease = self._given.take_up(self.record.boot_id, self.record.lease)
        if not self.record.submitted:
            self._given.until_ns = 0
        if self.record.stop is not None and self.record.boot_id != self._clock.boot_id():
            over_ns = stop_over_ns(self._clock.boottime_ns(), self.record.stop.grace_seconds)
            self.record = replace(self.record, stop_over_ns=over_ns)

    # what the agent wants

    def prepare(self) -> bool:
        """Make the working directory ready for its workers; False, and ended, where it cannot be used."""
        packed, archive, order = self.file("work.tar"), self.record.archive, self.record.order
        if packed.exists():
            return True
        if archive is None:
            missing = order is not None and order.working_directory is not None
            if missing:
                self.end_unstarted(EndCause.START_FAILED, "working directory: it did not come with the order", None)
            return not missing
        beside = self.file("work.new")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700)
        try:
            unpack(archive, beside, bytes_max=self._settings.work_bytes_max)
            with tarfile.open(self.file("work.tar.new"), "w") as tarred:
                tarred.add(beside, arcname=".")
            self.file("work.tar.new").replace(packed)
        except UnsafeArchive as fault:
            self.end_unstarted(EndCause.EXITED, f"working directory: {fault}", EXIT_CODE_UNUSABLE)
            return False
        except OSError as fault:
            self.end_unstarted(EndCause.START_FAILED, f"working directory: {fault}", None)
            return False
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return True

    def mark_submitted(self) -> bool:
        """Note that Ray is about to be asked; False where the run was stopped before."""
        with self._lock:
            if self.end_unasked():
                return False
            if not self.record.submitted:
                self._save(submitted=True)
            return True

    def end_unasked(self) -> bool:
        """Whether the run is over, as it is where it is to stop before any worker was given a lease: none will be."""
        with self._lock:
            stop = self.record.stop
            if stop is not None and not self._words and not self._given.until_ns:
                self.end_unstarted(stop.cause, "stopped before it started", None)
            return self.ended

    def renew(self, lease: Lease) -> None:
        """Give the workers more time, unless the driver was lost; while the run is being stopped, until its grace is
        over. A renewal older than the one that stands says nothing.
        """
        with self._lock:
            late = self._lease is not None and lease.renewal < self._lease.renewal
            if late or self._lost is not None or self.ended:
                return
            if self.record.lease is not None and lease.lease_seconds > self.record.lease.lease_seconds:
                self._save(lease=lease, boot_id=self._clock.boot_id())
            if self.record.stop is not None:
                lease = lease.while_stopping(self._lease or lease, self.record.stop_over_ns)
            self._lease = lease

    def order_stop(self, stop: StopOrder) -> None:
        """End the run; a later order may only shorten the grace."""
        with self._lock:
            standing = self.record.stop
            if self.ended or (standing is not None and stop.grace_seconds >= standing.grace_seconds):
                return
            over_ns = stop_over_ns(self._clock.boottime_ns(), stop.grace_seconds)
            if standing is not None:
                stop = standing.model_copy(update={"grace_seconds": stop.grace_seconds})
                over_ns = min(over_ns, self.record.stop_over_ns)
            self._save(stop=stop, stop_over_ns=over_ns)
            self.end_unasked()

    def find(self) -> None:
        """Ray says that the driver waits or runs: a loss of which it spoke before was none."""
        with self._lock:
            self._lost = None

    def lose(self, status: JobStatus, message: str, dead_nodes: frozenset[str]) -> None:
        """Ray says that the driver is over. Workers that said nothing of their end are over when their leases are."""
        with self._lock:
            order = self.record.order
            if self.ended or order is None:
                return
            now_ns = self._clock.boottime_ns()
            dead = [member.node for member in order.gang if member.node in dead_nodes]
            if self._lost is None or (dead and self._lost[1] is not EndCause.NODE_LOST):
                # Ray may tell of the driver before it misses the node.
                cause = EndCause.NODE_LOST if dead else EndCause.DRIVER_LOST
                words = f"node {dead[0]} was lost" if dead else f"Ray: {status.value} … {message[-400:]}"
                self._lost = (now_ns, cause, words, dead[0] if dead else None)
                return
            lost_ns, cause, words, node = self._lost
            if now_ns < lost_ns + SETTLE_SECONDS * 1e9:
                return
            silent = [rank for rank in range(order.workers) if rank not in self._ends]
            # One that has not said a word may have been given a lease all the same.
            if silent and now_ns < self._given.until_ns + KILL_SECONDS * 1e9:
                return
            for rank in silent:
                started_ms = self._words.get(rank, {}).get("started_ms")
                self._ends[rank] = WorkerEnd(rank, started_ms, self._clock.now_ms(), None, cause, words, node)
            self._finish_if_over()

    def end_unstarted(self, cause: EndCause, message: str, exit_code: int | None) -> None:
        """End a run none of whose workers ever ran."""
        with self._lock:
            if not self.ended:
                self._finish(
                    self._report(
                        RunPhase.ENDED,
                        ended_ms=self._clock.now_ms(),
                        cause=cause,
                        message=message_of(message),
                        exit_code=exit_code,
                    )
                )

    # what the workers ask

    def gang(self) -> dict[str, Any] | None:
        """The bundles to place; None where the run must not start any more."""
        with self._lock:
            order = self.record.order
            if order is None or self.ended or self.record.stop is not None:
                # The driver asks before it starts any worker: none has a lease.
                self._end_silent(range(order.workers) if order is not None and not self._given.until_ns else ())
                return None
            nodes = [""] * order.workers
            for member in order.gang:
                for rank in member.ranks:
                    nodes[rank] = member.node
            return {
                "nodes": nodes,
                "gpus": order.gpus_per_worker,
                "cpus": order.cpus_per_worker,
                "place_seconds_max": self._settings.place_seconds_max,
            }

    def set_port(self, port: int) -> None:
        """Worker 0 has found a port for the gang's rendezvous."""
        with self._lock:
            if self.record.port is None:
                self._save(port=port)

    def worker(self, rank: int) -> dict[str, Any] | None:
        """What a worker runs; None while the gang's port is not known. Raises LookupError where it must not run."""
        with self._lock:
            order = self._order_to_start(rank)
            packed = self.file("work.tar").exists()
            port = self.record.port
            return None if port is None else spec_of(order, rank, port, self._settings, packed=packed)

    def _order_to_start(self, rank: int) -> RunOrder:
        order = self.record.order
        if order is None or self.ended or self._lost is not None or not 0 <= rank < order.workers:
            raise LookupError("this worker must not run")
        if self.record.stop is not None or rank in self._ends:
            self._end_silent([rank])
            raise LookupError("this worker must not run any more")
        return order

    def beat(self, rank: int, word: Word | None, *, first: bool = False) -> dict[str, Any]:
        """A worker tells what its supervisor says, and hears what remains of the lease, and whether to stop.

        ``first`` comes before the supervisor is started; raises LookupError where it must not be.
        """
        with self._lock:
            if first:
                self._order_to_start(rank)
            if word is not None and rank not in self._ends and not self.ended:
                self._kept.keep(rank, word)
                self._take_word(rank, word)
                self._look()
            lease = self._lease
            if lease is None or self.ended:
                return {"remaining_seconds": None}
            now_ns = self._clock.boottime_ns()
            self._given.give(lease)
            return {
                "remaining_seconds": (lease.deadline_boottime_ns - now_ns) / 1e9,
                "lease_seconds": lease.lease_seconds,
                "renewal": lease.renewal,
                "stop": self._stop(),
            }

    def _stop(self) -> dict[str, Any] | None:
        stop = self.record.stop
        if stop is not None:
            return {"cause": stop.cause, "grace_seconds": stop.grace_seconds, "checkpoint": stop.checkpoint}
        order = self.record.order
        if order is not None and any(not end.succeeded for end in self._ends.values()):
            return {"cause": PEER_ENDED, "grace_seconds": order.grace_seconds, "checkpoint": False}
        return None

    def append_log(self, rank: int, offset: int, data: bytes) -> int:
        """Keep bytes of a worker's log; the offset wanted next."""
        path = self.file(f"log-{rank}")
        with self._lock:
            size = path.stat().st_size if path.exists() else 0
            # The supervisor stops at its limit by itself, and says so in a last line.
            data = data[: max(0, self._settings.log_bytes_max + LOG_BYTES_BESIDE - offset)]
            if offset <= size < offset + len(data):
                with path.open("ab") as file:
                    file.write(data[size - offset :])
                size = offset + len(data)
            return size

    def fail_start(self, message: str) -> None:
        """The driver could not place the gang."""
        with self._lock:
            order = self.record.order
            if order is None or self.ended:
                return
            for rank in range(order.workers):
                if rank not in self._ends and rank not in self._words:
                    now_ms = self._clock.now_ms()
                    self._ends[rank] = WorkerEnd(rank, None, now_ms, None, EndCause.START_FAILED, message)
            self._finish_if_over()

    def _end_silent(self, ranks: Iterable[int]) -> None:
        """Workers that have not begun are told not to: for them the run is over."""
        order, stop = self.record.order, self.record.stop
        if order is None or stop is None or self.ended:
            return
        for rank in ranks:
            if rank not in self._ends and rank not in self._words:
                now_ms = self._clock.now_ms()
                self._ends[rank] = WorkerEnd(rank, None, now_ms, None, stop.cause, "stopped before it started")
        self._finish_if_over()

    def _take_word(self, rank: int, word: Word) -> None:
        if word.get("phase") not in ("starting", "running", "ended"):
            word = {**self._words.get(rank, {}), "phase": "ended", "cause": EndCause.DRIVER_LOST, "exit_code": None}
        self._words[rank] = word
        if word["phase"] != "ended":
            return
        cause, message = word.get("cause") or EndCause.EXITED, str(word.get("message") or "")
        if cause not in _CAUSES:
            cause = EndCause.EXITED if word.get("exit_code") is not None else EndCause.DRIVER_LOST
        ended_ms, order = word.get("ended_ms") or self._clock.now_ms(), self.record.order
        node = node_of(order, rank) if order is not None and cause == EndCause.DRIVER_LOST else None
        self._ends[rank] = WorkerEnd(
            rank, word.get("started_ms"), ended_ms, word.get("exit_code"), cause, message, node
        )

    def _look(self) -> None:
        order = self.record.order
        assert order is not None
        started = [word["started_ms"] for word in self._words.values() if word.get("started_ms") is not None]
        if self.report.phase is RunPhase.STARTING and len(started) == order.workers:
            self.report = self._report(RunPhase.RUNNING, started_ms=max(started))
            self.notify()
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        order = self.record.order
        assert order is not None
        if len(self._ends) < order.workers or self.ended:
            return
        report = gang_end(self.record.run_id, self.report.epoch, list(self._ends.values()), None)
        left_out = self._left_out(order) if order.outputs else []
        self._finish(report.model_copy(update={"message": message_of(report.message, *left_out)}))

    def _left_out(self, order: RunOrder) -> list[str]:
        """What is not taken of the outputs, as the workers say and as it came here; of a gang with the worker's rank."""
        assert self.collection is not None
        sentences = []
        for rank in range(order.workers):
            words = str(self._words.get(rank, {}).get("left_out") or "").split("; ")
            sentences += [f"worker {rank}: {each}" for each in words if each]
        sentences += self.collection.left_out()
        return sentences if order.workers > 1 else [each.removeprefix("worker 0: ") for each in sentences]

    def _finish(self, report: RunReport) -> None:
        self._save(report=report)
        self.report = report
        self.notify()
