"""Offers on a trace's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import cluster_of, row

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.asks import asks_of, offers_of
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace_offer import Cycle

HOUR_MS = 3_600_000
LENDER = cluster_of(4, 4, sites=("company", "company"))


@given(st.integers(0, 9), st.none() | st.integers(1, 9), st.none() | st.integers(0, 5), st.integers(0, 40))
def test_a_cycle_is_open_when_its_window_or_a_repetition_of_it_is(
    begin: int, length: int | None, pause: int | None, from_ms: int
) -> None:
    every = None if length is None or pause is None else length + pause
    cycle = Cycle(begin, None if length is None else begin + length, every)
    spells = list(takewhile(lambda spell: spell[0] < 100, cycle.spells(from_ms)))
    for at in range(from_ms, 100):
        since = at - begin
        into = since if every is None or since < 0 else since % every
        is_open = since >= 0 and (length is None or into < length)
        assert any(start <= at and (end is None or at < end) for start, end in spells) == is_open


def test_a_calendar_is_read_from_the_moment_at_which_the_trace_begins() -> None:
    nights = {"time_zone": "Asia/Seoul", "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}]}
    calendar = {**nights, "blackouts": ["2026-11-03"]}
    policy = {"begins": "2026-11-02T00:00:00+09:00", "offers": [{"site": "company", "nodes": 1, "calendar": calendar}]}
    (offer,) = offers_of(parse_policy(policy), LENDER)
    spells = offer.spells(0)
    # Monday's night ends at midnight, since nothing is lent on Tuesday; of Tuesday's the part on Wednesday is left.
    assert [next(spells), next(spells)] == [
        (19 * HOUR_MS, 24 * HOUR_MS),
        (48 * HOUR_MS, (48 + 8) * HOUR_MS),
    ]


def test_a_beginning_without_a_zone_is_utc() -> None:
    begins_ms = parse_policy({"begins": "2026-11-02T00:00:00"}).begins_ms
    assert begins_ms == int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"offers": [{"site": "company", "nodes": 1, "calendar": {"time_zone": "UTC"}, "to_seconds": 5}]}, "not both"),
        ({"offers": [{"site": "company", "nodes": 1, "every_seconds": 5}]}, "give its to_seconds"),
        ({"offers": [{"site": "company", "nodes": 1, "priority_floor": "top"}]}, "low, normal or high"),
        ({"offers": [{"site": "company", "nodes": 1, "gpu_class": "y"}]}, "choose one of the site's classes, x"),
        ({"offers": [{"site": "company", "nodes": 3}]}, "the site has 2 such nodes"),
        ({"maintenance": [{"site": "mars", "from_seconds": 5}]}, "the cluster's sites are company"),
        ({"maintenance": [{"site": "company", "at_seconds": 6, "from_seconds": 5}]}, "no earlier than at_seconds"),
        (
            {"grace_seconds": 9, "recalls": [{"site": "company", "nodes": 1, "at_seconds": 0, "by_seconds": 8}]},
            "leave runs their grace_seconds",
        ),
        ({"round_cost": "wall", "offers": [{"site": "company", "nodes": 1}]}, "rounds have to be on time"),
    ],
)
def test_what_lenders_cannot_do_is_refused_with_the_field(policy: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parsed = parse_policy(policy)
        list(offers_of(parsed, LENDER))
        asks_of(parsed, LENDER)


def test_a_lender_is_owed_the_rate_of_its_offer_for_what_ran_on_its_nodes() -> None:
    policy = {"offers": [{"site": "a", "nodes": 1, "rate": "5/4"}, {"site": "b", "nodes": 1}]}
    jobs = [row("a", 0, 3600, 2), row("b", 0, 1800, 2), row("c", 0, 3600, 4)]
    outcome = simulate(jobs, cluster_of(4, 4, sites=("a", "b")), parse_policy(policy))
    sites = {each.job.name: each.site for each in outcome.history.segments}
    hours = {"a": 2.0, "b": 1.0, "c": 4.0}
    owed = sum(hours[name] for name, site in sites.items() if site == 1) * 1.25
    assert owed > 0
    assert measure(outcome, bound=False).document["lender_credits"] == owed
    unpriced = simulate(jobs, cluster_of(4, 4, sites=("a", "b")), parse_policy({"offers": policy["offers"][1:]}))
    assert measure(unpriced, bound=False).document["lender_credits"] is None
