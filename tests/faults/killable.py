"""A federation of separate processes that can be killed at any moment and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

DURE = (sys.executable, "-m", "scheduler.main")
ROOT = Path(__file__).resolve().parents[2]


class Killable:
    """One process. ``kill`` is SIGKILL, at once followed by a new start of the same command."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._environment = {**os.environ, **environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
        self._start()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    def kill_and_restart(self) -> None:
        """kill -9, and start again."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._start()

    def stop(self) -> None:
        """End politely, or for certain after a while."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def died_by_itself(self) -> bool:
        """Whether it ended without having been told to."""
        return self._process.poll() is not None


class Chaos:
    """Kills a random process of ``victims`` every now and then, ``kills`` times, or until it is told to end."""

    def __init__(self, victims: Sequence[Killable], *, seed: int, kills: int) -> None:
        self._victims = victims
        self._dice = random.Random(seed)
        self._kills = kills
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.killed: list[str] = []

    def __enter__(self) -> Chaos:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        for _ in range(self._kills):
            if self._ended.wait(self._dice.uniform(0.05, 0.8)):
                return
            victim = self._dice.choice(self._victims)
            victim.kill_and_restart()
            self.killed.append(victim.name)
