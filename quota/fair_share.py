"""Fair shares: the one division of capacity that ordering, reclaim and reports use.

Bottom up, every group *needs* what its subtree asks for, up to its limit and its guarantee plus borrowing
limit, and never less than the reserve that it does not lend. Top down, what a group is entitled to is
divided among its children: first each child's hold, min(need, guaranteed), the holds themselves in
proportion to the guarantees where there is not enough for all; then the rest one GPU at a time, the next to
the child with the smallest (surplus + 1/2) / weight whose need is not met (ties by name). Work charged at a
group that has children is one more child, first among them, guaranteed nothing, of weight 1.

Holds are taken from declared guarantees, not from scaled ones. That gives at least the scaled guarantee to
all who ask for it (a guarantee that nobody asks for is not in the way of those that are), and it keeps the
division monotone: scaled guarantees would let a group below a limit lose GPUs to its sibling when capacity
grows and the sibling's guarantee with it. ``fair_share_oracle`` is this page written as a loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quota.kernel import divide_down
from quota.tree import GPUS_MAX, ClassTree, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class FairShares:
    """Fair shares in GPUs by position, for one class, demand and capacity.

    ``entitled`` is what a subtree may hold, idle reserves included. ``own`` is what the work charged at the
    group itself gets. ``share`` is what the work of the whole subtree gets: the sum of ``own`` in it.
    """

    tree: ClassTree
    entitled: IntArray
    own: IntArray
    share: IntArray

    def of(self, group: int) -> int:
        """Return the share of a group with everything below it."""
        return int(self.share[self.tree.position(group)])


def fair_share(tree: ClassTree, demand: IntArray, capacity: int) -> FairShares:
    """Divide ``capacity`` GPUs of the tree's class. Exact.

    ``demand`` is (group,) by position: the GPUs that work charged at the group itself uses or waits for.
    """
    assert 0 <= capacity <= GPUS_MAX, capacity
    entitled, own, share = divide_down(
        tree.parent,
        tree.inner,
        tree.guaranteed,
        tree.weight,
        tree.ceiling,
        tree.reserve,
        np.minimum(demand, GPUS_MAX),
        capacity,
    )
    for array in (entitled, own, share):
        array.setflags(write=False)
    return FairShares(tree, entitled, own, share)
