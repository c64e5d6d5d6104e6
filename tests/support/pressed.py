"""Full federations for property tests of reclaim: one open site, one GPU class, runs in the way of waiting jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from federations import group_facts, run_of
from hypothesis import strategies as st

from quota.tree import Quota
from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, LiveRun, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.move import jobs_moved
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Csap, Node, SecurityGrade, Site, SiteState

GPU_CLASS = "h100"
GPU_CLASSES = (GPU_CLASS, "a100")
LEAVES = (GroupId(4), GroupId(5), GroupId(6), GroupId(2))
NOW_MS = 1_000_000
MINIMUM_RUN_MS = 60_000
#: Rounds, each after all that was stopped has gone, within which every drawn federation has to come to rest.
ROUNDS_MAX = 30
OPEN_GRADE = SecurityGrade(csap=Csap.NONE, isolates_users=True, trust_domain=None)


@dataclass(frozen=True)
class Pressed:
    """What such a federation is made of; runs stand on nodes already."""

    quotas: dict[tuple[GroupId, str], Quota]
    nodes: tuple[Node, ...]
    shapes: dict[ShapeId, Shape]
    runs: tuple[LiveRun, ...]
    jobs: tuple[WaitingJob, ...]


@st.composite
def quota(draw: st.DrawFn) -> Quota:
    guaranteed = draw(st.integers(0, 6))
    return Quota(
        guaranteed=guaranteed,
        limit=draw(st.none() | st.integers(guaranteed, 16)),
        borrowing_limit=draw(st.none() | st.integers(0, 8)),
        lending_limit=draw(st.none() | st.integers(0, 4)),
        weight=draw(st.integers(1, 3)),
    )


def _shape(
    workers: int, gpus: int, topology: Topology, *, preemptible: bool, required: Topology = Topology.ANY
) -> Shape:
    return Shape(
        workers=workers,
        gpus_per_worker=gpus,
        cpus_per_worker=1,
        memory_mib_per_worker=1,
        gpu_classes=(GPU_CLASS,),
        topology=topology,
        data_class=DataClass.OPEN,
        preemptible=preemptible,
        required=required,
    )


@st.composite
def pressed(draw: st.DrawFn, *, single: bool = False) -> Pressed:
    """Facts; ``single`` draws jobs of one GPU that may all be preempted, and runs that have been there for long."""
    each = draw(st.sampled_from((2, 4)))
    nodes = tuple(
        Node(
            id=NodeId(number),
            site_id=SiteId(1),
            name=f"node-{number}",
            pool="pool",
            gpu_class=GPU_CLASS,
            gpus=each,
            cpus=64,
            memory_mib=64,
            domain=("a", "b", f"leaf-{number % 2}"),
            healthy=True,
        )
        for number in range(1, draw(st.integers(2, 5)))
    )
    if single:
        shapes = {ShapeId(1): _shape(1, 1, Topology.ANY, preemptible=True)}
    else:
        shapes = {
            ShapeId(number): _shape(
                draw(st.integers(1, 3)),
                draw(st.sampled_from((1, 2, each))),
                draw(st.sampled_from((Topology.ANY, Topology.LEAF, Topology.NODE))),
                preemptible=draw(st.sampled_from((True, True, True, False))),
                required=draw(st.sampled_from((Topology.ANY, Topology.ANY, Topology.LEAF, Topology.NODE))),
            )
            for number in range(1, 4)
        }
    free = {node.id: node.gpus for node in nodes}
    runs: list[LiveRun] = []
    for number in range(1, draw(st.integers(2, 9))):
        shape = shapes[ShapeId(draw(st.integers(1, len(shapes))))]
        gang = _gang(free, shape)
        if gang is None:
            continue
        for node, workers in gang:
            free[node] -= workers * shape.gpus_per_worker
        run = run_of(number, JobId(number), draw(st.sampled_from(LEAVES)), shape, SiteId(1), GPU_CLASS, gang)
        old = single or draw(st.sampled_from((True, True, True, False)))
        runs.append(
            replace(
                run,
                started_ms=NOW_MS - draw(st.integers(MINIMUM_RUN_MS, 5 * MINIMUM_RUN_MS)) if old else NOW_MS - 1,
                preemptible=shape.preemptible,
                priority=0 if single else draw(st.sampled_from((0, 0, 100))),
                grace_ms=draw(st.sampled_from((0, 30_000))),
                checkpoints=draw(st.booleans()),
            )
        )
    jobs = tuple(
        WaitingJob(
            id=JobId(number),
            group=draw(st.sampled_from(LEAVES)),
            shape=ShapeId(draw(st.integers(1, len(shapes)))),
            priority=0 if single else draw(st.sampled_from((0, 0, 100))),
            submitted_ms=draw(st.integers(0, 3)),
            handicap_ms=draw(st.sampled_from((0, 0, 1, 2))),
        )
        for number in range(101, 101 + draw(st.integers(1, 8)))
    )
    if single:
        quotas = _guarantees(draw)
    else:
        quotas = {(GroupId(group), GPU_CLASS): draw(quota()) for group in (2, 3, 4, 5, 6) if draw(st.booleans())}
    return Pressed(quotas, nodes, shapes, tuple(runs), jobs)


@st.composite
def pressed_on_two_classes(draw: st.DrawFn) -> Pressed:
    """The same on nodes of two GPU classes; what waits names one of them, or both in either order."""
    given = draw(pressed())
    class_of = {node.id: draw(st.sampled_from(GPU_CLASSES)) for node in given.nodes}
    named = st.sampled_from((GPU_CLASSES, GPU_CLASSES[::-1], GPU_CLASSES[:1], GPU_CLASSES[1:]))
    return replace(
        given,
        quotas=given.quotas | {(group, GPU_CLASSES[1]): each for (group, _), each in given.quotas.items()},
        nodes=tuple(replace(node, gpu_class=class_of[node.id]) for node in given.nodes),
        shapes={number: replace(shape, gpu_classes=draw(named)) for number, shape in given.shapes.items()},
        runs=tuple(
            replace(run, gpu_class=class_of[run.gang[0][0]])
            for run in given.runs
            if len({class_of[node] for node, _ in run.gang}) == 1
        ),
    )


def _guarantees(draw: st.DrawFn) -> dict[tuple[GroupId, str], Quota]:
    """Guarantees alone, those of a group no less than those below it together."""
    below = {group: draw(st.integers(0, 4)) for group in (4, 5, 6)}
    given = below | {2: below[4] + below[5] + draw(st.integers(0, 2)), 3: below[6]}
    return {(GroupId(group), GPU_CLASS): Quota(guaranteed=gpus) for group, gpus in given.items()}


def _gang(free: dict[NodeId, int], shape: Shape) -> tuple[tuple[NodeId, int], ...] | None:
    """The first nodes with room, one worker after the other."""
    left, parts = shape.workers, []
    for node, gpus in free.items():
        workers = min(left, gpus // shape.gpus_per_worker)
        if workers:
            parts.append((node, workers))
            left -= workers
    return None if left else tuple(parts)


def federation_of(given: Pressed) -> Federation:
    """The federation, before any round."""
    federation = Federation(preemption=PreemptionRules(minimum_run_ms=MINIMUM_RUN_MS))
    groups = [replace(each, trust_domain="one", public_sector=False) for each in group_facts()]
    federation.set_groups(groups, given.quotas)
    federation.put_site(Site(id=SiteId(1), name="site", state=SiteState.ACTIVE, security=OPEN_GRADE, reachable=True))
    for node in given.nodes:
        federation.put_node(node)
    for shape_id, shape in given.shapes.items():
        federation.put_shape(shape_id, shape)
    for run in given.runs:
        federation.put_run(run)
    federation.put_waiting(given.jobs)
    federation.lend(NOW_MS)
    return federation


class Applied:
    """Applies plans as the committing side does, and has the runs that were stopped go when asked to."""

    def __init__(self, given: Pressed, federation: Federation) -> None:
        self.federation = federation
        self._jobs = {job.id: job for job in given.jobs}
        shapes = {_asked(shape): number for number, shape in given.shapes.items()}
        for run in given.runs:
            if run.returns_as is not None:
                self._jobs[run.job] = run.returns_as
                continue
            shape = shapes[run.gpus_per_worker, sum(workers for _, workers in run.gang), run.preemptible]
            self._jobs[run.job] = WaitingJob(
                id=run.job, group=run.group, shape=shape, priority=run.priority, submitted_ms=-1
            )
        self._runs = 1_000

    def apply(self, snapshot: Snapshot, plan: Plan) -> None:
        """Do what a plan says."""
        for job in plan.withdrawn:
            self.federation.put_waiting([self._jobs[job]])
        self._jobs |= jobs_moved(plan, self.federation.live_runs)
        for earmark in [*plan.earmarks, *plan.moves, *plan.sizes]:
            gang = tuple((node, workers) for node, _, _, workers in earmark.gang)
            job = self._jobs[earmark.job]
            self.federation.put_earmark(Earmarked(job=job, site=earmark.site, gpu_class=earmark.gpu_class, gang=gang))
        for stop in plan.stops:
            self.federation.put_run(replace(self.federation.live_runs[stop.run], leaving=True))
        for start in [*plan.redeemed, *plan.starts]:
            self._runs += 1
            self.federation.drop_waiting(start.job)
            gang = tuple((node, workers) for node, _, _, workers in start.gang)
            shape = snapshot.shapes[start.shape]
            run = run_of(self._runs, start.job, start.group, shape, start.site, start.gpu_class, gang)
            job = self._jobs[start.job]
            again = replace(
                run,
                started_ms=snapshot.now_ms,
                preemptible=shape.preemptible,
                priority=job.priority,
                expected_end_ms=None if job.walltime_ms is None else snapshot.now_ms + job.walltime_ms,
                checkpoints=job.save_ms is not None,
                grace_ms=job.save_ms or 0,
                returns_as=job,
            )
            self.federation.put_run(again.elastic_as(shape))

    def end_leaving(self) -> None:
        """Every run that was told to stop is gone, and its job waits again."""
        for run in [each for each in self.federation.live_runs.values() if each.leaving]:
            self.federation.drop_run(RunId(run.id))
            if not self.federation.is_earmarked(run.job):
                self.federation.put_waiting([self._jobs[run.job]])


def assert_comes_to_rest(applied: Applied) -> None:
    """Rounds are lawful and stop nothing any more some time; all that is held is taken as soon as runs have left it."""
    now_ms = NOW_MS
    for _ in range(ROUNDS_MAX):
        applied.federation.lend(now_ms)
        snapshot = applied.federation.snapshot()
        plan = decide(snapshot, 0)
        assert check_plan(snapshot, plan) == ()
        assert plan.withdrawn == ()
        assert {start.job for start in plan.redeemed} == set(snapshot.earmarks)
        if not (plan.starts or plan.stops or plan.redeemed):
            return
        applied.apply(snapshot, plan)
        applied.end_leaving()
        now_ms += MINIMUM_RUN_MS
    raise AssertionError("the federation does not come to rest")


def _asked(shape: Shape) -> tuple[int, int, bool]:
    return shape.gpus_per_worker, shape.workers, shape.preemptible
