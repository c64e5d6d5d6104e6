"""One worker's processes on this machine: a supervisor and the command below it, found again after any
restart.

Whether a supervisor lives is answered by a file lock, which its process inherits and holds until it is gone:
unlike a process id, that cannot be mistaken for somebody else's, and it is right from before ``exec`` on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.agent.durable import replace_quickly
from connectors.protocol import Lease

#: Supervisors that this process started and has not yet seen end. They outlive connectors and are meant to
#: outlive this process; they are kept here only so that those that end are reaped.
_children: set[subprocess.Popen[bytes]] = set()

#: The year 2286: what is beyond is no time of a run.
TIME_MS_MAX = 9_999_999_999_999

SUPERVISE = Path(__file__).resolve().parent.parent / "supervisor" / "supervise.py"


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a supervisor wrote last. ``phase`` is starting, running or ended; times are wall-clock
    milliseconds.
    """

    phase: str
    started_ms: int | None
    ended_ms: int | None
    exit_code: int | None
    cause: str | None
    message: str


@dataclass(frozen=True, slots=True)
class WorkerFiles:
    """Where one worker's files lie."""

    folder: Path
    rank: int

    @property
    def control(self) -> Path:
        """What the supervisor is to do; the connector writes it."""
        return self.folder / f"control-{self.rank}.json"

    @property
    def report(self) -> Path:
        """What became of the command; the supervisor writes it."""
        return self.folder / f"report-{self.rank}.json"

    @property
    def log(self) -> Path:
        """The command's stdout and stderr."""
        return self.folder / f"log-{self.rank}"

    @property
    def lock(self) -> Path:
        """Held while the supervisor lives."""
        return self.folder / f"lock-{self.rank}"

    @property
    def complaints(self) -> Path:
        """The supervisor's own stderr."""
        return self.folder / f"supervisor-{self.rank}.err"


def write_control(files: WorkerFiles, control: Mapping[str, Any]) -> None:
    """Tell the supervisor what to do: its lease, and a stop where one is wanted."""
    replace_quickly(files.control, json.dumps(control).encode())


def read_lease(files: WorkerFiles) -> Lease | None:
    """The lease that the supervisor was given last; None where there is none to read."""
    try:
        value = json.loads(files.control.read_bytes())
        return Lease(
            deadline_boottime_ns=int(value["deadline_boottime_ns"]),
            lease_seconds=float(value["lease_seconds"]),
            renewal=int(value["renewal"]),
        )
    except (FileNotFoundError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return None


def read_report(files: WorkerFiles) -> WorkerReport | None:
    """What the supervisor wrote last; None before its first word, and where the file holds no report.

    The command runs as the same user and may have written anything over it.
    """
    try:
        value = json.loads(files.report.read_bytes())
        ended_by = value.get("signal")
        exit_code = _whole(value.get("exit_code"), 255)
        if exit_code is None and ended_by is not None:
            exit_code = 128 + (signal.Signals[ended_by] if isinstance(ended_by, str) else signal.Signals(ended_by))
        return WorkerReport(
            phase=str(value.get("phase")),
            started_ms=_whole(value.get("started_ms"), TIME_MS_MAX),
            ended_ms=_whole(value.get("ended_ms"), TIME_MS_MAX),
            exit_code=exit_code,
            cause=None if value.get("cause") is None else str(value["cause"]),
            message=str(value.get("message") or ""),
        )
    except (FileNotFoundError, ValueError, LookupError, AttributeError, RecursionError):
        return None


def _whole(value: object, most: int) -> int | None:
    """A whole number from 0 on; None for anything else."""
    return value if isinstance(value, int) and 0 <= value <= most else None


def launch(
    files: WorkerFiles,
    command: Sequence[str],
    *,
    options: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
) -> None:
    """Start a supervisor in a session of its own, so that it outlives the agent. Raises OSError."""
    lock = os.open(files.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with files.complaints.open("ab") as complaints:
            child = subprocess.Popen(
                [
                    *(sys.executable, "-I", str(SUPERVISE)),
                    *(
                        "--control",
                        str(files.control),
                        "--report",
                        str(files.report),
                        "--log",
                        str(files.log),
                    ),
                    *(*options, "--", *command),
                ],
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                pass_fds=[lock],
                start_new_session=True,
            )
    finally:
        os.close(lock)
    _children.add(child)


def reap() -> None:
    """Take note of supervisors of this process that have ended, so that none stays a zombie."""
    for child in list(_children):
        if child.poll() is not None:
            _children.discard(child)


def is_alive(files: WorkerFiles) -> bool:
    """Whether the worker's supervisor lives (or is just being started)."""
    try:
        lock = os.open(files.lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def kill_all(folder: Path, ranks: Sequence[int] | None = None) -> int:
    """SIGKILL every process of these workers (None: of the whole run), supervisors included, wherever their parents
    went; how many there were.

    A process is known by the environment that it was started with: DURE_RUN_DIR, which no other run of this
    machine has, and PET_NODE_RANK, which torchrun hands on to the processes it makes while it changes RANK.
    """
    run = f"DURE_RUN_DIR={folder}".encode()
    wanted = None if ranks is None else {f"PET_NODE_RANK={rank}".encode() for rank in ranks}
    killed = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = set((entry / "environ").read_bytes().split(b"\0"))
        except OSError:
            continue
        if run in environment and (wanted is None or environment & wanted):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed
