"""Waiting jobs of a plain scheduler: one line a shape and site, so that what cannot start is asked once."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from scheduler.model.ids import JobId, ShapeId, SiteId
from scheduler.simulator.knowledge import UNKNOWN_MS
from scheduler.simulator.workload import SimJob

#: What sorts waiting jobs: (order, id).
Rank = tuple[int, JobId]
LineKey = tuple[ShapeId, SiteId | None]


@dataclass(slots=True)
class _Line:
    """Jobs by rank, and the same by expected run time."""

    ranks: list[Rank] = field(default_factory=list)
    by_length: list[tuple[int, Rank]] = field(default_factory=list)


@dataclass(slots=True)
class Verdicts:
    """What a walk has learned: lines of which nothing can start, and lines of which only jobs up to a length can (ms)."""

    failed: set[LineKey] = field(default_factory=set)
    longest_ms: dict[LineKey, int] = field(default_factory=dict)


class Queues:
    """Jobs by line. The first over all lines is the head."""

    def __init__(self) -> None:
        self._lines: dict[LineKey, _Line] = {}
        self._jobs: dict[JobId, SimJob] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job: JobId) -> bool:
        return job in self._jobs

    def add(self, job: SimJob) -> None:
        """A job begins to wait."""
        line = self._lines.setdefault((job.shape, job.bound_site), _Line())
        insort(line.ranks, (job.order, job.id))
        insort(line.by_length, (_length_ms(job), (job.order, job.id)))
        self._jobs[job.id] = job

    def remove(self, job: SimJob) -> None:
        """A job waits no more."""
        line, rank = self._lines[job.shape, job.bound_site], (job.order, job.id)
        del line.ranks[bisect_left(line.ranks, rank)]
        del line.by_length[bisect_left(line.by_length, (_length_ms(job), rank))]
        del self._jobs[job.id]

    def head(self) -> SimJob | None:
        """The first of all."""
        first = min((line.ranks[0] for line in self._lines.values() if line.ranks), default=None)
        return None if first is None else self._jobs[first[1]]

    def walk(self, verdicts: Verdicts) -> Iterator[SimJob]:
        """Jobs in order. Of what is yielded the caller may start the last one, and add to ``verdicts`` as it learns."""
        keys = [key for key, line in self._lines.items() if line.ranks]
        turns = [(self._lines[key].ranks[0], number) for number, key in enumerate(keys)]
        heapq.heapify(turns)
        short: dict[LineKey, list[Rank]] = {}
        while turns:
            rank, number = heapq.heappop(turns)
            key = keys[number]
            if key in verdicts.failed:
                continue
            yield self._jobs[rank[1]]
            if key in verdicts.failed:
                continue
            longest_ms = verdicts.longest_ms.get(key)
            if longest_ms is not None and key not in short:
                short[key] = self._no_longer_than(key, longest_ms)
            ranks = short.get(key, self._lines[key].ranks)
            after = bisect_left(ranks, (rank[0], JobId(rank[1] + 1)))
            if after < len(ranks):
                heapq.heappush(turns, (ranks[after], number))

    def _no_longer_than(self, key: LineKey, longest_ms: int) -> list[Rank]:
        line = self._lines[key].by_length
        end = bisect_left(line, (longest_ms + 1, (-UNKNOWN_MS, JobId(0))))
        return sorted(rank for _, rank in line[:end])


def _length_ms(job: SimJob) -> int:
    return UNKNOWN_MS if job.expected_ms is None else job.expected_ms
