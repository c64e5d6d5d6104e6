"""Topologies for tests of cells: one written as nested tables, and Hypothesis strategies for random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from quota.cell_shape import Level
from quota.packing import CellKind
from quota.topology import Domain, Node, Topology

GPU_CLASS, OTHER_CLASS = "h100", "a100"
NODE = CellKind(GPU_CLASS, Level.NODE, 1)


def leaf(nodes: int, gpu_class: str = GPU_CLASS) -> CellKind:
    """A leaf with at least so many nodes."""
    return CellKind(gpu_class, Level.LEAF, nodes)


def spine(nodes: int) -> CellKind:
    """A spine with at least so many nodes."""
    return CellKind(GPU_CLASS, Level.SPINE, nodes)


def spines(*sizes: Sequence[int]) -> Topology:
    """Build spines s0, s1, … of leaves s0l0, … of so many nodes s0l0n0, …"""
    domains, nodes = [], []
    for number, leaves in enumerate(sizes):
        domains.append(Domain(f"s{number}", Level.SPINE, None))
        for each, count in enumerate(leaves):
            domains.append(Domain(f"s{number}l{each}", Level.LEAF, f"s{number}"))
            nodes += [Node(f"s{number}l{each}n{node}", f"s{number}l{each}", GPU_CLASS) for node in range(count)]
    return Topology.build(domains, nodes)


@st.composite
def topologies(draw: st.DrawFn, *, nodes_max: int = 9, bad: bool = True) -> Topology:
    """Draw a forest: up to four levels above the nodes, domains that skip levels, leaves of any size, bad nodes."""
    domains = [Domain("d0", draw(st.sampled_from((Level.SITE, Level.HALL, Level.SPINE, Level.LEAF))), None)]
    for number in range(1, draw(st.integers(1, 7))):
        above = draw(st.none() | st.sampled_from([each for each in domains if each.level > Level.LEAF] or [None]))
        wider = [level for level in Level if Level.NODE < level < (above.level if above else Level.SITE)]
        domains.append(Domain(f"d{number}", draw(st.sampled_from(wider)), above.name if above else None))
    nodes = [
        Node(f"n{number}", draw(st.sampled_from(domains)).name, GPU_CLASS, not bad or draw(st.integers(0, 4)) > 0)
        for number in range(draw(st.integers(1, nodes_max)))
    ]
    return Topology.build(domains, nodes)


def crowded() -> st.SearchStrategy[Topology]:
    """Draw spines of leaves of healthy nodes, eight in all, in which most wishes can be met and get in each other's way."""
    shapes: list[list[list[int]]] = [
        [[2, 2], [2, 2]],
        [[1, 1], [1, 1], [1, 1], [1, 1]],
        [[3], [3], [2]],
        [[3, 1], [2], [2]],
        [[1, 2, 2], [3]],
        [[4], [2, 1], [1]],
    ]
    return st.sampled_from(shapes).map(lambda shape: spines(*shape))


def with_other(topology: Topology) -> Topology:
    """The same with a node of the other class in the first leaf of the first spine."""
    other = Node("other", "s0l0", OTHER_CLASS)
    return Topology.build(topology.domains.values(), [*topology.nodes.values(), other])


@st.composite
def of_both(draw: st.DrawFn, forests: st.SearchStrategy[Topology]) -> Topology:
    """Draw a forest in which a few nodes of the other class stand beside those that it has."""
    topology = draw(forests)
    tightest = sorted({node.domain for node in topology.nodes.values()})
    domains = draw(st.lists(st.sampled_from(tightest), min_size=2, max_size=4))
    others = [Node(f"other{number}", domain, OTHER_CLASS) for number, domain in enumerate(domains)]
    return Topology.build(topology.domains.values(), [*topology.nodes.values(), *others])


def kinds(*, nodes_max: int = 4) -> st.SearchStrategy[CellKind]:
    """Draw a kind of cells that small forests can have."""
    wide = st.builds(
        CellKind, st.just(GPU_CLASS), st.sampled_from((Level.LEAF, Level.SPINE, Level.HALL)), st.integers(1, nodes_max)
    )
    return st.just(NODE) | wide


#: Kinds of which crowded forests have some.
COMMON = st.sampled_from((NODE, NODE, leaf(1), leaf(2), leaf(3), spine(1), spine(2), spine(3)))
#: The same, and kinds of which forests of both classes have some.
COMMON_OF_BOTH = st.one_of(
    COMMON, COMMON, st.sampled_from((leaf(1, OTHER_CLASS), CellKind(OTHER_CLASS, Level.SPINE, 1)))
)


def wishes(
    *, cells_max: int = 3, common: st.SearchStrategy[CellKind] = COMMON
) -> st.SearchStrategy[Mapping[CellKind, int]]:
    """Draw a few cells of a few kinds, most of them ``common``."""
    return st.dictionaries(common | common | kinds(), st.integers(1, cells_max), min_size=1, max_size=4)
