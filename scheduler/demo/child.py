"""Processes of the demo: each with its log, none left behind, not even when the demo itself is killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scheduler.demo.screen import DemoFailure

_PR_SET_PDEATHSIG = 1
STOP_SECONDS_MAX = 15.0
LOG_LINES_SHOWN = 15


class Child:
    """One process with its output in ``log``."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the demo alone, which then stops its children in order.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def wait_until(self, ready: Callable[[], bool], *, seconds_max: float, what: str) -> None:
        """Wait for ``ready``. Raises ``DemoFailure`` with the end of the log when the process ends or time is up."""
        until_seconds = time.monotonic() + seconds_max
        while not ready():
            if self._process.poll() is not None:
                raise DemoFailure(f"{self.name} ended with {self._process.returncode}.", self._tail())
            if time.monotonic() > until_seconds:
                raise DemoFailure(f"{what} took longer than {seconds_max:.0f} s.", self._tail())
            time.sleep(0.1)

    def stop(self) -> None:
        """End the process: politely, then for certain."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return "\n".join(["The end of its log:", *(f"    {line}" for line in lines), f"All of it: {self.log}"])


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
