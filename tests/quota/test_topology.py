"""Forests of domains: what makes one, and what they answer."""

from __future__ import annotations

import pytest
from cell_forests import GPU_CLASS, spines, topologies
from hypothesis import given

from quota.cell_shape import Level
from quota.errors import TopologyError
from quota.packing_oracle import around, healthy
from quota.topology import Domain, Node, Topology


@given(topologies())
def test_a_forest_knows_each_domain_as_its_nodes_tell(topology: Topology) -> None:
    forest = topology.of_class(GPU_CLASS)
    for place, name in enumerate(forest.names):
        assert forest.healthy[place] == healthy(topology, name, GPU_CLASS) == forest.forms[forest.form[place]].healthy
        assert [forest.names[each] for each in forest.path(place)] == around(topology, name)
        inside = sorted(node for node in topology.nodes if name in around(topology, node))
        assert [forest.names[each] for each in forest.within(place)] == inside


@given(topologies())
def test_domains_without_a_node_of_the_class_are_left_out(topology: Topology) -> None:
    needed = {name for node in topology.nodes for name in around(topology, node)}
    assert set(topology.of_class(GPU_CLASS).names) == needed
    assert topology.of_class("b200").names == ()


def test_domains_that_look_alike_have_one_form_and_a_bad_node_makes_another() -> None:
    forest = spines([2, 2], [2, 2], [2, 1]).of_class(GPU_CLASS)
    form = {name: forest.form[place] for place, name in enumerate(forest.names)}
    assert form["s0"] == form["s1"] != form["s2"]
    ailing = spines([2, 2], [2, 2], [2, 1]).with_bad({"s1l0n1"}).of_class(GPU_CLASS)
    form = {name: ailing.form[place] for place, name in enumerate(ailing.names)}
    assert form["s1"] == form["s2"] != form["s0"]


def test_free_are_the_widest_domains_beside_held_ones() -> None:
    forest = spines([2, 2], [1, 1]).of_class(GPU_CLASS)
    free = forest.free([forest.positions["s0l1n0"]])
    assert [forest.names[place] for place in free] == ["s0l0", "s0l1n1", "s1"]


def test_classes_have_forests_of_their_own() -> None:
    leaf = Domain("leaf", Level.LEAF, None)
    topology = Topology.build([leaf], [Node("a", "leaf", "a100"), Node("b", "leaf", "b200")])
    assert topology.of_class("a100").names == ("a", "leaf")


@pytest.mark.parametrize(
    ("domains", "nodes", "what"),
    [
        ([Domain("a", Level.LEAF, None)] * 2, [], "domain a is given twice"),
        ([Domain("a", Level.NODE, None)], [], "level of a node"),
        ([Domain("a", Level.LEAF, "b")], [], "unknown domain b"),
        ([Domain("a", Level.HALL, None), Domain("b", Level.HALL, "a")], [], "no narrower than a"),
        ([Domain("a", Level.LEAF, None)], [Node("a", "a", GPU_CLASS)], "name of node a is given twice"),
        ([], [Node("a", "b", GPU_CLASS)], "unknown domain b"),
    ],
)
def test_what_makes_no_forest_is_named(domains: list[Domain], nodes: list[Node], what: str) -> None:
    with pytest.raises(TopologyError, match=what):
        Topology.build(domains, nodes)


def test_only_nodes_that_are_there_can_be_bad() -> None:
    with pytest.raises(TopologyError, match="nope"):
        spines([1]).with_bad({"nope"})
