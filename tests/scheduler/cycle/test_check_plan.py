"""Every bound of a plan to the unit: what lies exactly at it is lawful, one more is not, and the law that it breaks is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from federations import OPEN_SITE, Facts, build, node_of, plain_shape, run_of

from quota.tree import Quota
from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.plan import Plan, Start
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.site import Node, Site, SiteState


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A federation in which group 4 may start a gang of ``most`` one-GPU workers on node 1, and not of one more."""

    most: int
    law: Law
    detail: str
    quotas: dict[int, Quota]
    nodes: tuple[Node, ...] = (node_of(1, 16),)
    sites: tuple[Site, ...] = (OPEN_SITE,)
    runs: tuple[LiveRun, ...] = ()
    preemptible: bool = True
    starts: Callable[[int], tuple[int, ...]] = lambda gpus: (gpus,)


def held(group: int, gpus: int, *, node: int = 2, site: int = 1) -> tuple[LiveRun, ...]:
    """A run of a group."""
    gang = ((NodeId(node), gpus),)
    return (run_of(node, JobId(900 + node), GroupId(group), plain_shape(1), SiteId(site), "h100", gang),)


ELSEWHERE = node_of(2, 16)
SHUT = replace(OPEN_SITE, id=SiteId(2), name="site-2", state=SiteState.CORDONED)
BOUNDS = {
    "GPUs of a node": Bound(
        most=4, law=Law.NODE_OVERFULL, detail="node node-1 would hold (5, 5, 5)", quotas={},
        nodes=(node_of(1, 4), ELSEWHERE),
    ),
    "CPUs of a node": Bound(
        most=4, law=Law.NODE_OVERFULL, detail="node node-1 would hold (5, 5, 5)", quotas={},
        nodes=(node_of(1, 16, cpus=4),),
    ),
    "memory of a node": Bound(
        most=4, law=Law.NODE_OVERFULL, detail="node node-1 would hold (5, 5, 5)", quotas={},
        nodes=(node_of(1, 16, memory_mib=4),),
    ),
    "what runs leave of a node": Bound(
        most=4, law=Law.NODE_OVERFULL, detail="node node-1 would hold (8, 8, 8)", quotas={},
        nodes=(node_of(1, 7), ELSEWHERE), runs=held(6, 3, node=1),
    ),
    "two gangs on one node": Bound(
        most=4, law=Law.NODE_OVERFULL, detail="node node-1 would hold (5, 5, 5)", quotas={},
        nodes=(node_of(1, 4), ELSEWHERE), starts=lambda gpus: (gpus - 1, 1),
    ),
    "capacity, of which a run on a dead node has a part": Bound(
        most=4, law=Law.QUOTA, detail="group 1 would hold 7 of h100", quotas={},
        nodes=(node_of(1, 6), replace(ELSEWHERE, healthy=False)), runs=held(6, 2),
    ),
    "capacity, to which a closed site adds what runs there": Bound(
        most=15, law=Law.QUOTA, detail="group 1 would hold 20 of h100", quotas={},
        nodes=(node_of(1, 16), node_of(2, 8, site=2), node_of(3, 16, site=2), replace(node_of(4, 16), healthy=False)),
        sites=(OPEN_SITE, SHUT), runs=held(6, 3, site=2) + held(6, 1, node=4),
    ),
    "the federation's limit": Bound(
        most=4, law=Law.QUOTA, detail="group 1 would hold 5 of h100", quotas={1: Quota(limit=4)},
    ),
    "a group's own limit": Bound(
        most=4, law=Law.QUOTA, detail="group 4 would hold 5 of h100", quotas={4: Quota(limit=4)},
    ),
    "a limit above, of which a sibling uses a part": Bound(
        most=4, law=Law.QUOTA, detail="group 2 would hold 7 of h100", quotas={2: Quota(limit=6)},
        nodes=(node_of(1, 16), ELSEWHERE), runs=held(5, 2),
    ),
    "two gangs under one limit": Bound(
        most=4, law=Law.QUOTA, detail="group 4 would hold 5 of h100", quotas={4: Quota(limit=4)},
        starts=lambda gpus: (2, gpus - 2),
    ),
    "the guarantee and the borrowing limit": Bound(
        most=5, law=Law.QUOTA, detail="group 4 would hold 6 of h100",
        quotas={2: Quota(guaranteed=3), 4: Quota(guaranteed=3, borrowing_limit=2)},
    ),
    "a borrowing limit above": Bound(
        most=5, law=Law.QUOTA, detail="group 2 would hold 6 of h100",
        quotas={2: Quota(guaranteed=3, borrowing_limit=2), 4: Quota(guaranteed=3)},
    ),
    "what another branch does not lend": Bound(
        most=13, law=Law.QUOTA, detail="group 1 would hold 17 of h100",
        quotas={3: Quota(guaranteed=5, lending_limit=2)},
    ),
    "what a sibling does not lend below one limit": Bound(
        most=4, law=Law.QUOTA, detail="group 2 would hold 8 of h100",
        quotas={2: Quota(guaranteed=5, limit=7), 5: Quota(guaranteed=5, lending_limit=2)},
    ),
    "what is not lent and is in use is counted once": Bound(
        most=13, law=Law.QUOTA, detail="group 1 would hold 17 of h100",
        quotas={3: Quota(guaranteed=5, lending_limit=2)},
        nodes=(node_of(1, 14), node_of(2, 2)), runs=held(6, 2),
    ),
    "the guarantee of what cannot be preempted": Bound(
        most=3, law=Law.GUARANTEE, detail="group 4 would run 4 that cannot be preempted",
        quotas={2: Quota(guaranteed=3), 4: Quota(guaranteed=3)}, preemptible=False,
    ),
    "what is left of the guarantee of what cannot be preempted": Bound(
        most=3, law=Law.GUARANTEE, detail="group 4 would run 4 that cannot be preempted",
        quotas={2: Quota(guaranteed=5), 4: Quota(guaranteed=5)},
        nodes=(node_of(1, 16), ELSEWHERE), runs=held(4, 2), preemptible=False,
    ),
}  # fmt: skip


def found(bound: Bound, gpus: int) -> set[tuple[Law, str]]:
    """What is wrong with starting so many, in as many gangs as the bound speaks of."""
    gangs = bound.starts(gpus)
    shapes = {
        ShapeId(number): plain_shape(1, workers=workers, preemptible=bound.preemptible)
        for number, workers in enumerate(gangs, start=1)
    }
    jobs = tuple(
        WaitingJob(id=JobId(each), group=GroupId(4), shape=each, priority=0, submitted_ms=0) for each in shapes
    )
    quotas = {(GroupId(group), "h100"): quota for group, quota in bound.quotas.items()}
    snapshot = build(Facts(quotas, bound.sites, bound.nodes, shapes, jobs, bound.runs)).snapshot()
    starts = tuple(
        Start(JobId(each), GroupId(4), each, SiteId(1), "h100", ((NodeId(1), "node-1", 0, shape.workers),))
        for each, shape in shapes.items()
    )
    plan = Plan(starts=starts, verdicts=(), seed=0)
    return {(violation.law, violation.detail) for violation in check_plan(snapshot, plan)}


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS.keys())
def test_what_reaches_a_bound_is_lawful_and_one_more_breaks_the_law_of_that_bound(bound: Bound) -> None:
    assert found(bound, bound.most) == set()
    assert found(bound, bound.most + 1) == {(bound.law, bound.detail)}


@pytest.mark.parametrize("workers", [3, 5])
def test_a_gang_has_its_workers_and_neither_one_less_nor_one_more(workers: int) -> None:
    shapes = {ShapeId(1): plain_shape(1, workers=4)}
    jobs = (WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0),)
    snapshot = build(Facts({}, (OPEN_SITE,), (node_of(1, 16),), shapes, jobs)).snapshot()

    def broken(count: int) -> list[Law]:
        start = Start(JobId(1), GroupId(4), ShapeId(1), SiteId(1), "h100", ((NodeId(1), "node-1", 0, count),))
        plan = Plan(starts=(start,), verdicts=(), seed=0)
        return [violation.law for violation in check_plan(snapshot, plan)]

    assert broken(4) == []
    assert broken(workers) == [Law.WRONG_GANG]
