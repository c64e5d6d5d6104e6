"""Logs that somebody reads now: the agent sends their bytes while they are wanted."""

from __future__ import annotations

import threading

from scheduler.clock import Clock
from scheduler.store.bus import Bus

WANTED_SECONDS = 30.0
REPEAT_SECONDS = 5.0
#: An agent sends a wanted log for a while after it was asked; it is asked again in time.
ASK_SECONDS = 10.0


def wants_topic(site_id: int) -> str:
    """The bus topic on which servers tell each other of readers."""
    return f"log-wants:{site_id}"


class LogWants:
    """Readers of this process are told to all; what all told is remembered for ``WANTED_SECONDS``. Thread-safe."""

    def __init__(self, clock: Clock, bus: Bus) -> None:
        self._clock = clock
        self._bus = bus
        self._lock = threading.Lock()
        self._told: dict[tuple[int, int, int], float] = {}
        self._wanted: dict[int, dict[tuple[int, int], float]] = {}
        self._asked: dict[int, dict[tuple[int, int], float]] = {}

    def want(self, site_id: int, run_id: int, rank: int) -> bool:
        """Somebody reads this worker's log now. Cheap to repeat. Answer whether nobody did a moment ago: then its newest
        bytes are only on their way."""
        now_seconds = self._clock.monotonic_seconds()
        key = (site_id, run_id, rank)
        with self._lock:
            if now_seconds - self._told.get(key, float("-inf")) < REPEAT_SECONDS:
                return False
            fresh = now_seconds - self._told.get(key, float("-inf")) >= WANTED_SECONDS
            self._told = {each: at for each, at in self._told.items() if now_seconds - at < WANTED_SECONDS}
            self._told[key] = now_seconds
        self.heard(site_id, f"{run_id}:{rank}".encode())
        self._bus.publish(wants_topic(site_id), f"{run_id}:{rank}".encode())
        return fresh

    def heard(self, site_id: int, payload: bytes) -> None:
        """Take note of what a server told."""
        run_id, rank = (int(part) for part in payload.split(b":"))
        with self._lock:
            wanted = self._wanted.setdefault(site_id, {})
            wanted[run_id, rank] = self._clock.monotonic_seconds()

    def due(self, site_id: int, now_seconds: float) -> list[tuple[int, int]]:
        """(run, rank) to ask the agent for now: new ones, and from time to time those that are still wanted."""
        with self._lock:
            wanted = self._wanted.get(site_id, {})
            fresh = {key: at for key, at in wanted.items() if now_seconds - at < WANTED_SECONDS}
            self._wanted[site_id] = fresh
            asked = self._asked.setdefault(site_id, {})
            due = [key for key in sorted(fresh) if now_seconds - asked.get(key, float("-inf")) >= ASK_SECONDS]
            self._asked[site_id] = {key: at for key, at in asked.items() if key in fresh}
            self._asked[site_id].update(dict.fromkeys(due, now_seconds))
            return due
