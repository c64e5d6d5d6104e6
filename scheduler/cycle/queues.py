"""Waiting jobs that come and go, kept in columns so that a round need not look at each.

A class's jobs lie sorted in one segment of a large array. A segment is never changed once a table has shown it: what
joins behind its last job is written after it, anything else writes a new one. So a table is a few small copies, and
a million jobs that do not move cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scheduler.cycle.facts import ClassKey, WaitingJob
from scheduler.cycle.stay import NEVER_MS, Stay
from scheduler.cycle.waiting import TURN_ROWS, Column, Venue, WaitingTable, column_of
from scheduler.model.ids import JobId, SiteId
from scheduler.model.site_refusal import in_force
from scheduler.placement.pool import BoolArray, IntArray

_GROUP, _SHAPE, _BOUND, _STAY, _REFUSED, _VENUE, _START, _STOP, _ROOM = range(9)
_UNKNOWN = -1


class Queues:
    """Not thread-safe. ``table`` shows the moment; later changes do not reach what it has shown."""

    #: Classes that jobs have joined are looked at together where there are more, which is slower for few.
    singly_max = 8

    def __init__(self) -> None:
        self._rows: dict[ClassKey, int] = {}
        self._row_of: dict[JobId, int] = {}
        self._unused: list[int] = []
        self._columns = np.zeros((9, 16), np.int64)
        self._live: list[int] = []
        self._added: dict[int, dict[JobId, Column]] = {}
        self._removed: dict[int, set[JobId]] = {}
        self._turns = np.empty((TURN_ROWS, 64), np.int64)
        self._end = 0
        self._venues: dict[Venue, int] = {}
        self._stays: dict[Stay, int] = {}
        self._stay_of: list[Stay] = []
        self._refusers: dict[tuple[SiteId, ...], int] = {(): 0}
        self._kept_off: dict[JobId, WaitingJob] = {}
        self._told: dict[JobId, WaitingJob] = {}
        self._shown: WaitingTable | None = None

    def __contains__(self, job_id: JobId) -> bool:
        return job_id in self._row_of

    def put(self, jobs: Sequence[WaitingJob]) -> None:
        """Have jobs wait; one that waits already is put anew."""
        for job in jobs:
            if job.id in self._row_of:
                self.drop(job.id)
            self._join(job)
            if job.refusals:
                self._told[job.id] = job
        self._shown = None

    def _join(self, job: WaitingJob) -> None:
        row = self._row(job.key)
        added = self._added.get(row)
        if added is None:
            added = self._added[row] = {}
        added[job.id] = column_of(job)
        self._live[row] += 1
        self._row_of[job.id] = row
        if job.refusals:
            self._kept_off[job.id] = job

    def drop(self, job_id: JobId) -> None:
        """A job waits no more; nothing happens where it does not wait."""
        self._told.pop(job_id, None)
        self._leave(job_id)

    def _leave(self, job_id: JobId) -> None:
        row = self._row_of.pop(job_id, None)
        if row is None:
            return
        self._shown = None
        self._kept_off.pop(job_id, None)
        self._live[row] -= 1
        if self._live[row] == 0:
            self._forget(row)
            return
        added = self._added.get(row)
        if added is not None and added.pop(job_id, None) is not None:
            return
        start = self._columns[_START, row]
        if row not in self._removed and start < self._columns[_STOP, row] and self._turns[2, start] == job_id:
            self._columns[_START, row] += 1
        else:
            self._removed.setdefault(row, set()).add(job_id)

    def let_ask(self, now_ms: int) -> None:
        """Sites that refused a job may be asked again when their time has come.

        What was told is looked at each time, and nothing is forgotten: a clock that is ahead for a moment changes nothing
        for long, and everybody who reads the record at one moment sees the same.
        """
        for job_id, told in self._told.items():
            left = in_force(told.refusals, now_ms)
            known = self._kept_off.get(job_id)
            if left != (() if known is None else known.refusals):
                self._leave(job_id)
                self._join(replace(told, refusals=left))

    @property
    def asks_ms(self) -> int:
        """When the next site may be asked again; ``NEVER_MS`` for never."""
        return min((each.until_ms for job in self._kept_off.values() for each in job.refusals), default=NEVER_MS)

    def forget_venues(self) -> None:
        """Groups have changed: who may serve a class is asked anew."""
        self._columns[_VENUE] = _UNKNOWN
        self._venues = {}
        self._shown = None

    def copy(self) -> Queues:
        """The same jobs, which from now on come and go by themselves."""
        twin = type(self)()
        twin._rows, twin._row_of = self._rows.copy(), self._row_of.copy()
        twin._unused, twin._live = self._unused.copy(), self._live.copy()
        twin._columns, twin._turns, twin._end = self._columns.copy(), self._turns.copy(), self._end
        twin._added = {row: added.copy() for row, added in self._added.items()}
        twin._removed = {row: removed.copy() for row, removed in self._removed.items()}
        twin._venues, twin._stays, twin._shown = self._venues.copy(), self._stays.copy(), self._shown
        twin._stay_of = self._stay_of.copy()
        twin._refusers = self._refusers.copy()
        twin._kept_off, twin._told = self._kept_off.copy(), self._told.copy()
        return twin

    def table(self, venue_of: Callable[[ClassKey], Venue]) -> WaitingTable:
        """This moment. ``venue_of`` is asked once a class."""
        if self._shown is not None:
            return self._shown
        joined = [row for row, added in self._added.items() if added and row not in self._removed]
        if len(joined) > self.singly_max:
            joined = self._append(joined)
        for row in (*joined, *self._removed):
            self._settle(row)
        self._added, self._removed = {}, {}
        count = len(self._live)
        for row in np.flatnonzero(self._columns[_VENUE, :count] == _UNKNOWN).tolist():
            if self._live[row]:
                venue = venue_of(self._key(row))
                self._columns[_VENUE, row] = self._venues.setdefault(venue, len(self._venues))
        columns = self._columns[:, :count].copy()
        self._shown = WaitingTable(
            group=columns[_GROUP],
            shape=columns[_SHAPE],
            bound_site=columns[_BOUND],
            stay=columns[_STAY],
            refused_by=columns[_REFUSED],
            venue=columns[_VENUE],
            start=columns[_START],
            stop=columns[_STOP],
            turns=self._turns,
            venues=tuple(self._venues),
            stays=tuple(self._stay_of),
            refusers=tuple(self._refusers),
            kept_off=self._kept_off.copy(),
        )
        return self._shown

    def _key(self, row: int) -> ClassKey:
        group, shape, bound, stay, refused = self._columns[:_VENUE, row].tolist()
        refused_by = tuple(self._refusers)[refused] if refused else ()
        return ClassKey(group, shape, bound or None, self._stay_of[stay], refused_by)

    def _row(self, key: ClassKey) -> int:
        row = self._rows.get(key)
        if row is not None:
            return row
        if self._unused:
            row = self._unused.pop()
        else:
            row = len(self._live)
            self._live.append(0)
            if row == self._columns.shape[1]:
                self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        self._rows[key] = row
        stay = self._stays.setdefault(key.stay, len(self._stays))
        if stay == len(self._stay_of):
            self._stay_of.append(key.stay)
        refused = self._refusers.setdefault(key.refused_by, len(self._refusers)) if key.refused_by else 0
        self._columns[:, row] = (key.group, key.shape, key.bound_site or 0, stay, refused, _UNKNOWN, 0, 0, 0)
        return row

    def _forget(self, row: int) -> None:
        del self._rows[self._key(row)]
        self._added.pop(row, None)
        self._removed.pop(row, None)
        self._columns[_START : _ROOM + 1, row] = 0
        self._unused.append(row)

    def _append(self, rows: Sequence[int]) -> list[int]:
        """What ``_settle`` does for classes that jobs have joined behind all others; answer the other ones of ``rows``."""
        at, sizes = np.array(rows), np.array([len(self._added[row]) for row in rows])
        owner = np.repeat(np.arange(len(rows)), sizes)
        joined = np.array([each for row in rows for each in self._added[row].values()], np.int64).T
        joined = joined[:, np.lexsort((*joined[2::-1], owner))]
        start, stop, room = self._columns[_START : _ROOM + 1, at]
        behind = (start == stop) | _comes_before(self._turns[:3, stop - 1], joined[:3, np.cumsum(sizes) - sizes])
        fits = behind & (start < stop) & (stop + sizes <= room)
        here = fits[owner]
        self._turns[:, _spread(stop[fits], sizes[fits])] = joined[:, here]
        self._columns[_STOP, at[fits]] += sizes[fits]
        moved = behind & ~fits
        here = moved[owner]
        self._move(at[moved], sizes[moved], joined[:, here])
        return [row for row, each in zip(rows, behind.tolist(), strict=True) if not each]

    def _move(self, rows: IntArray, sizes: IntArray, joined: IntArray) -> None:
        """Write the segments of some rows anew, with what has ``joined`` behind them: so many each."""
        start, stop = self._columns[_START, rows], self._columns[_STOP, rows]
        wanted = _with_room(stop - start + sizes)
        if self._end + int(wanted.sum()) > self._turns.shape[1]:
            self._grow(int(wanted.sum()))
            start, stop = self._columns[_START, rows], self._columns[_STOP, rows]
        before, begins = stop - start, self._end + np.cumsum(wanted) - wanted
        self._turns[:, _spread(begins, before)] = self._turns[:, _spread(start, before)]
        self._turns[:, _spread(begins + before, sizes)] = joined
        self._columns[_START : _ROOM + 1, rows] = begins, begins + before + sizes, begins + wanted
        self._end += int(wanted.sum())

    def _settle(self, row: int) -> None:
        """Bring what joined and left into the segment of a class."""
        start, stop, room = self._columns[_START : _ROOM + 1, row].tolist()
        added, gone = sorted(self._added.get(row, {}).values()), self._removed.get(row)
        behind = start == stop or not added or tuple(self._turns[:, stop - 1].tolist()) < added[0]
        if gone is None and behind and start < stop and stop + len(added) <= room:
            self._turns[:, stop : stop + len(added)] = np.array(added, np.int64).reshape(-1, TURN_ROWS).T
            self._columns[_STOP, row] = stop + len(added)
            return
        segment = self._turns[:, start:stop]
        joined = np.array(added, np.int64).reshape(-1, TURN_ROWS).T
        if gone is not None:
            segment = segment[:, ~np.isin(segment[2], list(gone))]
        merged = np.concatenate([segment, joined], axis=1)
        if not behind:
            merged = merged[:, np.lexsort(merged[2::-1])]
        self._write(row, merged)

    def _write(self, row: int, segment: IntArray) -> None:
        size = segment.shape[1]
        wanted = int(_with_room(size))
        if self._end + wanted > self._turns.shape[1]:
            self._grow(wanted)
        self._turns[:, self._end : self._end + size] = segment
        self._columns[_START : _ROOM + 1, row] = (self._end, self._end + size, self._end + wanted)
        self._end += wanted

    def _grow(self, wanted: int) -> None:
        """A larger array, in which segments lie close together again. Tables that were shown keep the old one."""
        start, stop = self._columns[_START], self._columns[_STOP]
        sizes = stop - start
        rooms = sizes + sizes // 4
        ends = np.cumsum(rooms)
        begins = ends - rooms
        kept = int(ends[-1]) if len(ends) else 0
        turns = np.empty((TURN_ROWS, 2 * (kept + wanted) + 64), np.int64)
        turns[:, _spread(begins, sizes)] = self._turns[:, _spread(start, sizes)]
        self._columns[_START], self._columns[_STOP], self._columns[_ROOM] = begins, begins + sizes, ends
        self._turns, self._end = turns, kept


def _with_room(size: Any) -> Any:
    """So much for a segment that may get longer."""
    return size + size // 4 + 2


def _spread(begins: IntArray, sizes: IntArray) -> IntArray:
    """Indices of segments, one after the other."""
    found: IntArray = np.repeat(begins - np.cumsum(sizes) + sizes, sizes) + np.arange(int(sizes.sum()))
    return found


def _comes_before(one: IntArray, other: IntArray) -> BoolArray:
    """By column whether a turn, as (minus priority, moment, job), is before another."""
    before: BoolArray = one[2] < other[2]
    for row in (1, 0):
        before = (one[row] < other[row]) | ((one[row] == other[row]) & before)
    return before
