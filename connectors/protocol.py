"""What the agent asks of an engine. Every connector implements this and passes
``tests/connectors/contract.py``.

A connector never talks to the federation's server; it gets orders by value and reports what it sees. All
methods may be called from any thread. Everything it must remember lies in its own state directory, so that
a connector made anew over the same directory (the agent restarted, at any instruction) knows every run it
had not forgotten.

How a run goes, seen through ``observe``: ``starting`` (accepted, durable) > ``running`` (*every* worker
runs; ``started_ms`` is when the last of them did) > ``ended`` (*every* worker has ended; ``ended_ms`` is
when the last of them did). A run that never had all its workers running ends with ``started_ms`` None.

Which cause an ended run has:

* ``exited``: the command ended by itself. ``exit_code`` is 0 if every worker's was, else that of the first
  worker to fail (128 + n for signal n, 127 for a command that is not there, 126 for one or for a working
  directory that no machine could use); the failure of one worker ends the rest of the gang.
* a stop order's own cause (``cancelled``, ``requeued``, …) when that stop ended it. A gang whose every worker
  ended by itself with 0 before the stop reached it has ``exited``.
* ``walltime``, ``lease_expired`` (the supervisors ended it), ``start_failed`` (not the whole gang could be
  started: what had been is ended again), ``node_lost``, ``driver_lost`` (the engine's process, or our own
  beside the command, died).
* ``refused``: the engine will not have it, however often it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from scheduler.model.wire import NodeReport, RunOrder, RunReport, StopOrder

#: A supervisor hears of a stop a moment later than the connector, and takes another to end everything.
STOP_SECONDS = 5.0


def stop_over_ns(now_boottime_ns: int, grace_seconds: float) -> int:
    """Until when a run that is told to stop now has its lease renewed, on CLOCK_BOOTTIME."""
    return now_boottime_ns + int((grace_seconds + STOP_SECONDS) * 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Permission to run until ``deadline_boottime_ns`` on the agent's CLOCK_BOOTTIME.

    The deadline is the sending of the sync request that renewed it plus ``lease_seconds``; ``renewal`` only
    grows (over restarts too). On another machine that clock means nothing: answer its question with the
    *remaining* time, and let it count that from the moment at which it asked.
    """

    deadline_boottime_ns: int
    lease_seconds: float
    renewal: int

    def while_stopping(self, standing: Lease, over_boottime_ns: int) -> Lease:
        """What this renewal gives to a run that is being stopped until that time (``stop_over_ns``): no more, and never
        less than the lease that it has.
        """
        deadline_ns = max(standing.deadline_boottime_ns, min(self.deadline_boottime_ns, over_boottime_ns))
        return replace(self, deadline_boottime_ns=deadline_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Bytes of one worker's log (stdout and stderr together) from ``offset`` on.

    ``ended`` means that this part reaches the log's end and the log will grow no more.
    """

    data: bytes
    offset: int
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What a run left behind. ``archive`` is a tar.gz (None: nothing matched or nothing asked for);
    ``message`` says what could not be taken, for the job's owner.
    """

    archive: Path | None
    message: str = ""


class Connector(Protocol):
    """One engine at one site."""

    def capacity(self) -> Sequence[NodeReport]:
        """All nodes Dure may use now, lost ones with ``healthy`` False while they are still known.

        The agent makes the delta. Cheap, since called at every sync: the *same object* as last time where
        nothing changed. Raises EngineUnavailable when nothing is known; the agent then keeps what it reported
        last.
        """

    def start(self, order: RunOrder, lease: Lease, archive: Path | None) -> None:
        """Have this run: durably accepted when it returns, started in the background, all workers or none.

        ``archive`` is the verified working directory (tar, tar.gz or zip;
        ``connectors.agent.archive.unpack``). Idempotent by ``run_id``: a known run (live, or ended and not
        forgotten) is left alone. Failures show up in ``observe`` and are never raised.
        """

    def stop(self, stop: StopOrder) -> None:
        """End this run: the checkpoint signal first where ``checkpoint`` says so, SIGTERM, and what is left
        after ``grace_seconds`` by SIGKILL. Idempotent; a later order may only shorten the grace. Returns at
        once.

        An unknown run is recorded as ended with the order's cause, never started, so that a late start of it
        is left alone too.
        """

    def observe(self) -> Sequence[RunReport]:
        """Every run this connector knows, ended ones until ``forget``. Answers from memory: an unchanged
        run is the *same object* as last time, which is how the agent finds what changed.
        """

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` (cheap, from any thread) whenever ``observe`` or ``capacity`` has changed by
        itself.
        """

    def renew(self, lease: Lease) -> None:
        """Renew every live run; one that is being stopped only until its grace is over (``Lease.while_stopping``).
        A renewal older than one that a run has says nothing to it. Cheap; called at every sync.
        """

    def forget(self, run_id: int) -> None:
        """Drop an ended run with its log and files (not its job's checkpoints). A live or unknown run is
        left alone.
        """

    def read_log(self, run_id: int, rank: int, offset: int, bytes_max: int) -> LogPart | None:
        """Read a worker's log while it runs and after, until ``forget``. None where there is no log and
        will be none: an unknown run or rank, a run that never started. An offset beyond the end gives no
        bytes.
        """

    def outputs(self, run_id: int) -> Outputs:
        """Archive what the order's ``outputs`` match of an ended run, of all workers together; at most
        ``outputs_bytes_max`` bytes of files, in the order of their names (``connectors.agent.archive.pack``). Where
        workers have working directories of their own, the bytes go to lower ranks first; what several left alike is there
        once; and of one name that differs there is the lowest rank's, with the others' below ``worker-RANK/``. What is left
        out stands in the run's message. The file belongs to the connector and goes with ``forget``.
        """

    def close(self) -> None:
        """Let go of threads and files. Runs go on: their supervisors need no connector."""
