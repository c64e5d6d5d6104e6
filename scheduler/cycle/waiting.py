"""Waiting jobs as columns: what a round reads of them costs by class, not by job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from scheduler.cycle.facts import WaitingJob
from scheduler.model.data_class import Clearance
from scheduler.model.ids import GroupId, JobId, ShapeId, SiteId
from scheduler.placement.pool import IntArray

#: A waiting job as its class orders it: (-priority, submitted, id).
Turn = tuple[int, int, JobId]
#: (group, shape, bound site or None)
ClassKey = tuple[GroupId, ShapeId, SiteId | None]
#: Who may serve a class: whose data it carries, and the site that holds its checkpoint.
Venue = tuple[Clearance, SiteId | None]
#: Stands in ``WaitingTable.turns`` where a job has no walltime.
NO_WALLTIME = -1


@dataclass(frozen=True, slots=True)
class WaitingClass:
    """Jobs of one group and shape that may start at the same sites, the first in front."""

    group: GroupId
    shape: ShapeId
    bound_site: SiteId | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WaitingTable:
    """Classes by row, of which some are empty. Nothing that is read here is ever changed.

    ``start`` and ``stop`` bound a class's jobs in ``turns``, (4, job): minus priority, submitted, id, walltime (ms, or
    ``NO_WALLTIME``); sorted inside a class.
    ``bound_site`` is 0 where there is none; ``venue`` counts in ``venues``.
    """

    group: IntArray
    shape: IntArray
    bound_site: IntArray
    venue: IntArray
    start: IntArray
    stop: IntArray
    turns: IntArray
    venues: tuple[Venue, ...]

    @property
    def rows(self) -> IntArray:
        """Rows in which jobs wait."""
        return np.flatnonzero(self.start < self.stop)

    def key(self, row: int) -> ClassKey:
        """Group, shape and bound site of a row."""
        bound = int(self.bound_site[row])
        return GroupId(int(self.group[row])), ShapeId(int(self.shape[row])), SiteId(bound) if bound else None

    def head(self, row: int, number: int = 0) -> Turn:
        """The first job of a class, or the one ``number`` behind it."""
        priority, submitted, job = self.turns[:3, self.start[row] + number].tolist()
        return priority, submitted, JobId(job)

    def class_at(self, row: int) -> WaitingClass:
        """A row as an object, with all its jobs."""
        columns = self.turns[:3, self.start[row] : self.stop[row]].tolist()
        return WaitingClass(*self.key(row), turns=tuple((a, b, JobId(c)) for a, b, c in zip(*columns, strict=True)))

    def classes(self) -> Iterator[WaitingClass]:
        """Every class in which jobs wait."""
        return (self.class_at(row) for row in self.rows.tolist())

    def jobs(self) -> Iterator[WaitingJob]:
        """Every waiting job as a fact."""
        for row in self.rows.tolist():
            group, shape, bound_site = self.key(row)
            for turn in self.turns[:, self.start[row] : self.stop[row]].T.tolist():
                minus_priority, submitted_ms, job, walltime_ms = turn
                yield WaitingJob(
                    id=JobId(job),
                    group=group,
                    shape=shape,
                    priority=-minus_priority,
                    submitted_ms=submitted_ms,
                    bound_site=bound_site,
                    walltime_ms=None if walltime_ms == NO_WALLTIME else walltime_ms,
                )

    def row_of(self, key: ClassKey) -> int | None:
        """The row of a class in which jobs wait."""
        group, shape, bound = key
        same = (self.group == group) & (self.shape == shape) & (self.bound_site == (bound or 0))
        found = np.flatnonzero(same & (self.start < self.stop))
        return int(found[0]) if len(found) else None

    def adding(self, key: ClassKey, clearance: Clearance, turn: Turn) -> WaitingTable:
        """The table with a class of one more job, in the last row."""
        group, shape, bound = key
        venue, count = (clearance, bound), self.turns.shape[1]
        known = venue in self.venues
        values = {
            "group": group,
            "shape": shape,
            "bound_site": bound or 0,
            "venue": self.venues.index(venue) if known else len(self.venues),
            "start": count,
            "stop": count + 1,
        }
        columns = {name: np.append(getattr(self, name), value) for name, value in values.items()}
        turns = np.concatenate([self.turns, np.array([(*turn, NO_WALLTIME)], np.int64).T], axis=1)
        return replace(self, turns=turns, venues=self.venues if known else (*self.venues, venue), **columns)
