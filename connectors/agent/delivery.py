"""Brings logs and outputs to the server: what somebody reads now, and everything of a run once it has ended.

Nothing of it needs to be remembered over a restart: a run stays known to its connector until all of it has
been delivered, and the server answers every chunk with the offset it wants next, so starting again costs one
chunk a log.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from connectors.agent.settings import AgentSettings
from connectors.agent.transport import Transport
from connectors.clock import Clock
from connectors.errors import ServerRefused, ServerUnavailable
from connectors.protocol import Connector
from scheduler.model.wire import LogWant

#: A server that asks for the same bytes so often takes no more of this log.
STALLS_MAX = 5
#: So many failed tries of one run, each after twice the pause of the one before: a quarter of an hour.
TRIES_MAX = 16
PAUSE_SECONDS_MAX = 120.0


@dataclass(slots=True)
class _Tail:
    """One worker's log that somebody reads: sent from ``offset`` on until ``until_ns``."""

    epoch: int
    offset: int
    until_ns: int


@dataclass(slots=True)
class _Ended:
    """One ended run: logs of ``ranks`` left to deliver, the first from ``offset``; then the outputs. After ``failures``
    it is left alone until ``due_ns``; ``others`` is how much of other runs had been delivered when it failed last.
    """

    run_id: int
    epoch: int
    ranks: deque[int]
    offset: int = 0
    stalled: int = 0
    failures: int = 0
    due_ns: int = 0
    others: int = -1


class Delivery:
    """A thread that sends. ``on_delivered`` is called from it when all of an ended run has reached the
    server.
    """

    def __init__(
        self,
        connector: Connector,
        transport: Transport,
        clock: Clock,
        settings: AgentSettings,
        on_delivered: Callable[[], None],
    ) -> None:
        self._connector = connector
        self._transport = transport
        self._clock = clock
        self._settings = settings
        self._on_delivered = on_delivered
        self._log = structlog.get_logger("connectors.agent.delivery")
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._closing = threading.Event()
        self._tails: dict[tuple[int, int], _Tail] = {}
        self._ended: deque[_Ended] = deque()
        self._known: set[int] = set()
        self._delivered: set[int] = set()
        self._steps = 0
        self._thread = threading.Thread(target=self._run, name="dure-delivery", daemon=True)
        self._thread.start()

    def want(self, wants: Iterable[LogWant]) -> None:
        """Somebody reads these logs."""
        until_ns = self._clock.boottime_ns() + int(self._settings.want_seconds * 1e9)
        with self._lock:
            for want in wants:
                tail = self._tails.setdefault((want.run_id, want.rank), _Tail(want.epoch, want.offset, until_ns))
                tail.until_ns = until_ns
        if self._tails:
            self._work.set()

    def finish(self, run_id: int, epoch: int, workers: int) -> None:
        """This run has ended: deliver all that is left of it. Asking again changes nothing."""
        with self._lock:
            if run_id in self._known:
                return
            self._known.add(run_id)
            self._ended.append(_Ended(run_id, epoch, deque(range(workers))))
        self._work.set()

    def is_delivered(self, run_id: int) -> bool:
        """Whether all of an ended run has reached the server (or the server wants none of it)."""
        with self._lock:
            return run_id in self._delivered

    def drop(self, run_id: int) -> None:
        """The run is forgotten."""
        with self._lock:
            self._known.discard(run_id)
            self._delivered.discard(run_id)

    def close(self) -> None:
        """Stop after the chunk under way."""
        self._closing.set()
        self._work.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                busy = self._send_tails()
                busy = self._send_ended() or busy
            except ServerUnavailable as fault:
                self._log.warning("the server does not take logs now", fault=str(fault))
                self._closing.wait(self._settings.retry_seconds_min * 5)
                continue
            except Exception:
                # A fault of one engine or file must not end all deliveries of the site.
                self._log.exception("delivery failed")
                self._closing.wait(self._settings.retry_seconds_min * 5)
                continue
            if not busy:
                self._work.wait(self._idle_seconds())
                self._work.clear()

    def _idle_seconds(self) -> float | None:
        """How long there is nothing to do unless somebody asks; None for as long as that takes."""
        with self._lock:
            if self._tails:
                return self._settings.log_look_seconds
            if not self._ended:
                return None
            due_ns = min(run.due_ns for run in self._ended)
        return max(0.0, (due_ns - self._clock.boottime_ns()) / 1e9)

    def _send_tails(self) -> bool:
        """One chunk of every log that is being read; whether there was any."""
        now_ns = self._clock.boottime_ns()
        with self._lock:
            for key in [key for key, tail in self._tails.items() if tail.until_ns < now_ns]:
                del self._tails[key]
            tails = list(self._tails.items())
        busy = False
        for (run_id, rank), tail in tails:
            step = self._send_chunk(run_id, tail.epoch, rank, tail.offset, wanted_now=True)
            if step is None:
                with self._lock:
                    self._tails.pop((run_id, rank), None)
            elif step != tail.offset:
                tail.offset, busy = step, True
        return busy

    def _send_ended(self) -> bool:
        """One chunk, or the outputs, of the next ended run that is due; whether there was any."""
        now_ns = self._clock.boottime_ns()
        with self._lock:
            run = next((run for run in self._ended if run.due_ns <= now_ns), None)
            if run is None:
                return False
            self._ended.remove(run)
            self._ended.append(run)
        try:
            whole = self._send_step(run)
        except Exception as fault:
            whole = self._note_failure(run, fault)
        else:
            run.failures = 0
            self._steps += 1
        if whole:
            with self._lock:
                self._ended.remove(run)
                self._delivered.add(run.run_id)
            self._on_delivered()
        return True

    def _send_step(self, run: _Ended) -> bool:
        """One chunk or the outputs; whether that was all."""
        if not run.ranks:
            self._send_outputs(run)
            return True
        step = self._send_chunk(run.run_id, run.epoch, run.ranks[0], run.offset, wanted_now=False)
        run.stalled = run.stalled + 1 if step is not None and step <= run.offset else 0
        if step is None or run.stalled > STALLS_MAX:
            run.ranks.popleft()
            step, run.stalled = 0, 0
        run.offset = step
        return False

    def _note_failure(self, run: _Ended, fault: Exception) -> bool:
        """Leave a run alone for a while, so that it keeps no other from being delivered; whether it is given up.

        A server that takes nothing at all is no reason to give up: its refusals count only where something else got
        through in between.
        """
        if not isinstance(fault, ServerUnavailable) or self._steps != run.others:
            run.failures += 1
        else:
            self._closing.wait(self._settings.retry_seconds_min * 5)
        run.others = self._steps
        pause_seconds = min(self._settings.retry_seconds_min * 2.0 ** min(run.failures, 20), PAUSE_SECONDS_MAX)
        run.due_ns = self._clock.boottime_ns() + int(pause_seconds * 1e9)
        given_up = run.failures >= TRIES_MAX
        words = "a run's logs and outputs are given up" if given_up else "a run's logs or outputs are not taken now"
        self._log.warning(words, run_id=run.run_id, failures=run.failures, fault=repr(fault))
        return given_up

    def _send_chunk(self, run_id: int, epoch: int, rank: int, offset: int, *, wanted_now: bool) -> int | None:
        """Send what follows ``offset``; the offset to go on from, None when there is no more to send,
        ever.
        """
        part = self._connector.read_log(run_id, rank, offset, self._settings.log_chunk_bytes)
        if part is None:
            return None
        if not part.data and not part.ended and wanted_now:
            return offset
        # Of an ended run what the connector has is all there will be, even where a log was never closed.
        ended = part.ended or (not wanted_now and not part.data)
        try:
            wanted = self._transport.post_log(run_id, epoch, rank, part.offset, part.data, ended=ended)
        except ServerRefused as refusal:
            self._log.warning("a log is not wanted", run_id=run_id, rank=rank, fault=str(refusal))
            return None
        return None if ended and wanted >= part.offset + len(part.data) else wanted

    def _send_outputs(self, run: _Ended) -> None:
        found = self._connector.outputs(run.run_id)
        if found.message:
            self._log.warning("outputs were left out", run_id=run.run_id, message=found.message)
        if found.archive is None:
            return
        try:
            self._transport.put_outputs(run.run_id, run.epoch, found.archive)
        except ServerRefused as refusal:
            self._log.warning("outputs are not wanted", run_id=run.run_id, fault=str(refusal))
