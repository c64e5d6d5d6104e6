"""Offers on a trace's clock: windows that repeat after so many seconds, or a weekly calendar that begins somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from scheduler.model import calendar
from scheduler.model.offer import Offer
from scheduler.model.spell import Spell


class Cycle(NamedTuple):
    """A window [from, to), to None for ever, which repeats after ``every_ms`` (None: it does not)."""

    from_ms: int
    to_ms: int | None
    every_ms: int | None

    def spells(self, from_ms: int) -> Iterator[Spell]:
        """When it is open from a moment on."""
        begin_ms, end_ms = self.from_ms, self.to_ms
        if end_ms is None or (self.every_ms is not None and self.every_ms == end_ms - begin_ms):
            yield max(begin_ms, from_ms), None
            return
        if self.every_ms is None:
            if end_ms > from_ms:
                yield max(begin_ms, from_ms), end_ms
            return
        moved_ms = max(0, (from_ms - end_ms) // self.every_ms + 1) * self.every_ms
        while True:
            yield max(begin_ms + moved_ms, from_ms), end_ms + moved_ms
            moved_ms += self.every_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOffer(Offer):
    """An offer that lends in its ``cycle``, or without one by its calendar, to which the trace begins at ``begins_ms``."""

    cycle: Cycle | None
    begins_ms: int

    def spells(self, from_ms: int) -> Iterator[Spell]:
        """When it lends from a moment of the trace on."""
        if self.cycle is not None:
            yield from self.cycle.spells(from_ms)
            return
        for start_ms, end_ms in calendar.spells(self.calendar, from_ms + self.begins_ms):
            yield start_ms - self.begins_ms, None if end_ms is None else end_ms - self.begins_ms
