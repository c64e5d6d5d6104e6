"""Leaves with a block: so many nodes take work, spares stand in for what is not well, and nothing is moved when it is again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from federations import OPEN_SITE, group_facts, node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st
from peer_scene import Scene

from quota.tree import Quota
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.federation import Federation
from scheduler.cycle.spares import spares
from scheduler.model.ids import GroupId, JobId, NodeId
from scheduler.model.site import Node

#: An NVL72 rack: 18 nodes of 4 GPUs, of which 16 are a block.
RACK, BLOCK, GPUS = 18, 16, 4
NVL72 = replace(OPEN_SITE, block_nodes={"h100": BLOCK})


def rack_node(number: int, *, healthy: bool = True, leaf: str = "rack") -> Node:
    return replace(node_of(number, GPUS), name=f"node-{number:02}", domain=("hall", "spine", leaf), healthy=healthy)


def rack_federation(nodes: Sequence[Node]) -> Federation:
    federation = Federation()
    federation.set_groups(group_facts(), {})
    federation.put_site(NVL72)
    for node in nodes:
        federation.put_node(node)
    return federation


def at_work(federation: Federation) -> set[int]:
    """The nodes that take work."""
    return {int(node.id) for node in federation.snapshot().nodes.values() if node.healthy}


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=RACK), st.integers(1, RACK))
def test_as_many_nodes_take_work_as_the_block_has_and_whoever_holds_anything(
    facts: list[tuple[bool, bool]], block: int
) -> None:
    nodes = [rack_node(number, healthy=well) for number, (well, _) in enumerate(facts)]
    held = {NodeId(number) for number, (_, holds) in enumerate(facts) if holds}
    out = spares(nodes, held, block)
    well = {node.id for node in nodes if node.healthy}
    assert out <= well - held
    assert len(well - out) == min(len(well), max(block, len(well & held)))


@given(st.lists(st.booleans(), max_size=RACK), st.integers(1, RACK))
def test_where_nothing_is_held_the_last_nodes_by_name_are_spares(well: list[bool], block: int) -> None:
    nodes = [rack_node(number, healthy=each) for number, each in enumerate(well)]
    taking = [node.id for node in nodes if node.healthy and node.id not in spares(nodes, (), block)]
    assert taking == [node.id for node in nodes if node.healthy][:block]


_EVENTS = st.lists(
    st.tuples(st.sampled_from(("fail", "repair", "forget", "start", "end")), st.integers(1, 12)), max_size=30
)


@given(_EVENTS, st.integers(1, 6), st.data())
def test_whatever_happened_spares_are_those_of_a_federation_told_the_same_at_once(
    events: list[tuple[str, int]], block: int, data: st.DataObject
) -> None:
    site = replace(NVL72, block_nodes={"h100": block})
    nodes = {number: rack_node(number, leaf=f"rack-{number % 2}") for number in range(1, 13)}
    federation = rack_federation(list(nodes.values()))
    federation.put_site(site)
    runs: dict[int, LiveRun] = {}
    for what, number in events:
        if what == "start" and number in nodes and number not in runs:
            gang = ((NodeId(number), 1),)
            runs[number] = run_of(number, JobId(number), GroupId(4), plain_shape(1), NVL72.id, "h100", gang)
            federation.put_run(runs[number])
        elif what == "end" and number in runs:
            federation.drop_run(runs.pop(number).id)
        elif what == "forget" and number in nodes:
            federation.remove_node(nodes.pop(number).id)
        elif what in ("fail", "repair"):
            nodes[number] = rack_node(number, healthy=what == "repair", leaf=f"rack-{number % 2}")
            federation.put_node(nodes[number])
        if data.draw(st.booleans()):
            federation.snapshot()
    fresh = rack_federation(list(nodes.values()))
    fresh.put_site(site)
    for run in runs.values():
        fresh.put_run(run)
    shown, told = federation.snapshot(), fresh.snapshot()
    assert shown.nodes == told.nodes
    assert shown.spares == told.spares
    for key, pool in told.pools.items():
        assert shown.pools[key].gpus == pool.gpus
        assert shown.pools[key].pool.gpus.tolist() == pool.pool.gpus.tolist()


def test_a_copy_has_its_own_spares() -> None:
    federation = rack_federation([rack_node(number) for number in range(1, RACK + 1)])
    twin = federation.copy()
    twin.put_node(rack_node(0))
    federation.put_node(rack_node(1, healthy=False))
    assert at_work(federation) == set(range(2, 18))
    assert at_work(twin) == set(range(16))


def test_a_site_without_blocks_has_no_spares_and_one_that_gives_them_up_has_none_any_more() -> None:
    federation = rack_federation([rack_node(number) for number in range(1, RACK + 1)])
    assert len(federation.snapshot().spares) == RACK - BLOCK
    federation.put_site(OPEN_SITE)
    assert not federation.snapshot().spares
    assert at_work(federation) == set(range(1, RACK + 1))


def rack_scene() -> Scene:
    """One rack, and a group that may have all of it."""
    scene = Scene([], {"group": Quota(guaranteed=RACK * GPUS)})
    scene.put_site(NVL72)
    for number in range(1, RACK + 1):
        scene.put_node(rack_node(number))
    return scene


def test_a_gang_of_sixteen_starts_again_on_its_rack_when_one_of_its_nodes_breaks() -> None:
    scene = rack_scene()
    scene.wait("gang", "group", GPUS, workers=16)
    scene.settle()
    scene.fail(3)
    assert scene.running("gang") == 0
    scene.settle()
    assert scene.running("gang") == 1


def test_small_work_leaves_the_spares_alone() -> None:
    scene = rack_scene()
    scene.wait("small", "group", GPUS, count=RACK)
    scene.settle()
    assert scene.running("small") == BLOCK


def test_a_node_that_is_well_again_waits_until_the_work_on_its_spare_is_over() -> None:
    scene = rack_scene()
    scene.fail(3)
    scene.wait("gang", "group", GPUS, workers=16)
    scene.settle()
    scene.repair(3)
    assert NodeId(3) in scene.federation.snapshot().spares
    scene.wait("small", "group", GPUS)
    scene.settle()
    assert scene.running("small") == 0
    scene.end("gang")
    assert NodeId(3) not in scene.federation.snapshot().spares
