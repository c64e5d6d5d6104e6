"""What one more GPU would be worth: nothing where nobody waits for it, and about the waiting that it would save where many do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from federations import OPEN_SITE, build, facts, group_facts, node_of, plain_shape, run_of
from federations import Facts as Given
from hypothesis import given
from lendings import HOUR_MS, offer_of

from scheduler.cycle.facts import Earmarked, LiveRun, WaitingJob
from scheduler.cycle.shadow_prices import ShadowPrices, shadow_prices
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.offer import Offer, Sector
from scheduler.model.shape import DataClass
from scheduler.model.site import Csap, SecurityGrade, Site, SiteState
from scheduler.model.site_refusal import SiteRefusal

NOW_MS = 10 * HOUR_MS
HERE, THERE = (SiteId(1), "h100"), (SiteId(2), "h100")
OTHER_SITE = replace(OPEN_SITE, id=SiteId(2), name="site-2")


def waiting(number: int, *, hours: float | None = 1.0, **values: object) -> WaitingJob:
    """One GPU of h100 for an hour."""
    job = WaitingJob(
        id=JobId(number),
        group=GroupId(4),
        shape=ShapeId(1),
        priority=0,
        submitted_ms=0,
        expected_ms=None if hours is None else int(hours * HOUR_MS),
    )
    return replace(job, **values)


def running(gpus: int, **values: object) -> LiveRun:
    """A run on the first node that began an hour ago."""
    run = run_of(1, JobId(900), GroupId(4), plain_shape(gpus), SiteId(1), "h100", ((NodeId(1), 1),))
    return replace(run, **({"started_ms": NOW_MS - HOUR_MS} | values))


def prices(
    jobs: Sequence[WaitingJob],
    *,
    sites: tuple[Site, ...] = (OPEN_SITE, OTHER_SITE),
    runs: tuple[LiveRun, ...] = (),
    gpus: int = 1,
    earmark: Earmarked | None = None,
    data_class: DataClass = DataClass.OPEN,
    there: str = "h100",
    offer: Offer | None = None,
) -> ShadowPrices:
    """Two sites of one node, the first of ``gpus``, the second of one GPU."""
    shape = replace(plain_shape(1), data_class=data_class)
    nodes = (node_of(1, gpus), replace(node_of(2, 1, site=2), gpu_class=there))
    federation = build(Given({}, sites, nodes, {ShapeId(1): shape, ShapeId(2): plain_shape(2)}, tuple(jobs), runs))
    if earmark is not None:
        federation.put_earmark(earmark)
    if offer is not None:
        groups = [replace(each, sector=Sector.RESEARCH) for each in group_facts()]
        federation.set_groups(groups, {})
        federation.set_lending([offer], [], [])
    federation.lend(NOW_MS)
    return shadow_prices(federation.snapshot(), waiting_max=100)


def test_gpus_that_nobody_waits_for_are_worth_nothing() -> None:
    assert prices([]).by_pool == {HERE: 0.0, THERE: 0.0}
    assert prices([], runs=(running(1),)).by_pool == {HERE: 0.0, THERE: 0.0}


def test_one_more_gpu_for_an_hour_spares_all_behind_it_that_hour() -> None:
    """Sixteen hours of work one after the other at one site: with one job less before them fifteen come an hour earlier."""
    found = prices([waiting(each, bound_site=SiteId(1)) for each in range(16)]).by_pool
    assert found is not None
    assert found[HERE] == pytest.approx(15.0, rel=0.1)
    assert found[THERE] == 0.0


def test_two_sites_that_serve_the_same_jobs_are_worth_the_same() -> None:
    found = prices([waiting(each) for each in range(16)]).by_pool
    assert found is not None
    assert found[HERE] == pytest.approx(found[THERE], rel=0.25)
    assert found[HERE] > 4.0


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"bound_site": SiteId(1)}, {}),
        ({"refusals": (SiteRefusal(site=SiteId(2), times=1, until_ms=NOW_MS + 1),)}, {}),
        ({"shape": ShapeId(2)}, {"gpus": 2}),
        ({}, {"there": "a100"}),
        (
            {},
            {
                "data_class": DataClass.SENSITIVE,
                "sites": (OPEN_SITE, replace(OTHER_SITE, security=SecurityGrade(csap=Csap.NONE, isolates_users=False))),
            },
        ),
        ({}, {"offer": offer_of(site=SiteId(2), nodes=1, sectors=(Sector.STARTUP,))}),
    ],
    ids=["checkpoint", "refusal", "size", "GPU class", "data class", "sector"],
)
def test_a_site_that_may_not_serve_those_who_wait_is_worth_nothing(
    values: dict[str, Any], setting: dict[str, Any]
) -> None:
    found = dict(prices([waiting(each, **values) for each in range(8)], **setting).by_pool or {})
    assert found.pop(HERE) > 1.0
    assert list(found.values()) == [0.0]


def test_a_site_that_takes_no_work_has_no_price() -> None:
    found = prices([waiting(1)], sites=(OPEN_SITE, replace(OTHER_SITE, state=SiteState.CORDONED))).by_pool
    assert found is not None
    assert set(found) == {HERE}


def test_gpus_that_runs_and_earmarks_hold_are_not_there_until_they_are_over() -> None:
    """Eight hours of work: with one of them done in the first hour seven come an hour earlier, and that one when it would
    have been its turn."""
    mine = [waiting(each, bound_site=SiteId(1)) for each in range(8)]
    earmark = Earmarked(job=waiting(90, hours=2.0), site=SiteId(1), gpu_class="h100", gang=((NodeId(1), 1),))
    for found, saved in (
        (prices(mine), 7.0),
        (prices(mine, runs=(running(1),)), 8.0),
        (prices(mine, runs=(running(1, started_ms=NOW_MS - 2 * HOUR_MS),)), 9.0),
        (prices(mine, runs=(running(1, predicted_ms=3 * HOUR_MS),)), 9.0),
        (prices(mine, earmark=earmark), 9.0),
    ):
        assert found.by_pool is not None
        assert found.by_pool[HERE] == pytest.approx(saved, rel=0.12)


def test_a_job_runs_for_its_walltime_where_nothing_like_it_is_known_and_is_left_out_without_one() -> None:
    jobs = [waiting(each, hours=None, walltime_ms=HOUR_MS, bound_site=SiteId(1)) for each in range(8)]
    found = prices([*jobs, waiting(9, hours=None)])
    assert found.by_pool is not None
    assert (found.waiting, found.without_time) == (9, 1)
    assert found.by_pool[HERE] > 4.0


def test_more_waiting_jobs_than_are_looked_at_have_no_price() -> None:
    found = prices([waiting(each) for each in range(101)])
    assert (found.waiting, found.by_pool) == (101, None)


@given(facts())
def test_every_open_pool_of_any_federation_has_a_price(drawn: Given) -> None:
    jobs = tuple(replace(job, expected_ms=HOUR_MS) for job in drawn.jobs)
    federation = build(replace(drawn, jobs=jobs))
    federation.lend(NOW_MS)
    found = shadow_prices(federation.snapshot(), waiting_max=100, iterations=2, bins=8)
    assert found.by_pool is not None
    assert all(price >= 0.0 for price in found.by_pool.values())
    assert found.without_time == 0
