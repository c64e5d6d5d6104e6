"""Spares of a leaf: nodes that take no work until one of the leaf's block is not well.

An NVL72 rack has 18 nodes. Sixteen divide into halves, eighteen do not: gangs of powers of two would leave two nodes to small
work, which then stands where a gang's broken node could have been replaced. So a site says how many nodes of a leaf are a block
(``Site.block_nodes``), and the rest are spares. Which they are is worked out anew whenever something changes:

    Of the nodes that are well first come those that runs or earmarks hold, then the others, each by name. The first ``block``
    of these, and whoever holds anything, take work. The others are spares.

So a spare stands in as soon as a node of the block is not well. When that one is well again, it is a spare itself until the block
has room, and nothing is moved for it. To a round a spare is a node that is not well. No positions are kept: the nodes of a leaf
are alike, and a gang of ``2**k`` of them fits wherever so many are free.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace

from scheduler.model.ids import NodeId, SiteId
from scheduler.model.shape import Topology
from scheduler.model.site import Node, Site

#: A site, a GPU class, and the path of a leaf.
_Leaf = tuple[SiteId, str, tuple[str, ...]]


def at_work_at_most(nodes: Iterable[Node], sites: Mapping[SiteId, Site]) -> list[Node]:
    """Of nodes those that ever take work at one time, were all of them well: of each leaf with a block the largest."""
    found, by_leaf = [], defaultdict[_Leaf, list[Node]](list)
    for node in nodes:
        if node.gpu_class in sites[node.site_id].block_nodes:
            by_leaf[_leaf_of(node)].append(node)
        else:
            found.append(node)
    for (site, gpu_class, _), members in by_leaf.items():
        members.sort(key=lambda node: (node.gpus, node.cpus, node.memory_mib), reverse=True)
        found += members[: sites[site].block_nodes[gpu_class]]
    return found


def spares(nodes: Iterable[Node], held: Container[NodeId], block: int) -> frozenset[NodeId]:
    """Which nodes of one leaf take no work while so many do; ``held`` are those that runs or earmarks hold."""
    well = sorted((node for node in nodes if node.healthy), key=lambda node: (node.id not in held, node.name, node.id))
    return frozenset(node.id for node in well[block:] if node.id not in held)


class SpareKeeper:
    """The nodes as they were told, and which of them are spares. Not thread-safe."""

    def __init__(self) -> None:
        self._told: dict[NodeId, Node] = {}
        self._leaves: defaultdict[_Leaf, set[NodeId]] = defaultdict(set)
        self._blocks: dict[SiteId, Mapping[str, int]] = {}
        self._touched: set[_Leaf] = set()
        self._spares: frozenset[NodeId] = frozenset()

    def copy(self) -> SpareKeeper:
        """The same, which from now on changes by itself."""
        twin = SpareKeeper()
        twin._told, twin._blocks = self._told.copy(), self._blocks.copy()
        twin._leaves.update({leaf: nodes.copy() for leaf, nodes in self._leaves.items()})
        twin._touched, twin._spares = self._touched.copy(), self._spares
        return twin

    @property
    def spares(self) -> frozenset[NodeId]:
        """Nodes that take no work for it, as ``settle`` found last."""
        return self._spares

    def set_blocks(self, site: SiteId, block_nodes: Mapping[str, int]) -> None:
        """A site says by GPU class how many nodes of a leaf are a block."""
        before = self._blocks.get(site, {})
        if block_nodes != before:
            self._blocks[site] = block_nodes
            changed = {name for name in (*before, *block_nodes) if before.get(name) != block_nodes.get(name)}
            self._touched.update(leaf for leaf in self._leaves if leaf[0] == site and leaf[1] in changed)

    def put(self, node: Node) -> None:
        """Know a node, or what has changed of it; it is seen as it is told until ``settle``."""
        self.remove(node.id)
        self._told[node.id] = node
        self._leaves[_leaf_of(node)].add(node.id)
        self.touch(node.id)

    def remove(self, node_id: NodeId) -> None:
        """Forget a node."""
        if node_id in self._told:
            self.touch(node_id)
            self._leaves[_leaf_of(self._told.pop(node_id))].discard(node_id)
            if node_id in self._spares:
                self._spares -= {node_id}

    def touch(self, node_id: NodeId) -> None:
        """Something has come to hold a node, or holds it no more."""
        node = self._told.get(node_id) if self._blocks else None
        if node is not None and node.gpu_class in self._blocks.get(node.site_id, {}):
            self._touched.add(_leaf_of(node))

    def settle(self, held: Container[NodeId]) -> Iterator[Node]:
        """Work out the spares of every leaf where anything has changed; answer the nodes that are to be seen otherwise."""
        for leaf in sorted(self._touched):
            site, gpu_class, _ = leaf
            members = [self._told[node] for node in self._leaves[leaf]]
            block = self._blocks.get(site, {}).get(gpu_class)
            found = frozenset[NodeId]() if block is None else spares(members, held, block)
            before = self._spares.intersection(self._leaves[leaf])
            self._spares = (self._spares - before) | found
            for node in sorted(found ^ before):
                yield replace(self._told[node], healthy=False) if node in found else self._told[node]
        self._touched.clear()


def _leaf_of(node: Node) -> _Leaf:
    return node.site_id, node.gpu_class, node.domain_at(Topology.LEAF)
