"""Nodes that are taken back: whoever runs on them is told in time, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from federations import OPEN_SITE, Facts, build, node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st
from lendings import HOUR_MS, NOW_MS, lending_federations, offer_of

from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.give_back import give_back
from scheduler.cycle.plan import Stop, StopCause
from scheduler.cycle.round import Round
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.recall import Recall, Reservation
from scheduler.model.site import SiteState

GRACE_MS = 30_000


def recalled(*, expected_end_ms: int | None = None, at_ms: int = NOW_MS) -> Federation:
    """Two nodes that each carry a run; the first is recalled by an hour from now."""
    shape = plain_shape(8)
    runs = tuple(
        replace(
            run_of(number, JobId(number), GroupId(4), shape, SiteId(1), "h100", ((NodeId(number), 1),)),
            grace_ms=GRACE_MS, expected_end_ms=expected_end_ms,
        )
        for number in (1, 2)
    )  # fmt: skip
    federation = build(Facts({}, (OPEN_SITE,), (node_of(1, 8), node_of(2, 8)), {}, (), runs))
    by_ms = NOW_MS + HOUR_MS
    recall = Recall(
        site=SiteId(1), gpu_class="h100", nodes=1, by_ms=by_ms, asked_ms=NOW_MS, node_ids=frozenset({NodeId(1)})
    )
    federation.set_lending([offer_of()], [recall], [])
    federation.lend(at_ms)
    return federation


def told(federation: Federation) -> tuple[Stop, ...]:
    """Who has to go now."""
    snapshot = federation.snapshot()
    return give_back(Round(snapshot)).stops


def test_a_run_is_told_when_its_grace_is_all_that_is_left() -> None:
    last_ms = NOW_MS + HOUR_MS - GRACE_MS
    assert told(recalled(at_ms=last_ms - 1)) == ()
    assert told(recalled(at_ms=last_ms)) == (Stop(RunId(1), JobId(1), StopCause.RECALLED, None, GRACE_MS),)


def test_one_that_is_over_by_then_is_left_alone() -> None:
    last_ms = NOW_MS + HOUR_MS - GRACE_MS
    assert told(recalled(at_ms=last_ms, expected_end_ms=NOW_MS + HOUR_MS)) == ()
    assert len(told(recalled(at_ms=last_ms, expected_end_ms=NOW_MS + HOUR_MS + 1))) == 1


def test_one_that_is_leaving_already_is_not_told_again() -> None:
    federation = recalled(at_ms=NOW_MS + HOUR_MS)
    federation.put_run(replace(federation.live_runs[RunId(1)], leaving=True))
    federation.lend(NOW_MS + HOUR_MS)
    assert told(federation) == ()


def test_a_plan_that_leaves_a_run_on_what_is_taken_back_or_ends_another_breaks_the_law() -> None:
    snapshot = recalled(at_ms=NOW_MS + HOUR_MS).snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    (stop,) = plan.stops
    wrong = replace(stop, run=RunId(2), job=JobId(2))
    for stops in ((), (stop, wrong)):
        assert {each.law for each in check_plan(snapshot, replace(plan, stops=stops))} == {Law.STOP}


def test_what_a_recalled_run_leaves_of_its_groups_share_is_claimed_in_the_same_round_and_by_no_later_one() -> None:
    """Two groups of equal weight on three nodes, of which one is taken back now: each has one of the two that stay."""
    shape, by_ms = plain_shape(8), NOW_MS + HOUR_MS
    on = {1: GroupId(4), 2: GroupId(6), 3: GroupId(6)}
    runs = tuple(
        run_of(number, JobId(number), group, shape, SiteId(1), "h100", ((NodeId(number), 1),))
        for number, group in on.items()
    )
    waiting = WaitingJob(id=JobId(9), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=9)
    nodes = tuple(node_of(number, 8) for number in on)
    federation = build(Facts({}, (OPEN_SITE,), nodes, {ShapeId(1): shape}, (waiting,), runs))
    recall = Recall(
        site=SiteId(1), gpu_class="h100", nodes=1, by_ms=by_ms, asked_ms=NOW_MS, node_ids=frozenset({NodeId(1)})
    )
    federation.set_lending([offer_of()], [recall], [])
    federation.lend(by_ms)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    assert [(stop.run, stop.cause, stop.preemptor) for stop in plan.stops] == [
        (RunId(1), StopCause.RECALLED, None),
        (RunId(2), StopCause.RECLAIMED, waiting.id),
    ]
    for stop in plan.stops:
        federation.put_run(replace(federation.live_runs[stop.run], leaving=True))
    (held,) = plan.earmarks
    gang = tuple((node, workers) for node, _, _, workers in held.gang)
    federation.put_earmark(Earmarked(job=waiting, site=held.site, gpu_class=held.gpu_class, gang=gang))
    federation.lend(by_ms)
    assert decide(federation.snapshot(), 0).stops == ()


def partly_recalled(*nodes: int, hold_seconds: int = 0, later: Sequence[int] = (), **values: Any) -> Federation:
    """Three nodes that one elastic run is on, which needs two; some are recalled by an hour from now, and it is told now.

    ``later`` ones are recalled by another hour.
    """
    wide = plain_shape(8, workers=2, workers_max=4)
    gang = tuple((NodeId(number), 1) for number in (1, 2, 3))
    run = run_of(1, JobId(1), GroupId(4), wide, SiteId(1), "h100", gang)
    again = WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0, save_ms=GRACE_MS)
    run = replace(run, grace_ms=GRACE_MS, checkpoints=True, returns_as=again).elastic_as(wide)
    there = tuple(node_of(number, 8) for number in range(1, 5))
    rules = PreemptionRules(minimum_run_ms=HOUR_MS)
    federation = build(Facts({}, (OPEN_SITE,), there, {ShapeId(1): wide}, (), (replace(run, **values),)), rules)
    recalls = [
        Recall(
            site=SiteId(1),
            gpu_class="h100",
            nodes=len(which),
            by_ms=by_ms,
            asked_ms=NOW_MS,
            node_ids=frozenset(map(NodeId, which)),
        )
        for which, by_ms in ((nodes, NOW_MS + HOUR_MS), (later, NOW_MS + 2 * HOUR_MS))
        if which
    ]
    federation.set_lending([replace(offer_of(), nodes=3, minimum_hold_seconds=hold_seconds)], recalls, [])
    federation.lend(NOW_MS + HOUR_MS - GRACE_MS)
    return federation


def test_an_elastic_run_leaves_what_is_taken_back_and_goes_on_on_the_rest() -> None:
    snapshot = partly_recalled(2).snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    assert [(stop.run, stop.cause, stop.preemptor) for stop in plan.stops] == [(1, StopCause.SHRUNK, None)]
    assert [[part[0] for part in size.gang] for size in plan.sizes] == [[1, 3]]


@pytest.mark.parametrize(
    ("nodes", "values"),
    [
        ((1, 2), {}),
        ((2,), {"workers_min": 3}),
        ((2,), {"workers_min": None, "workers_max": None}),
        ((2,), {"returns_as": None}),
        ((2,), {"later": (3,), "hold_seconds": 7200}),
    ],
    ids=[
        "too few are left",
        "it has none to spare",
        "it is not elastic",
        "it does not come back",
        "another is not lent for long enough",
    ],
)
def test_a_run_that_cannot_do_with_what_is_left_is_recalled(nodes: tuple[int, ...], values: dict[str, Any]) -> None:
    snapshot = partly_recalled(*nodes, **values).snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    assert ([stop.cause for stop in plan.stops], plan.sizes) == ([StopCause.RECALLED], ())


@pytest.mark.parametrize("values", [{"state": SiteState.CORDONED}, {"reachable": False}], ids=["cordoned", "silent"])
def test_an_elastic_run_is_recalled_where_its_site_takes_no_work_on_what_is_left(values: dict[str, Any]) -> None:
    federation = partly_recalled(2)
    federation.put_site(replace(OPEN_SITE, **values))
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    assert ([stop.cause for stop in plan.stops], plan.sizes) == ([StopCause.RECALLED], ())


def test_a_young_run_that_is_recalled_shrinks_like_any_other() -> None:
    assert [stop.cause for stop in told(partly_recalled(2, started_ms=NOW_MS + HOUR_MS - GRACE_MS))] == [
        StopCause.SHRUNK
    ]


def kept_for(group: int, *, from_ms: int, at_ms: int) -> Federation:
    """Two nodes that each carry a run of group 4; the first is reserved for a group."""
    shape = plain_shape(8)
    runs = tuple(
        replace(
            run_of(number, JobId(number), GroupId(4), shape, SiteId(1), "h100", ((NodeId(number), 1),)),
            grace_ms=GRACE_MS,
        )
        for number in (1, 2)
    )
    federation = build(Facts({}, (OPEN_SITE,), (node_of(1, 8), node_of(2, 8)), {}, (), runs))
    reservation = Reservation(
        site=SiteId(1), from_ms=from_ms, to_ms=None, reason="", node_ids=frozenset({NodeId(1)}), group=GroupId(group)
    )
    federation.set_lending([], [], [reservation])
    federation.lend(at_ms)
    return federation


@pytest.mark.parametrize("at_ms", [NOW_MS, NOW_MS + HOUR_MS - GRACE_MS, NOW_MS + HOUR_MS])
@pytest.mark.parametrize(("group", "stays"), [(2, True), (4, True), (5, False)])
def test_where_nodes_come_to_be_reserved_for_a_group_its_runs_stay_and_others_go_in_time(
    at_ms: int, group: int, stays: bool
) -> None:
    federation = kept_for(group, from_ms=NOW_MS + HOUR_MS, at_ms=at_ms)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == ()
    is_time = at_ms >= NOW_MS + HOUR_MS - GRACE_MS
    assert [stop.run for stop in plan.stops] == ([] if stays or not is_time else [1])


@given(lending_federations(), st.integers(0, 6 * 12))
def test_at_no_deadline_a_run_is_left(federation: Federation, steps: int) -> None:
    """Five minutes a round, every run that is told gone by its grace: none is on a node that is not lent."""
    now_ms = NOW_MS
    for _ in range(steps + 1):
        federation.lend(now_ms)
        snapshot = federation.snapshot()
        lent = {
            node: int(until)
            for pool in snapshot.pools.values()
            if pool.pool.until_ms is not None
            for node, until in zip(pool.node_ids, pool.pool.until_ms.tolist(), strict=True)
            if snapshot.nodes[node].healthy
        }
        if now_ms > NOW_MS:
            assert all(lent.get(node, NEVER_MS) > now_ms for run in snapshot.runs.values() for node, _ in run.gang)
        told = {stop.run for stop in decide(snapshot, 0).stops if stop.cause is StopCause.RECALLED}
        next_ms = now_ms + 60_000
        for run in list(snapshot.runs.values()):
            if run.id in told or (run.expected_end_ms is not None and run.expected_end_ms <= next_ms):
                federation.drop_run(run.id)
        now_ms = next_ms
