"""Rows of a trace as jobs of the scheduler: which gang, which group, which shape.

A job that fits one node is one worker. A larger one is whole-node workers where its devices divide by a node's, else
single-device workers. What the log says of its nodes comes first. On a CPU cluster cores are the devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from scheduler.model.ids import GroupId, JobId, ShapeId, SiteId
from scheduler.model.shape import PRIORITY_CLASSES, Shape
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.terms import NO_TERMS, Terms
from scheduler.simulator.trace import TraceRow

ROOT = "federation"
NO_GROUP = "ungrouped"
#: So many rows are made jobs at a time.
ROWS_A_STEP = 4096


@dataclass(slots=True, eq=False)
class SimJob:
    """One job and what has become of it. Times are ms. ``left_ms`` is the run time still needed, restarts included; run times are
    with the least workers and ``gpus`` theirs, so that an elastic job with more has them over sooner.
    """

    id: JobId
    name: str
    user: str
    group: GroupId
    shape: ShapeId
    gpus: int
    submit_ms: int
    duration_ms: int
    walltime_ms: int | None
    priority: int
    preemptible: bool
    bound_site: SiteId | None
    left_ms: int
    checkpoints: bool = True
    order: int = 0  #: what the group's policy sorts it by while it waits
    level: int = 0  #: by how much that lowers its priority inside its class
    expected_ms: int | None = None  #: what the scheduler is told it will still need
    stops: int = 0
    lost_ms: int = 0  #: run time spent without progress, for restarts and for work that was lost

    @property
    def limit_ms(self) -> int | None:
        """What ended its run in the log, had it not ended by itself: where it ran beyond its walltime, that did not."""
        return None if self.walltime_ms is None else max(self.walltime_ms, self.duration_ms)

    @property
    def served_ms(self) -> int:
        """How long it has run in all."""
        return self.duration_ms + self.lost_ms - self.left_ms

    def ran(self, ran_ms: int, lost_ms: int) -> None:
        """It ran for ``ran_ms``; its end cost it ``lost_ms`` of run time, for what was not saved and for getting going."""
        self.left_ms += lost_ms - ran_ms
        self.lost_ms += lost_ms


@dataclass(slots=True)
class Workload:
    """Jobs by arrival; ``jobs[i].id == i + 1``. ``left_out`` counts rows that are no job here, by reason.

    ``terms`` are those of jobs that have any, and ``start_by_ms`` the last moments at which jobs with a deadline may start.
    Jobs are made as somebody comes to them (``has``) where ``unmade`` makes more, some rows with each step; the last is submitted
    before ``over_ms``.
    """

    jobs: list[SimJob] = field(default_factory=list)
    shapes: dict[ShapeId, Shape] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)  #: names, ``groups[i]`` of GroupId(i + 1), the root first
    left_out: Counter[str] = field(default_factory=Counter)
    terms: dict[JobId, Terms] = field(default_factory=dict)
    start_by_ms: dict[JobId, int] = field(default_factory=dict)
    unmade: Iterator[None] = field(default_factory=lambda: iter(()))
    over_ms: int = 0

    def has(self, index: int) -> bool:
        """Whether there is a job of an index."""
        while index >= len(self.jobs):
            if next(self.unmade, self) is self:
                return index < len(self.jobs)
        return True


def build_workload(
    rows: Iterable[TraceRow], cluster: Cluster, groups: Iterable[str] = (), begins_ms: int = 0
) -> Workload:
    """Make jobs of rows. ``groups`` are known before, in their order; others are added as they come. ``begins_ms`` is the trace's
    start in ms since the epoch."""
    made = open_workload(rows, cluster, groups, begins_ms)
    for _ in made.unmade:
        pass
    made.over_ms = made.jobs[-1].submit_ms + 1 if made.jobs else 1
    return made


def open_workload(
    rows: Iterable[TraceRow], cluster: Cluster, groups: Iterable[str], begins_ms: int = 0, over_ms: int = 0
) -> Workload:
    """The same with jobs that are made as somebody comes to them: whoever has to know the groups before names all of them."""
    made = Workload(groups=list(dict.fromkeys((ROOT, *groups))), over_ms=over_ms)
    made.unmade = _make(made, rows, cluster, begins_ms)
    return made


def _make(made: Workload, rows: Iterable[TraceRow], cluster: Cluster, begins_ms: int) -> Iterator[None]:
    """Add jobs, ``ROWS_A_STEP`` rows with each step."""
    shape_ids: dict[Shape, ShapeId] = {}
    group_ids = {name: GroupId(number) for number, name in enumerate(made.groups, 1)}
    known_shapes: dict[tuple[object, ...], tuple[Shape, ShapeId] | str] = {}
    refused: set[str] = set()
    for number, row in enumerate(rows, 1):
        if number % ROWS_A_STEP == 0:
            yield
        site = _site_of(row, cluster)
        key = (row.gpus, row.gpu_types, row.gpus_per_node, row.nodes, row.cpus, row.memory_mib, row.preemptible,
               row.data_class, row.workers_max, row.workers, row.preferred, row.required, site)  # fmt: skip
        found = known_shapes.get(key)
        if found is None:
            shape = shape_of(row, cluster)
            found = (
                shape if isinstance(shape, str) else (shape, shape_ids.setdefault(shape, ShapeId(len(shape_ids) + 1)))
            )
            if not isinstance(found, str):
                made.shapes[found[1]] = found[0]
            known_shapes[key] = found
        if row.duration_ms is None:
            found = "never_started"
        elif row.terms is not NO_TERMS:
            found = _why_refused(row, begins_ms, refused) or found
        if isinstance(found, str):
            made.left_out[found] += 1
            refused.update((row.job_id, row.terms.array))
            continue
        name = row.group or NO_GROUP
        if name not in group_ids:
            made.groups.append(name)
            group_ids[name] = GroupId(len(made.groups))
        assert row.duration_ms is not None
        job_id = JobId(len(made.jobs) + 1)
        if row.terms is not NO_TERMS:
            made.terms[job_id] = row.terms
            by_ms = row.terms.start_by_ms(row.submit_ms, row.walltime_ms, begins_ms)
            if by_ms is not None:
                made.start_by_ms[job_id] = by_ms
        made.jobs.append(
            SimJob(
                id=job_id,
                name=row.job_id,
                user=row.user,
                group=group_ids[name],
                shape=found[1],
                gpus=found[0].gpus,
                submit_ms=row.submit_ms,
                duration_ms=row.duration_ms,
                walltime_ms=row.walltime_ms,
                priority=PRIORITY_CLASSES.get(row.qos, 0),
                preemptible=row.preemptible,
                bound_site=site,
                left_ms=row.duration_ms,
                checkpoints=row.checkpoints,
            )
        )


def _why_refused(row: TraceRow, begins_ms: int, refused: set[str]) -> str | None:
    """What production would say at submission: ``deadline_too_soon``, ``dependency_not_found`` for one that comes after a job
    that is none here."""
    by_ms = row.terms.start_by_ms(row.submit_ms, row.walltime_ms, begins_ms)
    if by_ms is not None and by_ms < row.submit_ms:
        return "deadline_too_soon"
    return "dependency_not_found" if refused.intersection(row.terms.after + row.terms.after_ok) else None


def shape_of(row: TraceRow, cluster: Cluster) -> Shape | str:
    """The gang a row asks for, or why it is no job of this cluster: ``no_devices``, ``unknown_gpu_type``, ``too_large``."""
    devices = (row.cpus or 1) if cluster.counts_cores else row.gpus
    if devices < 1:
        return "no_devices"
    wanted = tuple(each.lower() for each in row.gpu_types) if not cluster.counts_cores else ()
    classes = tuple(each for each in wanted if each in cluster.gpu_classes)
    if wanted and not classes:
        return "unknown_gpu_type"
    candidates = classes or cluster.gpu_classes
    node_max = max(cluster.largest_node[each] for each in candidates)
    workers = _workers(row, devices, node_max)
    shape = Shape(
        workers=workers,
        gpus_per_worker=devices // workers,
        cpus_per_worker=0 if cluster.counts_cores else -(-(row.cpus or 0) // workers),
        memory_mib_per_worker=0 if cluster.counts_cores else -(-(row.memory_mib or 0) // workers),
        gpu_classes=classes,
        topology=row.preferred,
        data_class=row.data_class,
        preemptible=row.preemptible,
        required=row.required,
        workers_max=row.workers_max,
    )
    worker = (shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker)
    room = cluster.room.workers_most(worker, candidates, row.required, _site_of(row, cluster))
    return shape if room >= workers else "too_large"


def _site_of(row: TraceRow, cluster: Cluster) -> SiteId | None:
    return cluster.site_ids.get(row.site) if cluster.names_sites else None


def _workers(row: TraceRow, devices: int, node_max: int) -> int:
    if row.workers is not None:
        return row.workers
    for each in (row.gpus_per_node, devices // row.nodes if row.nodes and devices % row.nodes == 0 else None):
        if each and devices % each == 0 and each <= node_max:
            return devices // each
    if devices <= node_max:
        return 1
    return devices // node_max if devices % node_max == 0 else devices
