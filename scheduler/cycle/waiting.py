"""Waiting jobs as columns: what a round reads of them costs by class, not by job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from scheduler.cycle.facts import ClassKey, WaitingJob
from scheduler.cycle.stay import Stay
from scheduler.model.data_class import Clearance
from scheduler.model.ids import GroupId, JobId, ShapeId, SiteId
from scheduler.model.offer import Sector
from scheduler.placement.pool import BoolArray, IntArray

#: A waiting job as its class orders it: (-priority, turn, id), the turn being ``WaitingJob.turn_ms``.
Turn = tuple[int, int, JobId]
#: Stands in ``WaitingTable.turns`` where a job has no walltime, or nobody can tell how long it runs.
NO_TIME = -1
#: Rows of ``WaitingTable.turns``.
TURN_ROWS = 6
#: A column of ``WaitingTable.turns``.
Column = tuple[int, int, JobId, int, int, int]


def turn_of(job: WaitingJob) -> Turn:
    """A job's turn."""
    return -job.priority, job.turn_ms, job.id


def column_of(job: WaitingJob) -> Column:
    """A job as a column of ``WaitingTable.turns``."""
    walltime_ms = NO_TIME if job.walltime_ms is None else job.walltime_ms
    expected_ms = NO_TIME if job.expected_ms is None else job.expected_ms
    return *turn_of(job), walltime_ms, job.submitted_ms, expected_ms


class Venue(NamedTuple):
    """Who may serve a class: whose data it carries, of which sector, the site that holds its checkpoint, sites that are not
    asked, of the groups that have nodes reserved or cells those that it belongs to, sorted, and its own where that has cells."""

    clearance: Clearance
    sector: Sector | None
    bound_site: SiteId | None
    refused_by: tuple[SiteId, ...] = ()
    holders: tuple[GroupId, ...] = ()
    having_cells: GroupId | None = None


@dataclass(frozen=True, slots=True)
class WaitingClass:
    """Jobs of one group and shape that may start at the same sites and stay as long, the first in front."""

    key: ClassKey
    turns: tuple[Turn, ...]

    @property
    def group(self) -> GroupId:
        """Whose jobs they are."""
        return self.key.group

    @property
    def shape(self) -> ShapeId:
        """What each asks for."""
        return self.key.shape

    @property
    def bound_site(self) -> SiteId | None:
        """The site that holds their checkpoints."""
        return self.key.bound_site


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WaitingTable:
    """Classes by row, of which some are empty. Nothing that is read here is ever changed.

    ``start`` and ``stop`` bound a class's jobs in ``turns``, (6, job): minus priority, turn (ms), id; walltime (ms, or
    ``NO_TIME``), submitted (ms), expected run time (ms, or ``NO_TIME``); sorted inside a class by the first three.
    ``bound_site`` is 0 where there is none; ``stay`` counts in ``stays``, ``refused_by`` in ``refusers``, ``venue`` in
    ``venues``. ``kept_off`` holds the jobs that some site has refused.
    """

    group: IntArray
    shape: IntArray
    bound_site: IntArray
    stay: IntArray
    refused_by: IntArray
    venue: IntArray
    start: IntArray
    stop: IntArray
    turns: IntArray
    venues: tuple[Venue, ...]
    stays: tuple[Stay, ...]
    refusers: tuple[tuple[SiteId, ...], ...] = ((),)
    kept_off: Mapping[JobId, WaitingJob] = field(default_factory=dict)

    @property
    def rows(self) -> IntArray:
        """Rows in which jobs wait."""
        return np.flatnonzero(self.start < self.stop)

    def key(self, row: int) -> ClassKey:
        """What the jobs of a row have in common."""
        bound = int(self.bound_site[row])
        return ClassKey(
            GroupId(int(self.group[row])),
            ShapeId(int(self.shape[row])),
            SiteId(bound) if bound else None,
            self.stays[int(self.stay[row])],
            self.refusers[int(self.refused_by[row])],
        )

    def head(self, row: int, number: int = 0) -> Turn:
        """The first job of a class, or the one ``number`` behind it."""
        priority, turn_ms, job = self.turns[:3, self.start[row] + number].tolist()
        return priority, turn_ms, JobId(job)

    def class_at(self, row: int) -> WaitingClass:
        """A row as an object, with all its jobs."""
        columns = self.turns[:3, self.start[row] : self.stop[row]].tolist()
        return WaitingClass(self.key(row), turns=tuple((a, b, JobId(c)) for a, b, c in zip(*columns, strict=True)))

    def classes(self) -> Iterator[WaitingClass]:
        """Every class in which jobs wait."""
        return (self.class_at(row) for row in self.rows.tolist())

    def jobs(self) -> Iterator[WaitingJob]:
        """Every waiting job as a fact."""
        for row in self.rows.tolist():
            group, shape, bound_site, stay, refused_by = self.key(row)
            for turn in self.turns[:, self.start[row] : self.stop[row]].T.tolist():
                minus_priority, turn_ms, job, walltime_ms, submitted_ms, expected_ms = turn
                yield WaitingJob(
                    id=JobId(job),
                    group=group,
                    shape=shape,
                    priority=-minus_priority,
                    submitted_ms=submitted_ms,
                    bound_site=bound_site,
                    walltime_ms=None if walltime_ms == NO_TIME else walltime_ms,
                    save_ms=stay.save_ms,
                    handicap_ms=turn_ms - submitted_ms,
                    expected_ms=None if expected_ms == NO_TIME else expected_ms,
                    refusals=self.kept_off[JobId(job)].refusals if refused_by else (),
                )

    def row_of(self, key: ClassKey) -> int | None:
        """The row of a class in which jobs wait."""
        if key.stay not in self.stays or key.refused_by not in self.refusers:
            return None
        same = (self.group == key.group) & (self.shape == key.shape) & (self.bound_site == (key.bound_site or 0))
        same &= self.stay == self.stays.index(key.stay)
        same &= self.refused_by == self.refusers.index(key.refused_by)
        found = np.flatnonzero(same & (self.start < self.stop))
        return int(found[0]) if len(found) else None

    def turn_of(self, job: JobId) -> Turn | None:
        """A job's turn; None where it does not wait. Outside of classes there are columns of earlier waits."""
        for at in np.flatnonzero(self.turns[2] == job).tolist():
            if ((self.start <= at) & (at < self.stop)).any():
                priority, turn_ms, _ = self.turns[:3, at].tolist()
                return priority, turn_ms, job
        return None

    def ahead(self, group: GroupId, turn: Turn, among: BoolArray) -> int:
        """How many jobs of a group stand before a turn, in the rows that ``among`` marks."""
        mine = (self.group == group) & (self.start < self.stop) & among
        return sum(self._before(row, turn) for row in np.flatnonzero(mine).tolist())

    def _before(self, row: int, turn: Turn) -> int:
        priority, turn_ms, job = self.turns[:3, self.start[row] : self.stop[row]]
        later = (turn_ms > turn[1]) | ((turn_ms == turn[1]) & (job >= turn[2]))
        return int(((priority < turn[0]) | ((priority == turn[0]) & ~later)).sum())

    def adding(self, key: ClassKey, venue: Venue, turn: Turn) -> WaitingTable:
        """The table with a class of one more job, in the last row."""
        count = self.turns.shape[1]
        venues = self.venues if venue in self.venues else (*self.venues, venue)
        stays = self.stays if key.stay in self.stays else (*self.stays, key.stay)
        assert not key.refused_by, "no site has refused what is only asked about"
        values = {
            "group": key.group,
            "shape": key.shape,
            "bound_site": key.bound_site or 0,
            "stay": stays.index(key.stay),
            "refused_by": self.refusers.index(()),
            "venue": venues.index(venue),
            "start": count,
            "stop": count + 1,
        }
        columns = {name: np.append(getattr(self, name), value) for name, value in values.items()}
        column = np.array([(*turn, NO_TIME, turn[1], NO_TIME)], np.int64).T
        turns = np.concatenate([self.turns, column], axis=1)
        return replace(
            self,
            turns=turns,
            venues=venues,
            stays=stays,
            refusers=self.refusers,
            kept_off=self.kept_off,
            **columns,
        )
