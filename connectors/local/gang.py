"""One run of a local site: launches the gang's workers all or none, watches them, and finds them again."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.agent.archive import select, unpack
from connectors.agent.environment import worker_environment
from connectors.clock import Clock
from connectors.errors import UnsafeArchive
from connectors.local import run_record
from connectors.local.run_record import RunRecord
from connectors.local.worker import (
    WorkerFiles,
    WorkerReport,
    is_alive,
    kill_all,
    launch,
    read_lease,
    read_report,
    write_control,
)
from connectors.message import message_of
from connectors.protocol import Lease, stop_over_ns
from connectors.verdict import PEER_ENDED, WorkerEnd, gang_end, node_of
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunOrder, RunReport, StopOrder

#: What a shell answers for a command that cannot be run; here, a working directory that cannot be unpacked.
EXIT_CODE_UNUSABLE = 126
_CAUSES = frozenset({*EndCause, PEER_ENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class GangSettings:
    """What all runs of a local site share."""

    checkpoints: Path
    log_bytes_max: int


class Gang:
    """A run on this machine. Thread-safe. ``report`` is what ``observe`` answers; ended gangs never
    change.
    """

    def __init__(self, folder: Path, record: RunRecord, clock: Clock, settings: GangSettings) -> None:
        self.folder = folder
        self.record = record.of_this_start(clock.boot_id())
        self.report = record.report or _report(record, RunPhase.STARTING)
        self._clock = clock
        self._settings = settings
        self._lock = threading.RLock()
        self._peers_end = False
        self._watched = False
        self._given_up: str | None = None
        self._machine_restarted = bool(record.boot_id) and record.boot_id != self.record.boot_id
        self._words: dict[int, WorkerReport] = {}
        self._ends: dict[int, WorkerEnd] = {}

    @property
    def ended(self) -> bool:
        """Whether every worker has ended (or none ever started)."""
        return self.report.phase is RunPhase.ENDED

    def files(self, rank: int) -> WorkerFiles:
        """Where a worker's files lie."""
        return WorkerFiles(self.folder, rank)

    def adopt(self) -> bool:
        """Find the gang again after a restart; True where nothing had been launched, so that it may be
        now.
        """
        with self._lock:
            if self.ended or self.record.order is None:
                return False
            self._take_up_lease()
            begun = [rank for rank in range(self.record.order.workers) if self._was_begun(rank)]
            if not begun and not self.record.launched:
                return True
            self._watched = True
            if len(begun) < self.record.order.workers and not self.record.launched:
                self._fail_start("the agent was restarted while the gang was being launched", set(begun), None)
            return False

    def _take_up_lease(self) -> None:
        """The record has the lease of the start; renewals since then stand in the control files alone."""
        assert self.record.order is not None
        for rank in range(self.record.order.workers):
            if self._machine_restarted:  # what they say is of times that are no more
                self.files(rank).control.unlink(missing_ok=True)
            given = read_lease(self.files(rank))
            if given is not None and given.deadline_boottime_ns > self.record.lease.deadline_boottime_ns:
                self.record = replace(self.record, lease=given)

    def _was_begun(self, rank: int) -> bool:
        files = self.files(rank)
        return is_alive(files) or files.report.exists()

    def start(self) -> None:
        """Launch every worker, or none: what had been launched is ended again when one cannot be. Raises where even
        that cannot be noted; then the gang is to be given up.
        """
        order = self.record.order
        assert order is not None
        try:
            if self.record.stop is None:
                self._unpack()
        except UnsafeArchive as fault:
            return self._end_unstarted(EndCause.EXITED, f"working directory: {fault}", EXIT_CODE_UNUSABLE)
        except Exception as fault:
            return self._end_unstarted(EndCause.START_FAILED, f"working directory: {fault}", None)
        with self._lock:
            if self.record.stop is not None:
                return self._end_unstarted(self.record.stop.cause, "stopped before it started", None)
            launched: set[int] = set()
            self._watched = True
            try:
                port = _free_port()
                for rank in range(order.workers):
                    self._launch_worker(order, rank, port)
                    launched.add(rank)
            except Exception as fault:
                # A command that no machine could run is no fault of this one.
                unusable = isinstance(fault, ValueError) or getattr(fault, "errno", None) == errno.E2BIG
                message = f"worker {len(launched)} could not be launched: {fault}"
                exit_code = EXIT_CODE_UNUSABLE if unusable else None
                self._fail_start(message, launched, exit_code, node=None if unusable else node_of(order, len(launched)))
            else:
                self.record = replace(self.record, launched=True, port=port)
                # The workers are there and are found again by their own files.
                with contextlib.suppress(OSError):
                    run_record.save(self.folder, self.record)

    def _unpack(self) -> None:
        work = self.folder / "work"
        if work.exists():
            return
        beside = self.folder / "work.new"
        subprocess.run(["rm", "-rf", str(beside)], check=True)
        beside.mkdir(mode=0o700)
        if self.record.archive is not None:
            unpack(Path(self.record.archive), beside)
        beside.replace(work)

    def _launch_worker(self, order: RunOrder, rank: int, port: int) -> None:
        files = self.files(rank)
        write_control(files, self._control())
        environment = worker_environment(
            order,
            rank,
            master_address="127.0.0.1",
            master_port=port,
            checkpoint_directory=self._checkpoint_directory(order),
            gpu_indices=self.record.gpu_indices.get(rank, ()),
            machine=os.environ,
        )
        # `python` in a command means the interpreter the agent runs on: many machines have only `python3`.
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}"
        environment["DURE_RUN_DIR"] = str(self.folder)
        options = [
            "--log-bytes-max",
            str(self._settings.log_bytes_max),
            "--grace-seconds",
            str(order.grace_seconds),
        ]
        if order.checkpoint_signal is not None:
            options += ["--checkpoint-signal", order.checkpoint_signal]
        if order.walltime_seconds is not None:
            options += ["--walltime-seconds", str(order.walltime_seconds)]
        launch(files, order.command, options=options, environment=environment, directory=self.folder / "work")

    def _checkpoint_directory(self, order: RunOrder) -> str | None:
        if order.checkpoint_directory != "auto":
            return order.checkpoint_directory
        directory = self._settings.checkpoints / f"job-{order.job_id}"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(directory)

    def _control(self) -> dict[str, object]:
        stop: dict[str, object] | None = None
        if self._peers_end and self.record.order is not None:
            grace_seconds = self.record.order.grace_seconds
            stop = {"cause": PEER_ENDED, "grace_seconds": grace_seconds, "checkpoint": False}
        if self.record.stop is not None:
            order = self.record.stop
            stop = {
                "cause": order.cause,
                "grace_seconds": order.grace_seconds,
                "checkpoint": order.checkpoint,
            }
        lease = self.record.lease
        return {
            "deadline_boottime_ns": lease.deadline_boottime_ns,
            "lease_seconds": lease.lease_seconds,
            "renewal": lease.renewal,
            "stop": stop,
        }

    def renew(self, lease: Lease) -> None:
        """Hand a newer lease to the supervisors; while the run is being stopped, until its grace is over."""
        with self._lock:
            if self.ended or lease.renewal <= self.record.lease.renewal:
                return
            if self.record.stop is not None:
                lease = lease.while_stopping(self.record.lease, self.record.stop_over_ns)
            self.record = replace(self.record, lease=lease)
            self._write_controls()

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
            self.record = replace(self.record, stop=stop, stop_over_ns=over_ns)
            run_record.save(self.folder, self.record)
            self._write_controls()

    def lose_node(self, node: str) -> bool:
        """Kill, without a word, the workers on ``node``; the rest of the gang ends too. False where it has
        none there.
        """
        order = self.record.order
        ranks = [] if order is None else [rank for member in order.gang if member.node == node for rank in member.ranks]
        with self._lock:
            if self.ended or not ranks:
                return False
            self.record = replace(self.record, node_lost=node)
            run_record.save(self.folder, self.record)
            kill_all(self.folder, ranks)
            self._end_peers()
            return True

    def _end_peers(self) -> None:
        if not self._peers_end:
            self._peers_end = True
            self._write_controls()

    def _write_controls(self) -> None:
        if self.record.order is None or not self._watched:
            return
        for rank in range(self.record.order.workers):
            if rank not in self._ends:
                write_control(self.files(rank), self._control())

    def watch(self, *, check_liveness: bool) -> bool:
        """Look at what the supervisors say; True when the run's report changed.

        ``check_liveness`` also asks whether each supervisor still lives, which costs more.
        """
        with self._lock:
            if self._given_up is not None:
                self.give_up(self._given_up)
                return True
            if self.ended or not self._watched or self.record.order is None:
                return False
            for rank in range(self.record.order.workers):
                if rank not in self._ends:
                    self._watch_worker(rank, check_liveness)
            if any(not end.succeeded for end in self._ends.values()):
                self._end_peers()
            if len(self._ends) == self.record.order.workers:
                self._finish(self._verdict())
                return True
            words = [self._words.get(rank) for rank in range(self.record.order.workers)]
            started = [word.started_ms for word in words if word is not None and word.started_ms is not None]
            if self.report.phase is RunPhase.STARTING and len(started) == len(words):
                self.report = _report(self.record, RunPhase.RUNNING, started_ms=max(started))
                return True
            return False

    def _watch_worker(self, rank: int, check_liveness: bool) -> None:
        files = self.files(rank)
        # Whether it lives is asked before its report is read, so that its last word is not taken for none.
        gone = check_liveness and not is_alive(files)
        word = read_report(files)
        if word is not None:
            self._words[rank] = word
        if word is not None and word.phase == "ended":
            self._ends[rank] = _end_of(rank, word, self._clock.now_ms())
        elif gone:
            kill_all(self.folder, [rank])
            started_ms = word.started_ms if word is not None else None
            message = "the supervisor was gone without a word"
            node = None if self.record.order is None else node_of(self.record.order, rank)
            self._ends[rank] = WorkerEnd(
                rank, started_ms, self._clock.now_ms(), None, EndCause.DRIVER_LOST, message, node
            )

    def give_up(self, message: str) -> None:
        """End the run whatever stands in the way: kill what runs of it, and tell ``message``. Raises OSError where the
        end cannot be noted; the next ``watch`` tries again.
        """
        with self._lock:
            order = self.record.order
            if self.ended or order is None:
                return
            self._given_up = message
            silent = [rank for rank in range(order.workers) if rank not in self._ends]
            kill_all(self.folder, silent)
            for rank in silent:
                word = self._words.get(rank)
                started_ms = word.started_ms if word is not None else None
                now_ms = self._clock.now_ms()
                self._ends[rank] = WorkerEnd(rank, started_ms, now_ms, None, EndCause.DRIVER_LOST, message)
            report = gang_end(self.record.run_id, self.report.epoch, list(self._ends.values()), self.record.node_lost)
            if not silent:
                report = report.model_copy(update={"message": message_of(report.message, message)})
            self._finish(report)
            self._given_up = None

    def _verdict(self) -> RunReport:
        report = gang_end(self.record.run_id, self.report.epoch, list(self._ends.values()), self.record.node_lost)
        order = self.record.order
        if order is not None and order.outputs:
            left_out = select(self.folder / "work", order.outputs, order.outputs_bytes_max).left_out
            report = report.model_copy(update={"message": message_of(report.message, left_out)})
        return report

    def _fail_start(self, message: str, launched: set[int], exit_code: int | None, node: str | None = None) -> None:
        """The gang starts as a whole or not at all; with an exit code it is the command that is at fault."""
        assert self.record.order is not None
        now_ms = self._clock.now_ms()
        cause = EndCause.START_FAILED if exit_code is None else EndCause.EXITED
        for rank in range(self.record.order.workers):
            if rank not in launched:
                self._ends[rank] = WorkerEnd(rank, None, now_ms, exit_code, cause, message, node)
        self._watched = True
        self._end_peers()

    def _end_unstarted(self, cause: EndCause, message: str, exit_code: int | None) -> None:
        with self._lock:
            self._finish(end_without_start(self.record, self._clock.now_ms(), cause, message, exit_code))

    def _finish(self, report: RunReport) -> None:
        self.record = replace(self.record, report=report)
        run_record.save(self.folder, self.record)
        self.report = report


def end_without_start(
    record: RunRecord, now_ms: int, cause: EndCause, message: str, exit_code: int | None = None
) -> RunReport:
    """The report of a run none of whose workers ever ran."""
    return _report(
        record, RunPhase.ENDED, ended_ms=now_ms, cause=cause, message=message_of(message), exit_code=exit_code
    )


def _report(record: RunRecord, phase: RunPhase, **values: object) -> RunReport:
    epoch = record.order.epoch if record.order is not None else record.stop.epoch if record.stop else 1
    return RunReport.model_validate({"run_id": record.run_id, "epoch": epoch, "phase": phase, **values})


def _end_of(rank: int, word: WorkerReport, now_ms: int) -> WorkerEnd:
    ended_ms = word.ended_ms if word.ended_ms is not None else now_ms
    cause, message = word.cause or EndCause.EXITED, word.message
    if cause not in _CAUSES:
        # A supervisor of another version may know other words; an exit code still says how the command ended.
        message = f"{cause}: {message}"
        cause = EndCause.EXITED if word.exit_code is not None else EndCause.DRIVER_LOST
    return WorkerEnd(rank, word.started_ms, ended_ms, word.exit_code, cause, message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
