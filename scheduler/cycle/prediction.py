"""How long a job will run, from what like jobs took: the mean of its person's last two of as many GPUs.

Tsafrir, Etsion and Feitelson, "Backfilling using system-generated predictions rather than user runtime estimates"
(2007): the last two say more than people's estimates do, and are kept apart from the walltime, which alone ends runs.
Where the person has no such job, the group's last two; else the last two of that many GPUs.

A job that has run for longer than predicted is thought to run as long again: in the heavy tails of run times what has
lasted is what lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

#: So many run times of a kind are remembered.
REMEMBERED = 2


class Scope(StrEnum):
    """Whose jobs are like one another, beside their GPUs; the first that has any tells."""

    PERSON = "person"
    GROUP = "group"
    SIZE = "size"  #: anybody's


class Like(NamedTuple):
    """A kind of jobs. ``owner`` is a person's or a group's number, or name where it has none; 0 for anybody's."""

    scope: Scope
    owner: int | str
    gpus: int


class Prediction(NamedTuple):
    """A whole run time, and whose jobs it is from."""

    run_ms: int
    scope: Scope


def likes_of(person: int | str | None, group: int, gpus: int) -> tuple[Like, ...]:
    """The kinds that a job is of, the closest first."""
    wider = (Like(Scope.GROUP, group, gpus), Like(Scope.SIZE, 0, gpus))
    return wider if person is None else (Like(Scope.PERSON, person, gpus), *wider)


class RunTimes:
    """The last run times of every kind, ms. Not thread-safe; to read beside a writer is safe."""

    def __init__(self) -> None:
        self._last: dict[Like, tuple[int, ...]] = {}

    def put(self, like: Like, last_ms: Sequence[int]) -> None:
        """Know a kind's last run times, the oldest first."""
        self._last[like] = tuple(last_ms)[-REMEMBERED:]

    def last_ms(self, like: Like) -> tuple[int, ...]:
        """A kind's last run times, the oldest first."""
        return self._last.get(like, ())

    def saw(self, likes: Iterable[Like], run_ms: int) -> None:
        """A job of these kinds has succeeded after running for so long."""
        for like in likes:
            self.put(like, (*self.last_ms(like), run_ms))

    def of(self, likes: Iterable[Like], walltime_ms: int | None = None) -> Prediction | None:
        """How long a job of these kinds will run in all, never above its walltime; None while none has succeeded."""
        for like in likes:
            last = self._last.get(like)
            if last:
                mean = sum(last) // len(last)
                return Prediction(mean if walltime_ms is None else min(mean, walltime_ms), like.scope)
        return None


def has_outrun(whole_ms: int, had_ms: int) -> bool:
    """Whether a job that has run for ``had_ms`` took longer than was predicted."""
    return had_ms > whole_ms


def left_ms(whole_ms: int | None, had_ms: int) -> int:
    """How long a job still runs that was predicted to take ``whole_ms`` in all and has run for ``had_ms``.

    As long again where it took longer, or where nothing is known: of what has not run yet that is nothing.
    """
    if whole_ms is None or has_outrun(whole_ms, had_ms):
        return had_ms
    return whole_ms - had_ms
