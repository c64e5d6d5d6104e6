"""How long a job will run, from what like jobs took: the mean of its person's last two of as many GPUs.

Tsafrir, Etsion and Feitelson, "Backfilling using system-generated predictions rather than user runtime estimates"
(2007): the last two say more than people's estimates do, and are kept apart from the walltime, which alone ends runs.
Where the person has no such job, the group's last two; else the last two of that many GPUs.

Where the GPU class is known on which a job runs, the times are those of the kind on that class. Where it has none there, those on
another class count, scaled by the speeds that the job's file declares for the two; else all its times as they stand. Those of a
wider kind on the class are other people's jobs, which differ by more than classes do.

A job that has run for longer than predicted is thought to run as long again: in the heavy tails of run times what has
lasted is what lasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

#: So many run times of a kind are remembered.
REMEMBERED = 2
#: In place of a GPU class: whatever class it was.
ANY_CLASS = ""
#: Of a job that declares none.
NO_SPEEDS: Mapping[str, float] = MappingProxyType({})


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
    gpu_class: str = ANY_CLASS

    def on(self, gpu_class: str) -> Like:
        """The jobs of this kind that ran on a GPU class alone."""
        return self._replace(gpu_class=gpu_class)


class Prediction(NamedTuple):
    """A whole run time, and whose jobs it is from."""

    run_ms: int
    scope: Scope


def likes_of(person: int | str | None, group: int, gpus: int) -> tuple[Like, ...]:
    """The kinds that a job is of, the closest first."""
    wider = (Like(Scope.GROUP, group, gpus), Like(Scope.SIZE, 0, gpus))
    return wider if person is None else (Like(Scope.PERSON, person, gpus), *wider)


def likes_on(likes: Sequence[Like], gpu_class: str) -> tuple[Like, ...]:
    """All that a job of these kinds teaches about which ran on ``gpu_class``, or on several for ``ANY_CLASS``."""
    return tuple(likes) if gpu_class == ANY_CLASS else (*likes, *(like.on(gpu_class) for like in likes))


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

    def saw(self, likes: Sequence[Like], run_ms: int, gpu_class: str = ANY_CLASS) -> None:
        """A job of these kinds has succeeded after running for so long, all of it on ``gpu_class`` where one is named."""
        for like in likes_on(likes, gpu_class):
            self.put(like, (*self.last_ms(like), run_ms))

    def of(
        self,
        likes: Sequence[Like],
        walltime_ms: int | None = None,
        gpu_class: str = ANY_CLASS,
        speeds: Mapping[str, float] = NO_SPEEDS,
    ) -> Prediction | None:
        """How long a job of these kinds will run in all on ``gpu_class``, never above its walltime; None while none has
        succeeded. ``speeds``, above 0, are those that it declares, by class."""
        for like in likes:
            mean = self._mean_ms(like)
            if mean is not None:
                on_class = self._on_class_ms(like, gpu_class, speeds)
                whole = mean if on_class is None else on_class
                return Prediction(whole if walltime_ms is None else min(whole, walltime_ms), like.scope)
        return None

    def _mean_ms(self, like: Like) -> int | None:
        last = self._last.get(like)
        return sum(last) // len(last) if last else None

    def _on_class_ms(self, like: Like, gpu_class: str, speeds: Mapping[str, float]) -> int | None:
        """What jobs of a kind take on a class: as they did there, else as on the first class of ``speeds`` where they ran."""
        measured_ms = self._mean_ms(like.on(gpu_class))
        if measured_ms is None and gpu_class in speeds:
            for other, speed in speeds.items():
                elsewhere_ms = self._mean_ms(like.on(other))
                if elsewhere_ms is not None:
                    return round(elsewhere_ms * (speed / speeds[gpu_class]))
        return measured_ms


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
