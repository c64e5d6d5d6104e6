"""Step 7: why each class that waits on does not start, worked out when it is read, as things stand after the starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import overload

import numpy as np

from scheduler.cycle.alternatives import alternatives as alternatives_of
from scheduler.cycle.explain import explain
from scheduler.cycle.facts import ClassKey
from scheduler.cycle.plan import Verdict
from scheduler.cycle.round import Round
from scheduler.cycle.stay import stay_columns
from scheduler.model.reason import Reason, ReasonCode
from scheduler.placement.pool import IntArray


class Verdicts(Sequence[Verdict]):
    """One verdict a class, by group, shape, bound site, stay and refusals. A million waiting jobs cost a round nothing until
    one asks."""

    def __init__(self, round_: Round, *, ahead: bool = False) -> None:
        """``ahead``: the round is still to come, so that of a class of which it starts any nothing is known before it."""
        self._round = round_
        table, classes = round_.snapshot.table, round_.classes
        self._first = table.start if ahead else classes.next
        self._waiting = np.flatnonzero(self._first < classes.stop)

    @cached_property
    def _rows(self) -> IntArray:
        """In their order."""
        table, rows = self._round.snapshot.table, self._waiting
        walltimes, saves = stay_columns(table.stays)
        rank = {each: number for number, each in enumerate(sorted(table.refusers))}
        refused = np.array([rank[each] for each in table.refusers], np.int64)[table.refused_by[rows]]
        stay = table.stay[rows]
        order = (refused, saves[stay], walltimes[stay], table.bound_site[rows], table.shape[rows], table.group[rows])
        found: IntArray = rows[np.lexsort(order)]
        return found

    def __len__(self) -> int:
        return len(self._waiting)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Verdict, ...]: ...
    def __getitem__(self, index: int | slice) -> Verdict | tuple[Verdict, ...]:
        rows = self._rows[index]
        if isinstance(index, slice):
            return tuple(map(self._verdict, rows.tolist()))
        return self._verdict(int(rows))

    def __iter__(self) -> Iterator[Verdict]:
        return map(self._verdict, self._rows.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def of(self, key: ClassKey, *, alternatives: bool = False) -> Verdict | None:
        """The verdict on one class, with its ``alternatives`` where they are asked for; None where none of its jobs waits on."""
        row = self._round.snapshot.table.row_of(key)
        if row is None or self._first[row] >= self._round.classes.stop[row]:
            return None
        verdict = self._verdict(row)
        if not alternatives or verdict.reason.code is ReasonCode.NOT_YET_EVALUATED:
            return verdict
        return replace(verdict, alternatives=alternatives_of(self._round, self._round.queue(row)))

    def waiting_by_reason(self, classes_max: int) -> Counter[ReasonCode | None]:
        """How many jobs wait for each reason. The ``classes_max`` classes in which most wait are explained, ties by their
        order here; the jobs of all others stand under None."""
        classes = self._round.classes
        waiting = (classes.stop - self._first)[self._rows]
        most_first = np.argsort(-waiting, kind="stable")
        found: Counter[ReasonCode | None] = Counter()
        for number in most_first[:classes_max].tolist():
            found[self._verdict(int(self._rows[number])).reason.code] += int(waiting[number])
        left_out = int(waiting[most_first[classes_max:]].sum())
        return found + Counter({None: left_out})

    @property
    def rows(self) -> IntArray:
        """The waiting table's rows that wait on, ascending."""
        return self._waiting

    def _verdict(self, row: int) -> Verdict:
        classes = self._round.classes
        if self._first[row] < classes.next[row]:
            return Verdict(
                key=self._round.snapshot.table.key(row),
                reason=Reason(code=ReasonCode.NOT_YET_EVALUATED),
                counterfactual=None,
                waiting=int(classes.stop[row] - self._first[row]),
            )
        return explain(self._round, self._round.queue(row))
