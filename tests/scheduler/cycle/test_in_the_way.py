"""Runs that might be ended for others, read in columns, are those that are found one by one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from pressed import GPU_CLASS, MINIMUM_RUN_MS, NOW_MS, Applied, Pressed, federation_of, pressed

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.in_the_way import InTheWay
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import RunId, SiteId
from scheduler.placement.displace import Occupant
from scheduler.placement.victims import lost_work


def in_turn(snapshot: Snapshot, going: frozenset[RunId]) -> list[tuple[LiveRun, int]]:
    """Those that may be ended with what each costs, one by one, in the order of ``dearness``."""
    runs = [
        run
        for run in snapshot.runs.values()
        if run.gpu_class == GPU_CLASS
        and run.preemptible
        and not run.leaving
        and run.started_ms <= NOW_MS - MINIMUM_RUN_MS
        and run.id not in going
    ]

    def lost(run: LiveRun) -> int:
        return lost_work(NOW_MS - run.started_ms, None, run.checkpoints, 1, run.grace_ms)

    def cost(run: LiveRun) -> int:
        below = [each for each in runs if each.group == run.group and each.priority < run.priority]
        return max(lost(each) for each in [run, *below])

    turns = sorted(runs, key=lambda run: (cost(run), run.priority, lost(run), run.id))
    return [(run, cost(run) * run.gpus) for run in turns]


@given(pressed(), st.booleans(), st.booleans(), st.data())
def test_columns_have_the_runs_that_may_be_ended_in_turn_with_what_they_cost_and_where_they_lie(
    facts: Pressed, is_after_a_round: bool, has_strays: bool, data: st.DataObject
) -> None:
    federation = federation_of(facts)
    if is_after_a_round:
        applied = Applied(facts, federation)
        snapshot = federation.snapshot()
        applied.apply(snapshot, decide(snapshot, 0))
    for run in facts.runs[:2] if has_strays else ():
        federation.put_run(replace(federation.live_runs[run.id], site=SiteId(2), leaving=False))
    for node in facts.nodes[1:2]:
        federation.remove_node(node.id)
    snapshot = federation.snapshot()
    going = frozenset(data.draw(st.sets(st.sampled_from(sorted(snapshot.runs)))) if len(snapshot.runs) else ())
    round_ = Round(snapshot)
    way = InTheWay(snapshot, round_.site_pools, GPU_CLASS, round_.usages[GPU_CLASS], going)
    expected = in_turn(snapshot, going)
    occupants = [way.occupant(number, 0) for number in range(len(way))]
    index = round_.site_pools[0].index
    for (run, cost), occupant in zip(expected, occupants, strict=True):
        parts = [(index[node], workers) for node, workers in run.gang if node in index and run.site == SiteId(1)]
        amounts = run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker
        assert occupant == Occupant(run.id, cost, amounts, tuple(parts))
        assert way.run(occupant.run) == run
    columns = way.columns
    for number, occupant in enumerate(occupants):
        here = slice(columns.first[number], columns.first[number + 1])
        lying = zip(
            columns.pool[here].tolist(), columns.node[here].tolist(), columns.workers[here].tolist(), strict=True
        )
        assert list(lying) == [(0, *part) for part in occupant.parts]
        assert columns.held[number] == expected[number][0].gpus
        position = round_.usages[GPU_CLASS].tree.position(expected[number][0].group)
        assert columns.position[number] == position
    dearest = sorted(range(len(way)), key=lambda number: (-occupants[number].cost, -occupants[number].run))
    assert [int(columns.dearness[number]) for number in dearest] == list(range(len(way)))
