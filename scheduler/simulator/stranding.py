"""Free devices that no gang of a size can use where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scheduler.model.shape import Topology
from scheduler.model.site import Node

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

#: By level and block (devices), the stranded part of the free devices at every sample.
Stranding = Mapping[Topology, Mapping[int, FloatArray]]

#: How many names a path has that reaches the level.
_DEPTHS = {Topology.LEAF: 3, Topology.SPINE: 2}


def stranded(free: IntArray, block: int) -> FloatArray:
    """S(m) = 1 - m · Σ_d ⌊F_d / m⌋ / Σ_d F_d for each sample: the part of the free devices in no whole block of ``block`` = m
    devices within one domain. ``free`` is F, (domain, sample); 0 where nothing is free."""
    whole = block * (free // block).sum(axis=0)
    total = free.sum(axis=0)
    found: FloatArray = 1.0 - np.divide(whole, total, out=np.ones(free.shape[1]), where=total > 0)
    return found


def stranding_of(nodes: Sequence[Node], free: IntArray) -> Stranding:
    """S of all blocks that are powers of two: within nodes, and, above a node's size, within leaves and spines, if any.

    ``free`` is (node, sample), of all nodes, lent or not.
    """
    node_max = max(node.gpus for node in nodes)
    found: dict[Topology, Mapping[int, FloatArray]] = {
        Topology.NODE: {block: stranded(free, block) for block in _blocks(1, node_max)}
    }
    for level, depth in _DEPTHS.items():
        if not any(len(node.domain) >= depth for node in nodes):
            continue
        numbers: dict[object, int] = {}
        at = [numbers.setdefault((node.site_id, node.domain_at(level)), len(numbers)) for node in nodes]
        in_domain = np.zeros((len(numbers), free.shape[1]), dtype=np.int64)
        np.add.at(in_domain, at, free)
        sizes = np.bincount(at, weights=[node.gpus for node in nodes])
        found[level] = {block: stranded(in_domain, block) for block in _blocks(node_max, int(sizes.max()))}
    return found


def _blocks(above: int, most: int) -> list[int]:
    return [1 << power for power in range(above.bit_length(), most.bit_length())]
