"""How long a job will run, from what like jobs took: the mean of its person's last two of as many GPUs.

Tsafrir, Etsion and Feitelson, "Backfilling using system-generated predictions rather than user runtime estimates"
(2007): the last two say more than people's estimates do, and are kept apart from the walltime, which alone ends runs.
Where the person has no such job, the group's last two; else the last two of that many GPUs.

Where the GPU class is known on which a job runs, the times are those of the kind on that class. Where it has none there, those on
another class count, scaled by the speeds that the job's file declares for the two, or else by those that administrators give to
classes in general; else all its times as they stand. Those of a wider kind on the class are other people's jobs, which differ by
more than classes do.

A job that has run for longer than predicted is thought to run as long again: in the heavy tails of run times what has
lasted is what lasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from scheduler.model.run_time import ClassBasis

#: So many run times of a kind are remembered.
REMEMBERED = 2
#: In place of a GPU class: whatever class it was.
ANY_CLASS = ""
#: Where nobody says any.
NO_SPEEDS: Mapping[str, float] = MappingProxyType({})
#: Nothing is predicted to run longer than this, a hundred years and more, whatever speeds people write.
RUN_MS_MAX = 2**42


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
    """A whole run time, whose jobs it is from, and how it is told of the class that was asked about."""

    run_ms: int
    scope: Scope
    class_basis: ClassBasis = ClassBasis.ALL


def likes_of(person: int | str | None, group: int, gpus: int) -> tuple[Like, ...]:
    """The kinds that a job is of, the closest first."""
    wider = (Like(Scope.GROUP, group, gpus), Like(Scope.SIZE, 0, gpus))
    return wider if person is None else (Like(Scope.PERSON, person, gpus), *wider)


def likes_on(likes: Sequence[Like], gpu_class: str) -> tuple[Like, ...]:
    """All that a job of these kinds teaches about which ran on ``gpu_class``, or on several for ``ANY_CLASS``."""
    return tuple(likes) if gpu_class == ANY_CLASS else (*likes, *(like.on(gpu_class) for like in likes))


class RunTimes:
    """The last run times of every kind, ms, and how fast GPU classes are in general. Not thread-safe; to read beside a writer
    is safe."""

    def __init__(self) -> None:
        self._last: dict[Like, tuple[int, ...]] = {}
        self._general = NO_SPEEDS

    def put(self, like: Like, last_ms: Sequence[int]) -> None:
        """Know a kind's last run times, the oldest first."""
        self._last[like] = tuple(last_ms)[-REMEMBERED:]

    def put_speeds(self, speeds: Mapping[str, float]) -> None:
        """Know the speeds, above 0, that administrators give to classes, instead of those before."""
        self._general = speeds

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
            mean_ms = self._mean_ms(like)
            if mean_ms is not None:
                whole_ms, class_basis = self._on_class(like, gpu_class, speeds) or (mean_ms, ClassBasis.ALL)
                longest_ms = whole_ms if walltime_ms is None else walltime_ms
                return Prediction(min(whole_ms, longest_ms), like.scope, class_basis)
        return None

    def _mean_ms(self, like: Like) -> int | None:
        last = self._last.get(like)
        return sum(last) // len(last) if last else None

    def _on_class(self, like: Like, gpu_class: str, declared: Mapping[str, float]) -> tuple[int, ClassBasis] | None:
        """What jobs of a kind take on a class, and how that is known; None where it is not."""
        if gpu_class == ANY_CLASS:
            return None
        measured_ms = self._mean_ms(like.on(gpu_class))
        if measured_ms is not None:
            return measured_ms, ClassBasis.MEASURED
        for speeds, class_basis in ((declared, ClassBasis.DECLARED), (self._general, ClassBasis.GENERAL)):
            scaled_ms = self._scaled_ms(like, gpu_class, speeds)
            if scaled_ms is not None:
                return scaled_ms, class_basis
        return None

    def _scaled_ms(self, like: Like, gpu_class: str, speeds: Mapping[str, float]) -> int | None:
        """As jobs of a kind did on the first class of ``speeds`` where they ran, were it as fast as ``gpu_class``."""
        if gpu_class in speeds:
            for other, speed in speeds.items():
                elsewhere_ms = self._mean_ms(like.on(other))
                if elsewhere_ms is not None:
                    return round(min(elsewhere_ms * speed / speeds[gpu_class], RUN_MS_MAX))
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
