"""Federations with elastic gangs: one open site, runs of any size that they may have, and jobs that take more or less."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from pressed import GPU_CLASS, LEAVES, NOW_MS, Pressed, quota
from scattered import NODE_GPUS, moving, node_at, shape_of

from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId
from scheduler.model.shape import Shape, Topology


@st.composite
def elastic_shape(draw: st.DrawFn) -> Shape:
    """One that takes up to four workers more than it needs."""
    least = draw(st.integers(1, 3))
    return shape_of(
        least,
        draw(st.sampled_from((1, 2, 4))),
        draw(st.sampled_from((Topology.ANY, Topology.ANY, Topology.LEAF))),
        preemptible=draw(st.sampled_from((True, True, True, False))),
        workers_max=least + draw(st.integers(1, 4)),
    )


@st.composite
def elastic(draw: st.DrawFn, *, with_quotas: bool = True, jobs_max: int = 5) -> Pressed:
    """Facts. Every third shape is not elastic."""
    nodes = tuple(node_at(number, f"leaf-{number % 2}") for number in range(1, draw(st.integers(3, 6))))
    shapes = {ShapeId(number): draw(elastic_shape()) for number in (1, 2, 4, 5)}
    shapes |= {ShapeId(number): shape_of(draw(st.integers(1, 2)), draw(st.sampled_from((1, 4)))) for number in (3, 6)}
    free = {node.id: NODE_GPUS for node in nodes}
    leaf_of = {node.id: node.domain for node in nodes}
    runs: list[LiveRun] = []
    for number in range(1, draw(st.integers(1, 7))):
        shape_id = ShapeId(draw(st.integers(1, 6)))
        shape = shapes[shape_id]
        workers = draw(st.integers(shape.workers, shape.workers_most))
        gang = _gang(free, leaf_of, shape, workers)
        if gang is None:
            continue
        for node, many in gang:
            free[node] -= many * shape.gpus_per_worker
        run = moving(number, draw(st.sampled_from(LEAVES)), (shape_id, shape), gang)
        saves, old = draw(st.sampled_from((True, True, True, False))), draw(st.sampled_from((True, True, True, False)))
        again, priority = run.returns_as, draw(st.sampled_from((0, 0, 100)))
        assert again is not None
        changed = replace(
            run,
            started_ms=run.started_ms if old else NOW_MS - 1,
            checkpoints=saves,
            workers_min=None,
            workers_max=None,
            priority=priority,
            returns_as=replace(again, priority=priority, save_ms=again.save_ms if saves else None),
            expected_end_ms=draw(st.sampled_from((None, None, NOW_MS + 20_000, NOW_MS + 600_000))),
        )
        runs.append(changed.elastic_as(shape))
    jobs = tuple(
        WaitingJob(
            id=JobId(number),
            group=draw(st.sampled_from(LEAVES)),
            shape=ShapeId(draw(st.integers(1, 6))),
            priority=draw(st.sampled_from((0, 0, 100))),
            submitted_ms=draw(st.integers(0, 3)),
            walltime_ms=draw(st.sampled_from((None, 60_000, 3_600_000))),
            save_ms=draw(st.sampled_from((None, 30_000))),
        )
        for number in range(101, 101 + draw(st.integers(0, jobs_max)))
    )
    groups = (2, 3, 4, 5, 6) if with_quotas else ()
    quotas = {(GroupId(group), GPU_CLASS): draw(quota()) for group in groups if draw(st.booleans())}
    return Pressed(quotas, nodes, shapes, tuple(runs), jobs)


def _gang(
    free: dict[NodeId, int], leaf_of: dict[NodeId, tuple[str, ...]], shape: Shape, workers: int
) -> tuple[tuple[NodeId, int], ...] | None:
    """The first nodes with room, in one leaf where that is required."""
    for leaf in sorted(set(leaf_of.values())):
        left, parts = workers, []
        for node, gpus in free.items():
            many = min(left, gpus // shape.gpus_per_worker)
            if many and (shape.required is not Topology.LEAF or leaf_of[node] == leaf):
                parts.append((node, many))
                left -= many
        if not left:
            return tuple(parts)
    return None
