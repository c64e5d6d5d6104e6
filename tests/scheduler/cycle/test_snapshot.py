"""Capacity: GPUs that may take work, and where nothing new starts those that are in use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from federations import OPEN_SITE, Facts, build, node_of, plain_shape, run_of

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.snapshot import Snapshot, takes_work
from scheduler.model.ids import GroupId, JobId, NodeId, SiteId
from scheduler.model.site import Node, Site, SiteState

SHUT = {
    "cordoned": replace(OPEN_SITE, state=SiteState.CORDONED),
    "draining": replace(OPEN_SITE, state=SiteState.DRAINING),
    "stopped": replace(OPEN_SITE, state=SiteState.STOPPED),
    "silent": replace(OPEN_SITE, reachable=False),
}


def run(number: int, gpus: int, node: int, site: int = 1) -> LiveRun:
    gang = ((NodeId(node), gpus),)
    return run_of(number, JobId(number), GroupId(4), plain_shape(1), SiteId(site), "h100", gang)


def seen(site: Site, nodes: tuple[Node, ...], *runs: LiveRun) -> Snapshot:
    """A federation of that site and of another one with four open GPUs, two of which are in use."""
    other = replace(OPEN_SITE, id=SiteId(2), name="site-2")
    always = (node_of(90, 4, site=2),), (run(90, 2, 90, site=2),)
    return build(Facts({}, (site, other), nodes + always[0], {}, (), runs + always[1])).snapshot()


def test_an_open_site_counts_whole_whatever_runs_there() -> None:
    assert takes_work(OPEN_SITE)
    assert seen(OPEN_SITE, (node_of(1, 8),)).capacity("h100") == 12
    assert seen(OPEN_SITE, (node_of(1, 8),), run(1, 3, 1)).capacity("h100") == 12


@pytest.mark.parametrize("site", SHUT.values(), ids=SHUT.keys())
def test_a_closed_site_counts_what_is_in_use_there_and_nothing_else(site: Site) -> None:
    assert not takes_work(site)
    assert seen(site, (node_of(1, 8),)).capacity("h100") == 4
    assert seen(site, (node_of(1, 8),), run(1, 3, 1)).capacity("h100") == 7
    assert seen(site, (node_of(1, 8),), run(1, 3, 1), run(2, 5, 1)).capacity("h100") == 12


def test_a_closed_site_counts_no_more_than_its_healthy_gpus() -> None:
    nodes = (node_of(1, 4), replace(node_of(2, 8), healthy=False))
    runs = run(1, 2, 1), run(2, 8, 2)
    assert seen(SHUT["cordoned"], nodes, *runs).capacity("h100") == 4 + 4


def test_sick_nodes_count_nowhere_and_classes_count_apart() -> None:
    nodes = (node_of(1, 8), replace(node_of(2, 8), healthy=False), replace(node_of(3, 2), gpu_class="a100"))
    snapshot = seen(OPEN_SITE, nodes)
    assert [snapshot.capacity(name) for name in ("h100", "a100", "b200")] == [12, 2, 0]
