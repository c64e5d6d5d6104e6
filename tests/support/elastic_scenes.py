"""Small federations with elastic gangs in whole nodes, and what a round makes of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from pressed import GPU_CLASS, NOW_MS, Pressed, federation_of
from scattered import NODE_GPUS, moving, node_at, shape_of

from quota.tree import Quota
from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.plan import Earmark, Plan, Start
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId
from scheduler.model.shape import Topology

OURS, THEIRS = GroupId(4), GroupId(6)
WIDE, WHOLE, ONE, LEAFY = ShapeId(1), ShapeId(2), ShapeId(3), ShapeId(4)
SHAPES = {
    WIDE: shape_of(1, NODE_GPUS, workers_max=3),
    WHOLE: shape_of(1, NODE_GPUS),
    ONE: shape_of(1, 1),
    LEAFY: shape_of(1, NODE_GPUS, Topology.LEAF, workers_max=8),
}


def decided(given_facts: Pressed) -> tuple[Snapshot, Plan]:
    """A lawful first round."""
    federation = federation_of(given_facts)
    federation.lend(NOW_MS)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    return snapshot, plan


def workers_by_node(placed: Start | Earmark) -> Counter[NodeId]:
    """How many workers are on each node."""
    return Counter({node: workers for node, _, _, workers in placed.gang})


def scene(
    *runs: LiveRun, jobs: tuple[WaitingJob, ...] = (), nodes: int = 3, quotas: dict[GroupId, Quota] | None = None
) -> Pressed:
    """Runs and jobs in a pool of whole nodes."""
    by_class = {(group, GPU_CLASS): each for group, each in (quotas or {}).items()}
    return Pressed(by_class, tuple(node_at(number) for number in range(1, nodes + 1)), SHAPES, runs, jobs)


def waits(shape: ShapeId, number: int = 101, group: GroupId = OURS, **values: Any) -> WaitingJob:
    """A job of ours."""
    values = {"priority": 0, "submitted_ms": number, "save_ms": 30_000} | values
    return WaitingJob(id=JobId(number), group=group, shape=shape, **values)


def runs_on(number: int, group: GroupId, *nodes: int, shape: ShapeId = WIDE, **values: Any) -> LiveRun:
    """A run with one worker on each node."""
    gang = tuple((NodeId(node), 1) for node in nodes)
    return replace(moving(number, group, (shape, SHAPES[shape]), gang), **values)


def sizes(plan: Plan) -> list[tuple[int, list[int]]]:
    """With which nodes jobs go on whose runs change their size."""
    return [(size.job, sorted(workers_by_node(size))) for size in plan.sizes]


def reserving(*runs: LiveRun, jobs: tuple[WaitingJob, ...] = ()) -> Pressed:
    """Nodes 1 and 2 are reserved for a gang of ours, which waits for the second. The others are free where no run is."""
    ends = replace(runs_on(9, GroupId(5), 2, shape=WHOLE), checkpoints=False, expected_end_ms=NOW_MS + 3_600_000)
    shapes = SHAPES | {LEAFY: shape_of(2, NODE_GPUS, Topology.LEAF)}
    nodes = tuple(node_at(number, "x" if number < 3 else f"leaf-{number}") for number in range(1, 6))
    return Pressed({}, nodes, shapes, (ends, *runs), (waits(LEAFY), *jobs))


def part(node: int, rank: int = 0, workers: int = 1) -> tuple[NodeId, str, int, int]:
    """A part of a gang."""
    return NodeId(node), f"node-{node}", rank, workers


def laws(snapshot: Snapshot, plan: Plan) -> set[Law]:
    """What a plan breaks."""
    return {each.law for each in check_plan(snapshot, plan)}
