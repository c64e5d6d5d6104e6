"""A site without processes: runs are entries that take their time on a clock. For benchmarks and tests of
what is above.

It keeps to the same protocol as real connectors, holds everything in memory, and starts and ends a run in a
few microseconds. What each run does is its ``Script``; faults are scripts and calls too, so that a seed
repeats them.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.clock import Clock
from connectors.local.gpus import GpuIndices
from connectors.protocol import Lease, LogPart, Outputs
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import NodeReport, RunOrder, RunReport, StopOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one run does. ``seconds`` None runs until it is stopped; 0 ends before ``start`` returns.

    ``start_failure`` is why it does not start; ``stop_seconds`` how long it takes to end when told to (never
    longer than its grace); ``log`` is rank 0's.
    """

    seconds: float | None = 0.0
    exit_code: int = 0
    start_failure: str | None = None
    stop_seconds: float = 0.0
    log: bytes = b""


@dataclass(slots=True)
class _Run:
    """One run: ``due_ns`` and ``ending`` are its next end on CLOCK_BOOTTIME, and what that will be."""

    order: RunOrder | None
    script: Script
    report: RunReport
    started_ns: int
    due_ns: int | None = None
    ending: tuple[EndCause, int | None] = (EndCause.EXITED, 0)
    stop: StopOrder | None = None


class SimulatedConnector:
    """Implements ``connectors.protocol.Connector`` in memory. ``script_of`` says what each run does.

    ``duplicate_reports`` is a fault: every ended run is listed twice. With ``background`` a thread ends runs
    when they are due and says so; without it (a clock moved by hand) ``observe`` does.
    """

    def __init__(
        self,
        nodes: Sequence[NodeReport],
        clock: Clock,
        *,
        script_of: Callable[[RunOrder], Script] = lambda _: Script(),
        duplicate_reports: bool = False,
        background: bool = True,
    ) -> None:
        self._nodes = tuple(nodes)
        self._clock = clock
        self._script_of = script_of
        self._duplicate_reports = duplicate_reports
        self._gpus = GpuIndices(self._nodes)
        self._lost: set[str] = set()
        self._runs: dict[int, _Run] = {}
        self._live: set[int] = set()
        self._due: list[tuple[int, int]] = []
        self._lease_deadline_ns = 0
        self._renewal = 0
        self._notify: Callable[[], None] = _nobody
        self._changed = threading.Condition(threading.RLock())
        self._closing = False
        self._thread: threading.Thread | None = None
        if background:
            self._thread = threading.Thread(target=self._end_in_time, name="dure-simulated", daemon=True)
            self._thread.start()

    def capacity(self) -> Sequence[NodeReport]:
        """The declared nodes."""
        return self._nodes

    def start(self, order: RunOrder, lease: Lease, archive: Path | None) -> None:  # noqa: ARG002 - no files here
        """Start a run, or end it at once where its script, a lost node or a lack of GPUs says so."""
        with self._changed:
            if order.run_id in self._runs:
                return
            now_ns, now_ms = self._clock.boottime_ns(), self._clock.now_ms()
            self._take(lease)
            script = self._script_of(order)
            run = _Run(order, script, _report(order.run_id, order.epoch, started_ms=now_ms), now_ns)
            self._runs[order.run_id] = run
            failure = self._why_not(order) or script.start_failure or self._take_gpus(order)
            if failure is not None:
                self._gpus.free(order.run_id)
                unstarted = _report(order.run_id, order.epoch, started_ms=None)
                run.report = _ended(unstarted, now_ms, EndCause.START_FAILED, None, failure)
            elif script.seconds == 0.0:
                self._gpus.free(order.run_id)
                run.report = _ended(run.report, now_ms, EndCause.EXITED, script.exit_code)
            else:
                self._live.add(order.run_id)
                run.ending = (EndCause.EXITED, script.exit_code)
                if script.seconds is not None:
                    self._set_due(run, now_ns + int(script.seconds * 1e9))
                if order.walltime_seconds is not None:
                    self._set_due_earlier(run, now_ns + order.walltime_seconds * 10**9, EndCause.WALLTIME)
                self._changed.notify()
        self._notify()

    def _why_not(self, order: RunOrder) -> str | None:
        lost = [member.node for member in order.gang if member.node in self._lost]
        return f"node {lost[0]} is lost" if lost else None

    def _take_gpus(self, order: RunOrder) -> str | None:
        taken = self._gpus.take(order)
        return taken if isinstance(taken, str) else None

    def stop(self, stop: StopOrder) -> None:
        """End a run after its script's ``stop_seconds``, at the latest after the order's grace."""
        with self._changed:
            run = self._runs.get(stop.run_id)
            now_ns = self._clock.boottime_ns()
            if run is None:
                report = _report(stop.run_id, stop.epoch, started_ms=None)
                report = _ended(report, self._clock.now_ms(), stop.cause, None, "stopped before it came")
                self._runs[stop.run_id] = _Run(None, Script(), report, now_ns)
            elif run.report.phase is not RunPhase.ENDED:
                run.stop = run.stop or stop
                seconds = min(run.script.stop_seconds, stop.grace_seconds)
                self._set_due_earlier(run, now_ns + int(seconds * 1e9), run.stop.cause)
                self._settle()
                self._changed.notify()
        self._notify()

    def observe(self) -> Sequence[RunReport]:
        """Every run not forgotten, after ending what is due."""
        with self._changed:
            self._settle()
            reports = [run.report for run in self._runs.values()]
        if self._duplicate_reports:
            reports += [report for report in reports if report.phase is RunPhase.ENDED]
        return reports

    def on_change(self, notify: Callable[[], None]) -> None:
        """Have ``notify`` called when runs change."""
        self._notify = notify

    def renew(self, lease: Lease) -> None:
        """One deadline holds for all runs: those that are being stopped end at their grace's end anyway."""
        with self._changed:
            self._settle()
            self._take(lease)

    def _take(self, lease: Lease) -> None:
        """The newest word counts, also where it gives less."""
        if lease.renewal >= self._renewal:
            self._renewal, self._lease_deadline_ns = lease.renewal, lease.deadline_boottime_ns

    def forget(self, run_id: int) -> None:
        """Drop an ended run."""
        with self._changed:
            run = self._runs.get(run_id)
            if run is not None and run.report.phase is RunPhase.ENDED:
                del self._runs[run_id]

    def read_log(self, run_id: int, rank: int, offset: int, bytes_max: int) -> LogPart | None:
        """The script's log, as rank 0's."""
        with self._changed:
            run = self._runs.get(run_id)
        if run is None or rank != 0 or not run.script.log or run.report.started_ms is None:
            return None
        data = run.script.log[offset : offset + bytes_max]
        at_end = offset + len(data) >= len(run.script.log)
        return LogPart(data=data, offset=offset, ended=at_end and run.report.phase is RunPhase.ENDED)

    def outputs(self, run_id: int) -> Outputs:  # noqa: ARG002 - simulated runs leave nothing behind
        """Nothing."""
        return Outputs(archive=None)

    def lose_node(self, name: str) -> None:
        """Fault: the node dies, with every run that has a worker on it."""
        with self._changed:
            self._mark_lost(name)
            now_ms = self._clock.now_ms()
            for run_id in sorted(self._live):
                order = self._runs[run_id].order
                if order is not None and any(member.node == name for member in order.gang):
                    self._end(run_id, now_ms, EndCause.NODE_LOST, None, f"node {name} was lost", name)
        self._notify()

    def _mark_lost(self, name: str) -> None:
        self._lost.add(name)
        self._nodes = tuple(
            node.model_copy(update={"healthy": False}) if node.name == name else node for node in self._nodes
        )

    def close(self) -> None:
        """Stop the thread. The site stays as it is: it is its own record."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _set_due(self, run: _Run, due_ns: int) -> None:
        run.due_ns = due_ns
        heapq.heappush(self._due, (due_ns, run.report.run_id))

    def _set_due_earlier(self, run: _Run, due_ns: int, cause: EndCause) -> None:
        if run.due_ns is None or due_ns < run.due_ns:
            run.ending = (cause, None)
            self._set_due(run, due_ns)

    def _settle(self) -> bool:
        """End every run that is due or whose lease has run out; whether there was any."""
        now_ns, now_ms = self._clock.boottime_ns(), self._clock.now_ms()
        ended = False
        while self._due and self._due[0][0] <= now_ns:
            due_ns, run_id = heapq.heappop(self._due)
            run = self._runs.get(run_id)
            if run is None or run_id not in self._live or run.due_ns != due_ns:
                continue
            expires_ns = self._lease_deadline_ns
            ending = run.ending if due_ns <= expires_ns else (EndCause.LEASE_EXPIRED, None)
            self._end(run_id, now_ms - (now_ns - min(due_ns, expires_ns)) // 1_000_000, *ending)
            ended = True
        if now_ns > self._lease_deadline_ns and self._live:
            ended_ms = now_ms - (now_ns - self._lease_deadline_ns) // 1_000_000
            for run_id in sorted(self._live):
                self._end(run_id, ended_ms, EndCause.LEASE_EXPIRED, None, "no renewal came in time")
            ended = True
        return ended

    def _end(
        self,
        run_id: int,
        ended_ms: int,
        cause: EndCause,
        exit_code: int | None,
        message: str = "",
        node: str | None = None,
    ) -> None:
        run = self._runs[run_id]
        run.report = _ended(run.report, ended_ms, cause, exit_code, message).model_copy(update={"node": node})
        self._live.discard(run_id)
        self._gpus.free(run_id)

    def _end_in_time(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                ended = self._settle()
                if not ended:
                    self._changed.wait(self._next_seconds())
            if ended:
                self._notify()

    def _next_seconds(self) -> float | None:
        if not self._live:
            return None
        next_ns = min([self._lease_deadline_ns + 1_000_000, *(due_ns for due_ns, _ in self._due[:1])])
        return max(0.0, (next_ns - self._clock.boottime_ns()) / 1e9)


def _report(run_id: int, epoch: int, *, started_ms: int | None) -> RunReport:
    return RunReport(run_id=run_id, epoch=epoch, phase=RunPhase.RUNNING, started_ms=started_ms)


def _ended(report: RunReport, ended_ms: int, cause: EndCause, exit_code: int | None, message: str = "") -> RunReport:
    return RunReport(
        run_id=report.run_id,
        epoch=report.epoch,
        phase=RunPhase.ENDED,
        started_ms=report.started_ms,
        ended_ms=ended_ms,
        exit_code=exit_code,
        cause=cause,
        message=message,
    )


def _nobody() -> None:
    """Who is told of changes before the agent listens."""
