"""The first jobs of classes that wait on, and whose turn it is among them, while steps after placement make room for some."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quota.order import turn_key
from scheduler.cycle.facts import ClassKey
from scheduler.cycle.round import Round
from scheduler.model.ids import GroupId, JobId
from scheduler.placement.request import Request

#: In a round nodes are held for so many jobs of a GPU class at most: what more have to be made room for the next rounds do.
EARMARKS_MAX = 64

Turn = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first job of a class that waits on. ``firm``: it may not be preempted, and stays inside its group's guarantee."""

    row: int
    key: ClassKey
    job: JobId
    group: GroupId
    position: int
    priority: int
    firm: bool
    request: Request


class Heads:
    """Those of one GPU class."""

    def __init__(self, round_: Round, gpu_class: str) -> None:
        self._round = round_
        self._usage, self._shares = round_.usages[gpu_class], round_.shares(gpu_class)
        self._ranks = round_.past_ranks(gpu_class), round_.standing_ranks(gpu_class)

    def serve(
        self,
        rows: Sequence[int],
        serve: Callable[[Head], bool],
        tries_max: int | None = None,
        served_max: int = EARMARKS_MAX,
    ) -> int:
        """Let the heads of ``rows`` be served in turn, the group whose turn it is first, until none can be; answer how many were.

        ``serve`` charges the group of a head that it serves and moves its class on; it answers whether it did. What failed
        once is not tried again, nor are any that are alike. At most ``tries_max`` are tried and ``served_max`` served.
        """
        classes = self._round.classes
        failed: set[tuple[int, ...]] = set()
        heap = [(self._turn(row), row) for row in rows]
        heapq.heapify(heap)
        served = tries = 0
        while heap and served < served_max and (tries_max is None or tries < tries_max):
            turn, row = heap[0]
            if turn != self._turn(row):  # its group has been served
                heapq.heapreplace(heap, (self._turn(row), row))
                continue
            kind = self._kind(row)
            tries += kind not in failed
            if kind not in failed and serve(self._head(row)):
                served += 1
                if classes.next[row] < classes.stop[row]:
                    continue
            else:
                failed.add(kind)
            heapq.heappop(heap)
        return served

    def _turn(self, row: int) -> Turn:
        classes, head = self._round.classes, int(self._round.classes.next[row])
        key = turn_key(self._usage, self._shares, int(self._round.snapshot.table.group[row]), *self._ranks)
        return (*key, int(classes.minus_priority[head]), int(classes.submitted[head]), int(classes.job[head]))

    def _kind(self, row: int) -> tuple[int, ...]:
        """Heads that are alike in all that decides whether they can be served."""
        classes = self._round.classes
        columns = (classes.position, classes.alike, classes.venue)
        return (*(int(column[row]) for column in columns), int(classes.minus_priority[classes.next[row]]))

    def _head(self, row: int) -> Head:
        classes, snapshot = self._round.classes, self._round.snapshot
        key = snapshot.table.key(row)
        shape = snapshot.shapes[key.shape]
        return Head(
            row=row,
            key=key,
            job=JobId(int(classes.job[classes.next[row]])),
            group=key.group,
            position=int(classes.position[row]),
            priority=-int(classes.minus_priority[classes.next[row]]),
            firm=not shape.preemptible,
            request=Request.of(shape),
        )
