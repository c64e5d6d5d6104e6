"""What a round knows of groups, waiting jobs and live runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from scheduler.cycle.prediction import left_ms
from scheduler.cycle.stay import ANY_STAY, Stay
from scheduler.model.group_order import GroupOrder
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.offer import Sector
from scheduler.model.shape import DataClass, Shape
from scheduler.model.site_refusal import SiteRefusal


class ClassKey(NamedTuple):
    """What jobs of one class have in common, their order apart."""

    group: GroupId
    shape: ShapeId
    bound_site: SiteId | None = None
    stay: Stay = ANY_STAY
    refused_by: tuple[SiteId, ...] = ()  #: sites that are not asked now, sorted


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """A group, with what it inherits worked out. The federation itself is of no ``sector``."""

    id: GroupId
    path: str
    parent: GroupId | None
    trust_domain: str
    public_sector: bool
    sector: Sector | None = None
    order: GroupOrder = GroupOrder.FIFO


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """A queued job. ``bound_site`` holds its checkpoint: it starts there or not at all. ``walltime_ms`` is how long a run of
    it may take; None: for ever. ``save_ms`` is how long it needs to save its state; None: it cannot. ``expected_ms`` is how
    long it still runs, from what like jobs took; None: nothing like it is known.

    By ``handicap_ms`` its group's order takes it to have come later than it did: see ``handicap``. Sites that stand in
    ``refusals`` are not asked, until the federation has come to their time (``Federation.lend``).
    """

    id: JobId
    group: GroupId
    shape: ShapeId
    priority: int
    submitted_ms: int
    bound_site: SiteId | None = None
    walltime_ms: int | None = None
    save_ms: int | None = None
    handicap_ms: int = 0
    expected_ms: int | None = None
    refusals: tuple[SiteRefusal, ...] = ()

    @property
    def turn_ms(self) -> int:
        """By what it stands in its group and priority class; ties by id."""
        return self.submitted_ms + self.handicap_ms

    @property
    def key(self) -> ClassKey:
        """Its class."""
        stay = Stay.of(self.walltime_ms, self.save_ms)
        return ClassKey(self.group, self.shape, self.bound_site, stay, self.refused_by)

    @property
    def refused_by(self) -> tuple[SiteId, ...]:
        """Sites that are not asked, sorted."""
        return tuple(sorted(each.site for each in self.refusals)) if self.refusals else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Earmarked:
    """A queued job for which nodes are held while other runs are leaving them. ``gang`` lists (node, workers)."""

    job: WaitingJob
    site: SiteId
    gpu_class: str
    gang: tuple[tuple[NodeId, int], ...]

    @property
    def workers(self) -> int:
        """How many of its workers these nodes are for."""
        return sum(workers for _, workers in self.gang)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptionRules:
    """What a run may count on before it is ended for another job. ``minimum_run_ms`` is from its start."""

    minimum_run_ms: int = 0


DEFAULT_PREEMPTION = PreemptionRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A run that holds nodes. ``gang`` lists (node, workers). ``expected_end_ms`` is when it is over at the latest, by its
    walltime or because it leaves; None where nobody can tell. What ends runs, and what nodes must be lent for, goes by that.

    ``predicted_ms`` is how long its job takes in all, from what like jobs took, of which it has had ``served_ms`` in earlier
    runs; estimates go by that, in ``likely_end_ms``.

    ``grace_ms`` is what its job wants between a stop's signal and its end; ``checkpoints`` says that it writes a
    checkpoint on the signal. One that is ``leaving`` was told to stop for another job: it holds its nodes until it is
    gone, and its group's quota no more. ``returns_as`` is its job as it waits again once the run was stopped; None where
    it does not, or where nobody needs to know.

    An elastic run, which writes checkpoints and may be preempted, may be stopped to go on with any number of workers from
    ``workers_min`` to ``workers_max``. Both are None for others.
    """

    id: RunId
    job: JobId
    group: GroupId
    site: SiteId
    gpu_class: str
    gpus_per_worker: int
    cpus_per_worker: int
    memory_mib_per_worker: int
    gang: tuple[tuple[NodeId, int], ...]
    started_ms: int = 0
    preemptible: bool = True
    priority: int = 0
    expected_end_ms: int | None = None
    grace_ms: int = 0
    checkpoints: bool = False
    leaving: bool = False
    returns_as: WaitingJob | None = None
    data_class: DataClass = DataClass.OPEN
    predicted_ms: int | None = None
    served_ms: int = 0
    workers_min: int | None = None
    workers_max: int | None = None

    def likely_end_ms(self, now_ms: int) -> int | None:
        """When it ends as far as anybody can tell at a moment, never after it is over at the latest; None: nobody can.

        A run that takes longer than predicted is thought to run as long again, each time anew.
        """
        if self.leaving or self.predicted_ms is None:
            return self.expected_end_ms
        had_ms = self.served_ms + max(0, now_ms - self.started_ms)
        likely_ms = max(now_ms, self.started_ms) + left_ms(self.predicted_ms, had_ms)
        return likely_ms if self.expected_end_ms is None else min(likely_ms, self.expected_end_ms)

    @property
    def workers(self) -> int:
        """How many it has."""
        gang = self.gang
        return gang[0][1] if len(gang) == 1 else sum([workers for _, workers in gang])

    @property
    def gpus(self) -> int:
        """GPUs it holds."""
        return self.gpus_per_worker * self.workers

    @property
    def spare_workers(self) -> int:
        """Workers that it could do without and go on."""
        return 0 if self.workers_min is None else self.workers - self.workers_min

    @property
    def spare_gpus(self) -> int:
        """The GPUs of these."""
        return self.gpus_per_worker * self.spare_workers

    def elastic_as(self, shape: Shape) -> LiveRun:
        """The same as a run of a job of this shape, which says whether it is elastic."""
        if shape.workers_max is None or not self.checkpoints or not self.preemptible:
            return self
        return replace(self, workers_min=shape.workers, workers_max=shape.workers_max)

    def leaves_ms(self, now_ms: int) -> int | None:
        """When it is gone at the latest, as things stand at a moment, which is the earliest; None where nobody can tell."""
        if self.expected_end_ms is None:
            return now_ms + self.grace_ms if self.leaving else None
        return max(self.expected_end_ms, now_ms)
