"""Federations of leaves of nodes with eight GPUs each, in which groups have cells: as rounds see them, from round to round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from federations import OPEN_SITE, Facts, build, node_of, plain_shape, run_of

from quota.cell_shape import Cells, Level
from quota.tree import Quota
from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId
from scheduler.model.shape import Topology
from scheduler.model.site import Node

GPU_CLASS, GPUS = "h100", 8
#: Groups below the federation that have nothing to do with each other, and one below the first.
ONE, OTHER, BELOW_ONE = GroupId(2), GroupId(3), GroupId(4)
WORKERS_MAX = 4


def leaves(number: int, *, nodes: int = 2) -> tuple[Cells, ...]:
    """So many leaves as cells."""
    return (Cells(Level.LEAF, nodes, number),)


def nodes_in(sizes: Sequence[int]) -> tuple[Node, ...]:
    """Nodes in leaves of so many, numbered through."""
    names = [f"leaf-{leaf}" for leaf, size in enumerate(sizes) for _ in range(size)]
    return tuple(replace(node_of(number, GPUS), domain=("hall", "spine", name)) for number, name in enumerate(names, 1))


def shape_of(workers: int, *, firm: bool, in_leaf: bool) -> ShapeId:
    """The number of a gang of whole nodes."""
    return ShapeId(1 + workers * 4 + firm * 2 + in_leaf)


_SHAPES = {
    shape_of(workers, firm=firm, in_leaf=in_leaf): replace(
        plain_shape(GPUS, workers=workers, preemptible=not firm), required=Topology.LEAF if in_leaf else Topology.ANY
    )
    for workers in range(1, WORKERS_MAX + 1)
    for firm in (False, True)
    for in_leaf in (False, True)
}


def quota(cells: tuple[Cells, ...], guaranteed: int) -> Quota:
    """A quota that guarantees so many GPUs, some of them in cells."""
    return Quota(guaranteed=guaranteed, cells=cells)


@dataclass
class CellScene:
    """A federation, and what has become of its jobs."""

    federation: Federation
    jobs: dict[JobId, WaitingJob] = field(default_factory=dict)
    now_ms: int = 0
    numbers: int = 100

    @staticmethod
    def of(sizes: Sequence[int], quotas: Mapping[GroupId, Quota]) -> CellScene:
        """Leaves of so many nodes; quotas by group."""
        by_class = {(group, GPU_CLASS): each for group, each in quotas.items()}
        return CellScene(build(Facts(by_class, (OPEN_SITE,), nodes_in(sizes), _SHAPES, ())))

    def submit(self, group: GroupId, workers: int, *, firm: bool = False, in_leaf: bool = False) -> JobId:
        """Have a gang of whole nodes wait."""
        self.numbers += 1
        job = WaitingJob(
            id=JobId(self.numbers), group=group, shape=shape_of(workers, firm=firm, in_leaf=in_leaf), priority=0,
            submitted_ms=self.numbers,
        )  # fmt: skip
        self.jobs[job.id] = job
        self.federation.put_waiting([job])
        return job.id

    def seen(self) -> Snapshot:
        """This moment."""
        self.federation.lend(self.now_ms)
        return self.federation.snapshot()

    def round(self) -> Plan:
        """One lawful round, applied; runs that were told to stop are gone after it."""
        snapshot = self.seen()
        plan = decide(snapshot, 0)
        assert check_plan(snapshot, plan) == ()
        for job in plan.withdrawn:
            self.federation.put_waiting([self.jobs[job]])
        for earmark in [*plan.earmarks, *plan.moves, *plan.sizes]:
            gang = tuple((node, workers) for node, _, _, workers in earmark.gang)
            self.federation.put_earmark(
                Earmarked(job=self.jobs[earmark.job], site=earmark.site, gpu_class=GPU_CLASS, gang=gang)
            )
        for stop in plan.stops:
            self.federation.drop_run(stop.run)
            if not self.federation.is_earmarked(stop.job):
                self.federation.put_waiting([self.jobs[stop.job]])
        for start in [*plan.redeemed, *plan.starts]:
            self.federation.drop_waiting(start.job)
            gang = tuple((node, workers) for node, _, _, workers in start.gang)
            shape = snapshot.shapes[start.shape]
            self.numbers += 1
            run = run_of(self.numbers, start.job, start.group, shape, start.site, GPU_CLASS, gang)
            self.federation.put_run(replace(run, started_ms=self.now_ms, preemptible=shape.preemptible))
        self.now_ms += 1_000
        return plan

    def rest(self, rounds_max: int = 30) -> None:
        """Rounds until one changes nothing."""
        for _ in range(rounds_max):
            plan = self.round()
            if not (plan.starts or plan.stops or plan.redeemed or plan.withdrawn):
                return
        raise AssertionError("the federation does not come to rest")

    def where(self, job: JobId) -> list[int]:
        """The nodes on which a job runs; none where it does not."""
        runs = [run for run in self.federation.live_runs.values() if run.job == job]
        return sorted(int(node) for run in runs for node, _ in run.gang)

    def end(self, job: JobId) -> None:
        """A job is over, wherever it is."""
        for run in [run.id for run in self.federation.live_runs.values() if run.job == job]:
            self.federation.drop_run(RunId(run))
        self.federation.drop_waiting(job)

    def fail(self, number: int) -> None:
        """A node is sick, and what ran there waits again."""
        node = next(each for each in nodes_of(self.seen()) if each.id == NodeId(number))
        for run in [each for each in self.federation.live_runs.values() if any(at == node.id for at, _ in each.gang)]:
            self.federation.drop_run(run.id)
            self.federation.put_waiting([self.jobs[run.job]])
        self.federation.put_node(replace(node, healthy=False))


def nodes_of(snapshot: Snapshot) -> list[Node]:
    """All nodes by number."""
    return sorted(snapshot.nodes.values(), key=lambda node: node.id)
