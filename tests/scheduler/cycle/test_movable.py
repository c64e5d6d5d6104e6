"""Runs that may be moved, read in columns that are kept as runs come and go, are those that are found one by one."""

from __future__ import annotations

from elastic import elastic
from hypothesis import given
from hypothesis import strategies as st
from pressed import LEAVES, NOW_MS, Applied, Pressed, federation_of, pressed
from scattered import moving, node_at, scattered, shape_of

from scheduler.cycle.decide import decide
from scheduler.cycle.movable import MovableRuns
from scheduler.cycle.movable_oracle import movable_slowly
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import NodeId, RunId, ShapeId
from scheduler.placement.displace import Occupant


def kept(snapshot: Snapshot, going: frozenset[RunId]) -> list[list[list[Occupant]]]:
    """By pool and node, from columns."""
    round_ = Round(snapshot)
    movable = MovableRuns(round_, going)
    return [
        [movable.of(pool).on(node) for node in range(len(site_pool.node_ids))]
        for pool, site_pool in enumerate(round_.site_pools)
    ]


def told(snapshot: Snapshot, going: frozenset[RunId]) -> list[list[list[Occupant]]]:
    """The same one by one."""
    round_ = Round(snapshot)
    return [movable_slowly(round_, pool, going) for pool in range(len(round_.site_pools))]


@given(scattered() | elastic() | pressed(), st.integers(0, 3), st.booleans(), st.data())
def test_after_any_rounds_the_same_runs_may_be_moved_and_what_was_shown_before_stays_as_it_was(
    facts: Pressed, rounds: int, is_copied: bool, data: st.DataObject
) -> None:
    federation = federation_of(facts)
    shown: list[Snapshot] = []
    applied = Applied(facts, federation)
    for number in range(rounds):
        federation.lend(NOW_MS + 60_000 * number)
        snapshot = federation.snapshot()
        shown.append(snapshot)
        applied.apply(snapshot, decide(snapshot, 0))
        applied.end_leaving()
        federation.remove_node(facts.nodes[number % len(facts.nodes)].id)
    for run in facts.runs[:1]:
        federation.drop_run(run.id)
    federation.lend(NOW_MS + 60_000 * rounds)
    shown.append((federation.copy() if is_copied else federation).snapshot())
    for each in shown:
        going = frozenset(data.draw(st.sets(st.sampled_from(sorted(each.runs)))) if len(each.runs) else ())
        assert kept(each, going) == told(each, going)


@given(scattered(), st.data())
def test_what_they_hold_is_counted_on_every_node_and_less_of_those_that_are_dropped(
    facts: Pressed, data: st.DataObject
) -> None:
    federation = federation_of(facts)
    round_ = Round(federation.snapshot())
    movable = MovableRuns(round_, frozenset()).of(0)
    slow = movable_slowly(round_, 0, frozenset())
    some = sorted({each.run for here in slow for each in here})
    dropped = data.draw(st.sets(st.sampled_from(some))) if some else set()
    for run in dropped:
        movable.drop(next(each for here in slow for each in here if each.run == run))
    for node, here in enumerate(slow):
        left = [each for each in here if each.run not in dropped]
        assert movable.on(node) == left
        parts = [(each, workers) for each in left for at, workers in each.parts if at == node]
        for amount in range(3):
            assert movable.held[amount, node] == sum(each.amounts[amount] * workers for each, workers in parts)
        assert movable.cost[node] == sum(each.cost for each in left)


def test_columns_are_written_anew_when_most_of_their_runs_are_gone() -> None:
    shape_id, shape = ShapeId(1), shape_of(1, 1)
    runs = tuple(
        moving(number, LEAVES[0], (shape_id, shape), ((NodeId(number), 1), (NodeId(3 - number), 1)))
        for number in (1, 2)
    )
    federation = federation_of(Pressed({}, (node_at(1), node_at(2)), {shape_id: shape}, runs, ()))
    before = federation.snapshot()
    expected = told(before, frozenset())
    for _ in range(300):
        federation.put_run(runs[0])
    after = federation.snapshot()
    (pool,) = after.pools.values()
    assert pool.runs.columns.shape[1] == pool.runs.parts.shape[1] // 2 == 128
    assert kept(before, frozenset()) == kept(after, frozenset()) == expected
