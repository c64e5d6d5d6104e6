"""What lenders get of what they ask for."""

from __future__ import annotations

from typing import Any

from simulations import cluster_of, row

from scheduler.simulator.policy import parse_policy
from scheduler.simulator.simulation import simulate

SITES = ("company", "company", "company")


def granted(offers: list[dict[str, Any]], recall: dict[str, Any]) -> tuple[int, int]:
    """Nodes asked for and granted of three nodes of which the first has a run from the start to the end."""
    policy = {
        "offers": [{"site": "company", "minimum_hold_seconds": 0, **each} for each in offers],
        "recalls": [{"site": "company", **recall}],
        "minimum_run_seconds": 0,
    }
    cluster = cluster_of(4, 4, 4, sites=SITES)
    return simulate([row("long", 0, 500, 4)], cluster, parse_policy(policy)).history.recalled_nodes


def test_no_more_is_recalled_than_is_lent_with_a_notice() -> None:
    offers = [{"nodes": 1, "notice_seconds": 5}, {"nodes": 2, "notice_seconds": "none"}]
    assert granted(offers, {"nodes": 3, "at_seconds": 10, "by_seconds": 15}) == (3, 1)


def test_nothing_is_recalled_before_its_notice_is_over() -> None:
    offers = [{"nodes": 3, "notice_seconds": 60}]
    assert granted(offers, {"nodes": 1, "at_seconds": 10, "by_seconds": 69}) == (1, 0)
    assert granted(offers, {"nodes": 1, "at_seconds": 10, "by_seconds": 70}) == (1, 1)


def test_a_node_is_not_recalled_while_a_run_has_its_hold() -> None:
    offers = [{"nodes": 3, "notice_seconds": 0, "minimum_hold_seconds": 100}]
    assert granted(offers, {"nodes": 3, "at_seconds": 10, "by_seconds": 99}) == (3, 2)
    assert granted(offers, {"nodes": 3, "at_seconds": 10, "by_seconds": 100}) == (3, 3)


def test_a_window_that_is_shut_at_the_deadline_has_nothing_to_recall() -> None:
    offers = [{"nodes": 2, "to_seconds": 50}, {"nodes": 1}]
    assert granted(offers, {"nodes": 3, "at_seconds": 0, "by_seconds": 600}) == (3, 1)


def test_a_site_without_offers_gives_back_whatever_is_asked_for() -> None:
    assert granted([], {"nodes": 2, "at_seconds": 10, "by_seconds": 10}) == (2, 2)
