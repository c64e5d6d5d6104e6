"""Another number of workers that a gang may not have is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from elastic_scenes import (
    LEAFY,
    OURS,
    THEIRS,
    WHOLE,
    WIDE,
    decided,
    laws,
    part,
    reserving,
    runs_on,
    scene,
    waits,
)
from pressed import NOW_MS, federation_of
from scattered import node_at

from quota.tree import Quota
from scheduler.cycle.check_plan import Law
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import JobId, NodeId, RunId


@pytest.fixture
def shrunk() -> tuple[Snapshot, Plan]:
    return decided(scene(runs_on(1, OURS, 1, 2, 3), jobs=(waits(WHOLE),)))


@pytest.fixture
def grown() -> tuple[Snapshot, Plan]:
    return decided(scene(runs_on(1, OURS, 1), nodes=5))


@pytest.mark.parametrize(
    "wrong",
    [
        {"gang": ()},
        {"gang": (part(1), part(2, 1), part(3, 2))},
        {"gang": (part(2, 1),)},
        {"gang": (part(1, 0, 2),)},
        {"gang": (part(9),)},
        {"group": THEIRS},
        {"shape": WHOLE},
        {"job": JobId(2)},
        {"gpu_class": "a100"},
    ],
    ids=str,
)
def test_a_run_that_shrinks_to_what_it_may_not_be_is_told(shrunk: tuple[Snapshot, Plan], wrong: dict[str, Any]) -> None:
    snapshot, plan = shrunk
    (size,) = plan.sizes
    assert Law.SIZE in laws(snapshot, replace(plan, sizes=(replace(size, **wrong),)))


@pytest.mark.parametrize(
    "gang",
    [(part(1),), (part(2), part(3, 1)), (part(1), part(2, 1), part(3, 2), part(4, 3))],
    ids=["as it was", "elsewhere", "too many"],
)
def test_a_run_that_grows_to_what_it_may_not_be_is_told(
    grown: tuple[Snapshot, Plan], gang: tuple[tuple[NodeId, str, int, int], ...]
) -> None:
    snapshot, plan = grown
    (size,) = plan.sizes
    assert laws(snapshot, replace(plan, sizes=(replace(size, gang=gang),))) == {Law.SIZE}


def test_growth_onto_a_reserved_node_is_told() -> None:
    snapshot, plan = decided(reserving(runs_on(1, THEIRS, 4), runs_on(2, THEIRS, 5, shape=WHOLE, checkpoints=False)))
    (size,) = plan.sizes
    there = replace(size, gang=(part(4), part(1, 1)))
    assert Law.SIZE in laws(snapshot, replace(plan, sizes=(there,)))
    assert laws(snapshot, plan) == set()


def test_a_run_that_is_stopped_to_go_on_nowhere_is_told(grown: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = grown
    assert laws(snapshot, replace(plan, sizes=())) == {Law.SIZE}
    assert Law.SIZE in laws(snapshot, replace(plan, stops=()))


def test_growth_onto_nodes_that_are_full_or_above_a_bound_is_told(grown: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = grown
    full = {each: replace(node, gpus=0) if each != NodeId(1) else node for each, node in snapshot.nodes.items()}
    assert laws(replace(snapshot, nodes=full), plan) == {Law.NODE_OVERFULL}
    facts = scene(runs_on(1, OURS, 1), nodes=5, quotas={OURS: Quota(limit=8)})
    federation = federation_of(facts)
    federation.lend(NOW_MS)
    assert laws(federation.snapshot(), plan) == {Law.QUOTA}


def test_a_start_with_more_or_fewer_workers_than_its_job_takes_is_told() -> None:
    snapshot, plan = decided(scene(jobs=(waits(WIDE),), nodes=5))
    (start,) = plan.starts
    four = replace(start, gang=tuple(part(node, node - 1) for node in range(1, 5)))
    assert laws(snapshot, replace(plan, starts=(four,))) == {Law.WRONG_GANG}


def test_elastic_starts_in_two_domains_of_the_level_that_they_require_are_told() -> None:
    nodes = tuple(node_at(number, "x" if number < 2 else "y") for number in range(1, 4))
    snapshot, plan = decided(replace(scene(jobs=(waits(LEAFY),)), nodes=nodes))
    (start,) = plan.starts
    both = replace(start, gang=(part(1), part(2, 1)))
    assert laws(snapshot, replace(plan, starts=(both,))) == {Law.SIZE}


def test_a_run_that_shrinks_for_a_job_of_lower_priority_is_told(shrunk: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = shrunk
    higher = {number: replace(run, priority=1) for number, run in snapshot.runs.items()}
    assert laws(replace(snapshot, runs=higher), plan) == {Law.STOP}


def test_a_run_that_is_shrunk_for_nobody_is_told(shrunk: tuple[Snapshot, Plan]) -> None:
    snapshot, plan = shrunk
    (stop,) = plan.stops
    assert Law.STOP in laws(snapshot, replace(plan, stops=(replace(stop, preemptor=None),)))
    assert RunId(1) == stop.run
