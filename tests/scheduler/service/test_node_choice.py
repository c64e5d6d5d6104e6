"""Nodes are chosen at the least loss that there is, by an oracle that tries every choice."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.service.node_choice import choose_nodes, departures
from scheduler.store.nodes import NodeRow
from scheduler.store.runs import RunRow

NOW_MS = 1_000_000
DEADLINE_MS = NOW_MS + 100_000


def node(number: int, *, healthy: bool) -> NodeRow:
    """A node of eight GPUs."""
    return NodeRow(
        number, 1, f"n{number}", "default", "h100", 8, 64, 65_536, [], healthy, False, None, None, None, None, 1
    )


@st.composite
def run_on(draw: st.DrawFn, number: int, nodes: int) -> RunRow:
    """A run of one GPU a worker, somewhere, of some age, that may or may not be ended, saved or over in time."""
    where = draw(st.lists(st.integers(1, nodes), min_size=1, max_size=2, unique=True))
    stopping = draw(st.booleans()) and draw(st.booleans())
    values: dict[str, Any] = dict.fromkeys(RunRow.__slots__)
    values |= {
        "id": number, "job_id": 100 + number, "gang": [(each, f"n{each}", at, 1) for at, each in enumerate(where)],
        "gpus": len(where), "leased_ms": NOW_MS - draw(st.integers(0, 9)) * 100, "preemptible": draw(st.booleans()),
        "checkpoints": draw(st.booleans()), "grace_ms": draw(st.sampled_from([0, 150, 200_000])),
        "walltime_ms": draw(st.sampled_from([None, 90_000, 900_000])), "stop_cause": "requeued" if stopping else None,
    }  # fmt: skip
    return RunRow(**values)


@st.composite
def sites(draw: st.DrawFn) -> tuple[list[NodeRow], list[RunRow], int]:
    """A few nodes, the runs on them, and how many nodes are wanted."""
    count = draw(st.integers(1, 6))
    nodes = [node(number, healthy=draw(st.integers(0, 3)) > 0) for number in range(1, count + 1)]
    live = [draw(run_on(number, count)) for number in range(1, draw(st.integers(0, 6)) + 1)]
    return draw(st.permutations(nodes)), live, draw(st.integers(1, count))


def loss(chosen: frozenset[int], nodes: list[NodeRow], live: list[RunRow]) -> tuple[int, int, int]:
    """Unhealthy nodes in a choice, runs that may not be preempted and have to go, GPU-milliseconds lost: the less the better."""
    going = departures(live, chosen, DEADLINE_MS, NOW_MS)
    ages = [each.run.grace_ms if each.run.checkpoints else NOW_MS - each.run.leased_ms for each in going]
    lost = sum(age * each.run.gpus for age, each in zip(ages, going, strict=True))
    ill = sum(1 for each in nodes if each.id in chosen and not each.healthy)
    return ill, sum(not each.run.preemptible for each in going), lost


@given(sites())
def test_no_other_choice_loses_less(drawn: tuple[list[NodeRow], list[RunRow], int]) -> None:
    nodes, live, needed = drawn
    chosen = choose_nodes(nodes, live, needed, deadline_ms=DEADLINE_MS, now_ms=NOW_MS)
    assert len({each.id for each in chosen}) == len(chosen) == needed
    ids = frozenset(each.id for each in chosen)
    healthy = [each.id for each in nodes if each.healthy]
    ill = ids.difference(healthy)
    assert len(ill) == max(0, needed - len(healthy))
    others = (frozenset(each) | ill for each in combinations(healthy, needed - len(ill)))
    assert loss(ids, nodes, live) == min(loss(each, nodes, live) for each in others)


@given(sites())
def test_who_goes_is_who_stands_there_and_is_not_gone_by_then_told_in_time_for_its_grace(
    drawn: tuple[list[NodeRow], list[RunRow], int],
) -> None:
    _, live, _ = drawn
    going = {each.run.id: each for each in departures(live, {1, 2}, DEADLINE_MS, NOW_MS)}
    for run in live:
        over = run.stop_cause is not None or (run.walltime_ms or 10**9) + run.leased_ms <= DEADLINE_MS
        here = [name for number, name, _, _ in run.gang if number in (1, 2)]
        assert (run.id in going) == (bool(here) and not over)
        if run.id in going:
            assert list(going[run.id].nodes) == here
            assert going[run.id].told_ms == max(NOW_MS, DEADLINE_MS - run.grace_ms)
