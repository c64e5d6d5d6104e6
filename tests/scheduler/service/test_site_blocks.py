"""Blocks of a site's leaves: who sets them, and that a spare takes work as soon as a node of its block is not well."""

from __future__ import annotations

from typing import Any

import pytest
from callers import code_of, somebody
from runtime import ScriptedAgent, Stage, ended, node, runs_now

from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.wire import NodeReport
from scheduler.service.caller import Caller
from scheduler.service.site_blocks import clear_block, set_block
from scheduler.service.site_nodes import list_nodes
from scheduler.service.sites import show_site
from scheduler.store import events
from scheduler.store.sites import SiteRow

RACK = ("hall", "spine", "rack")


@pytest.fixture
def operator(agent: ScriptedAgent, administrator: Caller) -> Caller:
    """Who operates the site."""
    return somebody(administrator, sites=frozenset({agent.site_id}))


def rack(agent: ScriptedAgent, *, version: int, broken: str = "") -> None:
    """Three nodes behind one switch, of which one may be broken."""

    def report(name: str) -> NodeReport:
        return node(name, domain=RACK, healthy=name != broken)

    agent.report_nodes(*map(report, ("node-1", "node-2", "node-3")), version=version)


def set_two(stage: Stage, caller: Caller, gpu_class: str = "h100", why: str = "NVL72") -> SiteRow | Refusal:
    """Two nodes of each leaf are a block."""
    return stage.runtime.database.run(
        lambda transaction: set_block(transaction, stage.runtime, caller, "site-1", gpu_class, 2, why)
    )


def spares(stage: Stage, caller: Caller) -> list[str]:
    """The site's spares, as its operators see them."""
    views: Any = list_nodes(stage.runtime, caller, "site-1", aside=False)
    return [view.row.name for view in views if view.spare]


def test_a_spare_takes_work_as_soon_as_a_node_of_its_block_is_not_well(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    rack(agent, version=100)
    changed = set_two(stage, operator)
    assert not isinstance(changed, Refusal)
    assert changed.block_nodes == {"h100": 2}
    assert spares(stage, operator) == ["node-3"]
    group = stage.group()
    gang, small = [*stage.submit(group, workers=2, gpus_per_worker=8), *stage.submit(group)]
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(gang), 1))
    rack(agent, version=101, broken="node-2")
    agent.sync(ended(stage.run(gang), 1, 2, cause=EndCause.NODE_LOST, node="node-2"))
    assert stage.turn() == 1
    assert [part[1] for part in stage.run(gang).gang] == ["node-1", "node-3"]
    assert stage.job(small).state == "queued"
    assert spares(stage, operator) == []


def test_a_block_that_is_cleared_leaves_no_spares_and_both_are_written_down(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    rack(agent, version=100)
    set_two(stage, operator)
    site = stage.runtime.database.run(
        lambda transaction: clear_block(transaction, stage.runtime, operator, "site-1", "h100", "sold as three")
    )
    assert not isinstance(site, Refusal)
    assert site.block_nodes is None
    assert spares(stage, operator) == []
    with stage.runtime.database.read() as connection:
        told = [each for each in events.after(connection, 0).events if each.kind == "site.block"]
    assert [each.data for each in told] == [{"gpu_class": "h100", "nodes": 2}, {"gpu_class": "h100", "nodes": None}]


def test_only_those_who_run_a_site_set_its_blocks_and_they_say_why_and_of_which_class(
    stage: Stage, agent: ScriptedAgent, operator: Caller, administrator: Caller
) -> None:
    agent.report_nodes(node("node-1"))
    assert code_of(set_two(stage, somebody(administrator))) is ReasonCode.FORBIDDEN
    assert code_of(set_two(stage, operator, why=" ")) is ReasonCode.INVALID_FIELD
    assert code_of(set_two(stage, operator, gpu_class="h100x")) is ReasonCode.UNKNOWN_GPU_CLASS
    view = show_site(stage.runtime, operator, "site-1")
    assert not isinstance(view, Refusal)
    assert view.row.block_nodes is None
