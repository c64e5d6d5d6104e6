"""Federations whose free GPUs lie scattered: one open site, small runs anywhere, and a few jobs that want room together."""

from __future__ import annotations

from dataclasses import replace

from federations import run_of
from hypothesis import strategies as st
from pressed import GPU_CLASS, LEAVES, MINIMUM_RUN_MS, NOW_MS, Pressed

from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Node

NODE_GPUS = 4
SITE = SiteId(1)


def node_at(number: int, leaf: str = "leaf") -> Node:
    """A node of four GPUs."""
    return Node(
        id=NodeId(number),
        site_id=SITE,
        name=f"node-{number}",
        pool="pool",
        gpu_class=GPU_CLASS,
        gpus=NODE_GPUS,
        cpus=64,
        memory_mib=64,
        domain=("a", "b", leaf),
        healthy=True,
    )


def shape_of(
    workers: int,
    gpus: int,
    required: Topology = Topology.ANY,
    *,
    preemptible: bool = True,
    workers_max: int | None = None,
) -> Shape:
    """A gang."""
    return Shape(
        workers=workers,
        gpus_per_worker=gpus,
        cpus_per_worker=1,
        memory_mib_per_worker=1,
        gpu_classes=(GPU_CLASS,),
        topology=Topology.ANY,
        data_class=DataClass.OPEN,
        preemptible=preemptible,
        required=required,
        workers_max=workers_max,
    )


def moving(number: int, group: GroupId, shape: tuple[ShapeId, Shape], gang: tuple[tuple[NodeId, int], ...]) -> LiveRun:
    """An old run that writes checkpoints and whose job waits again once it was stopped."""
    run = run_of(number, JobId(number), group, shape[1], SITE, GPU_CLASS, gang)
    again = WaitingJob(id=run.job, group=group, shape=shape[0], priority=0, submitted_ms=-1, save_ms=30_000)
    return replace(
        run,
        started_ms=NOW_MS - MINIMUM_RUN_MS,
        preemptible=shape[1].preemptible,
        grace_ms=30_000,
        checkpoints=True,
        returns_as=again,
    ).elastic_as(shape[1])


@st.composite
def scattered(draw: st.DrawFn, *, jobs_max: int = 4) -> Pressed:
    """Facts; no quotas, so that nodes alone are in the way."""
    nodes = tuple(node_at(number, f"leaf-{number % 2}") for number in range(1, draw(st.integers(3, 5))))
    required = st.sampled_from((Topology.ANY, Topology.ANY, Topology.LEAF))
    shapes = {
        ShapeId(1): shape_of(1, 1),
        ShapeId(2): shape_of(1, 2),
        ShapeId(3): shape_of(2, 1, draw(required)),
        ShapeId(4): shape_of(1, draw(st.integers(3, 4))),
        ShapeId(5): shape_of(2, draw(st.integers(2, 4)), draw(required)),
        ShapeId(6): shape_of(draw(st.integers(2, 3)), 4),
    }
    free = {node.id: NODE_GPUS for node in nodes}
    runs: list[LiveRun] = []
    singles = [(shape, [node.id]) for node in nodes for shape in draw(st.sampled_from(((1,), (2,), (1, 1), (1, 2))))]
    pairs = [
        (3, [draw(st.sampled_from(nodes)).id, draw(st.sampled_from(nodes)).id]) for _ in range(draw(st.integers(0, 2)))
    ]
    for number, (shape_number, places) in enumerate(singles + pairs, 1):
        shape_id = ShapeId(shape_number)
        shape = shapes[shape_id]
        gang = tuple((node, places.count(node)) for node in sorted(set(places)))
        same_leaf = len({node.domain for node in nodes if node.id in places}) == 1
        fits = all(free[node] >= workers * shape.gpus_per_worker for node, workers in gang)
        if not fits or (shape.required is Topology.LEAF and not same_leaf):
            continue
        for node, workers in gang:
            free[node] -= workers * shape.gpus_per_worker
        run = moving(number, draw(st.sampled_from(LEAVES)), (shape_id, shape), gang)
        old = draw(st.sampled_from((True, True, True, False)))
        left_ms = draw(st.sampled_from((None, None, 20_000, 600_000)))
        runs.append(
            replace(
                run,
                started_ms=run.started_ms if old else NOW_MS - 1,
                checkpoints=draw(st.sampled_from((True, True, True, False))),
                preemptible=draw(st.sampled_from((True, True, True, False))),
                grace_ms=draw(st.sampled_from((0, 10_000, 30_000))),
                expected_end_ms=None if left_ms is None else NOW_MS + left_ms,
            )
        )
    jobs = tuple(
        WaitingJob(
            id=JobId(number),
            group=draw(st.sampled_from(LEAVES)),
            shape=ShapeId(draw(st.sampled_from((4, 4, 5, 6, 1, 3)))),
            priority=0,
            submitted_ms=draw(st.integers(0, 3)),
            walltime_ms=draw(st.sampled_from((None, 60_000, 3_600_000))),
        )
        for number in range(101, 102 + draw(st.integers(0, jobs_max - 1)))
    )
    return Pressed({}, nodes, shapes, tuple(runs), jobs)
