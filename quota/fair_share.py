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

from quota.apportionment import apportion
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
    """Divide ``capacity`` GPUs of the tree's class. Exact, in O(groups) array operations a level.

    ``demand`` is (group,) by position: the GPUs that work charged at the group itself uses or waits for.
    """
    assert 0 <= capacity <= GPUS_MAX, capacity
    own_demand = np.minimum(demand, GPUS_MAX)
    need = _needs(tree, own_demand)
    entitled = np.zeros_like(need)
    own = np.zeros_like(need)
    entitled[0] = min(capacity, int(need[0]))
    for above, below, owners in tree.descents():
        working = np.flatnonzero(tree.inner[above] & (own_demand[above] > 0))
        nothing = np.zeros(len(working), dtype=np.int64)
        portions = _divide(
            entitled[above],
            np.concatenate((working, owners)),
            np.concatenate((nothing + 1, tree.weight[below])),
            np.concatenate((nothing, tree.guaranteed[below])),
            np.concatenate((own_demand[above][working], need[below])),
        )
        own[above.start + working] = portions[: len(working)]
        entitled[below] = portions[len(working) :]
    leaves = ~tree.inner
    own[leaves] = np.minimum(entitled, np.minimum(own_demand, tree.ceiling))[leaves]
    share = own.copy()
    for _, below, _ in tree.ascents():
        np.add.at(share, tree.parent[below], share[below])
    for array in (entitled, own, share):
        array.setflags(write=False)
    return FairShares(tree, entitled, own, share)


def _needs(tree: ClassTree, own_demand: IntArray) -> IntArray:
    """Return what each subtree needs, given what is asked for at each group itself."""
    need = own_demand.copy()
    for level in reversed(tree.levels):
        need[level] = np.maximum(np.minimum(need[level], tree.ceiling[level]), tree.reserve[level])
        if level.start > 0:
            np.add.at(need, tree.parent[level], need[level])
    return need


def _divide(entitled: IntArray, owners: IntArray, weights: IntArray, guaranteed: IntArray, need: IntArray) -> IntArray:
    """Divide each parent's entitlement among its children: holds first, then the surplus by weight."""
    need = np.minimum(need, entitled[owners])  # nobody can get more, and small caps keep ratios comparable
    wanted = np.minimum(need, guaranteed)
    hold = apportion(entitled, owners, np.maximum(guaranteed, 1), wanted)
    held = np.bincount(owners, weights=hold, minlength=len(entitled)).astype(np.int64)
    return hold + apportion(entitled - held, owners, weights, need - hold)
