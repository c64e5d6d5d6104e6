"""A leaf as one block with spares, and where in it a gang of whole nodes sits so that large gangs still find room.

An NVL72 rack has 18 nodes. Sixteen divide into halves, eighteen do not: so 16 are a block, and 2 are spares. The rule:

1. Of the leaf's nodes by name the first ``size`` hold the block's positions. The place of a node that is not well goes to the
   first spare by name that is, and holds none. So never more than ``size`` nodes are had of the leaf.
2. A gang of up to ``2**k`` nodes sits on positions of one aligned part: ``2**k`` positions that begin at a multiple of ``2**k``.
   Of those with enough free positions it gets the one in whose part of twice the length fewest positions are free, then of four
   times the length and so on, ties by the lower positions. Inside it takes the lowest free ones.

That is the buddy system with best fit (Knuth, The Art of Computer Programming 1, 2.5). While gangs of powers of two come to an
empty block and none ends, no two free parts of one length remain, since each is taken out of the shortest free part that
holds it. So such a gang finds an aligned part as long as so many positions are free at all.
"""

from __future__ import annotations

import numpy as np

from scheduler.placement.pool import BoolArray, IntArray


def holders(well: BoolArray, size: int) -> IntArray:
    """By position of a leaf's block the index of the node that holds it, -1 for none; ``well`` is by node, by name."""
    positions = np.full(size, -1, np.int64)
    own = np.flatnonzero(well[:size])
    positions[own] = own
    spares, open_ = size + np.flatnonzero(well[size:]), np.flatnonzero(positions < 0)
    stand_in = min(len(spares), len(open_))
    positions[open_[:stand_in]] = spares[:stand_in]
    return positions


def aligned_part(free: BoolArray, nodes: int) -> IntArray | None:
    """The positions that a gang of so many nodes gets, ascending; None where no aligned part has so many free.

    ``free`` is by position; their number is a power of two. O(positions).
    """
    size, length = len(free), 1 << (nodes - 1).bit_length()
    if length > size:
        return None
    rank = np.arange(size // length)
    keys = [rank]
    inside = free.reshape(-1, length).sum(axis=1)
    wider = 2 * length
    while wider <= size:
        around = free.reshape(-1, wider).sum(axis=1)
        keys.append(around[rank * length // wider])
        wider *= 2
    holding = np.flatnonzero(inside >= nodes)
    if not len(holding):
        return None
    order = np.lexsort([keys[0][holding], *(key[holding] for key in keys[:0:-1])])
    part = int(holding[order[0]])
    positions: IntArray = part * length + np.flatnonzero(free[part * length : (part + 1) * length])[:nodes]
    return positions
