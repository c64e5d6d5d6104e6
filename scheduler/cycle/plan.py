"""What a round answers: starts, stops, what is held for whom, and a verdict for every class of jobs that still wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scheduler.cycle.facts import ClassKey
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.reason import Reason
from scheduler.model.wall_time import moment_text

#: (node, its name, first rank, workers)
GangPart = tuple[NodeId, str, int, int]


@dataclass(frozen=True, slots=True)
class Start:
    """A job to start now."""

    job: JobId
    group: GroupId
    shape: ShapeId
    site: SiteId
    gpu_class: str
    gang: tuple[GangPart, ...]

    @property
    def workers(self) -> int:
        """How many workers it starts with."""
        return sum(part[3] for part in self.gang)


class StopCause(StrEnum):
    """Why a run has to end before its job is done."""

    PREEMPTED = "preempted"  #: for a job of higher priority in its own group
    RECLAIMED = "reclaimed"  #: for another group's share
    RECALLED = "recalled"  #: the lender wants its nodes back
    MOVED = "moved"  #: to make room for a gang; its job runs on elsewhere
    SHRUNK = "shrunk"  #: to make room for a gang, or for its lender; its job goes on with fewer workers
    GROWN = "grown"  #: to go on with more workers


@dataclass(frozen=True, slots=True)
class Stop:
    """A run to end: told now, gone after ``grace_ms`` at the latest. ``preemptor`` is the job that it makes room for."""

    run: RunId
    job: JobId
    cause: StopCause
    preemptor: JobId | None
    grace_ms: int


@dataclass(frozen=True, slots=True)
class Earmark:
    """Nodes held for a job until the runs that are stopped for it are gone; then it starts there."""

    job: JobId
    group: GroupId
    shape: ShapeId
    site: SiteId
    gpu_class: str
    gang: tuple[GangPart, ...]

    @property
    def workers(self) -> int:
        """How many workers it has there."""
        return sum(part[3] for part in self.gang)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes that a blocked job may count on from ``start_ms``: nothing is started on them that would be in its way then."""

    job: JobId
    group: GroupId
    shape: ShapeId
    site: SiteId
    gpu_class: str
    gang: tuple[GangPart, ...]
    start_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """What would start the first job of a class, as things stand after the round: all of it together.

    ``raises`` lists (group path, GPUs) by which a bound would have to be higher; ``nodes`` is how many more empty nodes
    of the gang's own kind the site would have to have. ``preemptible``: the job would have to say that it may be
    preempted. ``open_site``: the site would have to be active and heard. ``walltime_seconds``: its walltime would have to be
    no longer, so that it is gone when nodes are reserved for others.

    ``lent``: the site lends by offers, so that it would have to lend the job these ``nodes``, for as long as it runs; to have
    them is not enough. Then ``term`` is what keeps the job off all that is lent there now, if anything does, and ``opens_ms``
    when the site begins to lend more to it by the clock alone, where that is known.
    """

    site: str
    gpu_class: str
    nodes: int = 0
    gpus_per_node: int = 0
    domain: tuple[str, ...] = ()
    raises: tuple[tuple[str, int], ...] = ()
    preemptible: bool = False
    open_site: bool = False
    walltime_seconds: int | None = None
    lent: bool = False
    term: str | None = None
    opens_ms: int | None = None

    @property
    def asks_for_anything(self) -> bool:
        """Whether something would have to be other than it is."""
        return bool(self.nodes or self.raises or self.preemptible or self.open_site or self.walltime_seconds)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "site": self.site,
            "gpu_class": self.gpu_class,
            "nodes": self.nodes,
            "gpus_per_node": self.gpus_per_node,
            "domain": "/".join(self.domain),
            "raises": [list(each) for each in self.raises],
            "preemptible": self.preemptible,
            "open_site": self.open_site,
            "walltime_seconds": self.walltime_seconds,
            "lent": self.lent,
            "term": self.term,
            "opens_at": None if self.opens_ms is None else moment_text(self.opens_ms),
        }


class AlternativeKind(StrEnum):
    """In what a job would be another, or when it would be asked for again."""

    FEWER_WORKERS = "fewer_workers"
    OTHER_GPU_CLASS = "other_gpu_class"
    OPENING = "opening"  #: of a site that lends more from a moment on


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """With what the first job of a class would start though nothing of its ``Counterfactual`` came true: with ``workers``, on
    ``gpu_class``, and not before ``at_ms`` (None: now). ``site`` has room for it; where else it could go is not said.
    """

    kind: AlternativeKind
    site: str
    gpu_class: str
    workers: int
    gpus: int  #: of all these workers
    gpus_asked: int  #: of all workers that it asks for
    at_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind.value,
            "site": self.site,
            "gpu_class": self.gpu_class,
            "workers": self.workers,
            "gpus": self.gpus,
            "gpus_asked": self.gpus_asked,
            "at": None if self.at_ms is None else moment_text(self.at_ms),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why jobs of one class do not start. ``waiting`` counts them; ``alternatives`` are there where somebody asked for them."""

    key: ClassKey
    reason: Reason
    counterfactual: Counterfactual | None
    waiting: int
    alternatives: tuple[Alternative, ...] = ()

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One decision. ``redeemed`` starts jobs on the nodes that were held for them; ``withdrawn`` loses those nodes.

    ``moves`` are held for the jobs of runs that are stopped because they are moved, and that go on there; ``sizes`` for those of
    elastic runs that are stopped to go on with fewer or more workers.
    """

    starts: Sequence[Start]
    verdicts: Sequence[Verdict]
    seed: int
    redeemed: tuple[Start, ...] = ()
    withdrawn: tuple[JobId, ...] = ()
    stops: tuple[Stop, ...] = ()
    earmarks: tuple[Earmark, ...] = ()
    moves: tuple[Earmark, ...] = ()
    sizes: tuple[Earmark, ...] = ()
    reservations: tuple[Reservation, ...] = ()
