"""Requests of an agent that arrive after a later one: what they leave out says nothing of what began in between."""

from __future__ import annotations

import threading

#: No request is under way for longer.
UNDER_WAY_SECONDS_MAX = 120.0


def is_overtaken(sequence: int, newest: int | None, settled: int | None) -> bool:
    """Whether a request came after a later one, ``newest``, was written down.

    ``settled`` is a newest number that stood still for longer than any request is under way: an agent whose folder
    was restored counts anew, and is believed from then on.
    """
    return newest is not None and sequence < newest and newest != settled


class NewestSequences:
    """The newest number of each site as this process has seen it, and since when, by its monotonic clock. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, tuple[int, float]] = {}

    def note(self, site_id: int, newest: int, now_seconds: float) -> None:
        """The record says ``newest``; the first sight of a number counts."""
        with self._lock:
            known = self._seen.get(site_id)
            if known is None or known[0] != newest:
                self._seen[site_id] = newest, now_seconds

    def settled(self, site_id: int, now_seconds: float) -> int | None:
        """The newest number, if it has stood still for so long that nothing older can still be under way."""
        newest, since_seconds = self._seen.get(site_id, (-1, now_seconds))
        return newest if now_seconds - since_seconds >= UNDER_WAY_SECONDS_MAX else None
