"""Fair Tree's order by whole arrays, for rounds: the same order as ``fair_tree`` gives, in a few operations a level.

Level by level the members of all families (child groups, and the own work of groups with children) are sorted by the
place of their family, then by their fairness in doubles. Doubles err by a few of their last bits, so neighbours that are
closer than that are compared anew with whole numbers. So every path gets a code a level; codes compare as the paths' keys
do, and one sort by all of them is the order.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from quota.errors import UsageError
from quota.fair_tree import fair_tree
from quota.tree import ClassTree, IntArray

#: Fairness in doubles is right to better than this part of it; what is closer is compared exactly.
_CLOSE = 2.0**-44
#: With so many binary digits two fairnesses that differ still do once they are rounded: see ``fair_tree``.
_BITS = 208

#: So few groups are sooner ordered one by one.
_FEW = 128
_LARGEST = np.finfo(np.float64).max

BoolArray = NDArray[np.bool_]


def fair_tree_ranks(tree: ClassTree, use: IntArray) -> IntArray:
    """Return every group's turn by position, 0 in front; equals by the names on their paths.

    ``use`` is (group,) by position, in any unit: decayed use of the work charged at the group itself. Raises UsageError for
    a negative one, and where all together leave 64 bits.
    """
    if len(use) != len(tree) or int(use.min(initial=0)) < 0 or float(use.sum(dtype=np.float64)) >= 2.0**62:
        raise UsageError("there is one amount of use a group, none is negative, and together they fit into 64 bits")
    return _of_use(tree, use) if use.any() else _of_nothing(tree)


@lru_cache(maxsize=32)
def _of_nothing(tree: ClassTree) -> IntArray:
    """Where nobody has used anything; the same until the tree changes."""
    ranks = _of_use(tree, np.zeros(len(tree), np.int64))
    ranks.setflags(write=False)
    return ranks


def _of_use(tree: ClassTree, use: IntArray) -> IntArray:
    if len(tree) < _FEW:
        ranks = np.empty(len(tree), np.int64)
        ranks[fair_tree(tree, use.tolist()).order] = np.arange(len(tree))
        return ranks
    return _by_arrays(tree, use)


def _by_arrays(tree: ClassTree, use: IntArray) -> IntArray:
    used, weights = use.copy(), np.ones(len(tree), np.int64)  # of the families below, own work included
    for _, below, _ in tree.ascents():
        np.add.at(used, tree.parent[below], used[below])
        np.add.at(weights, tree.parent[below], tree.weight[below])
    keys = []
    code = np.zeros(len(tree), np.int64)
    for depth, (above, below) in enumerate(pairwise(tree.levels), start=1):
        own = np.flatnonzero(tree.inner[above]) + above.start
        members = np.concatenate((np.arange(below.start, below.stop), own))
        families = np.concatenate((tree.parent[below], own))
        shares = np.concatenate((tree.weight[below], np.ones(len(own), np.int64)))
        amounts = np.concatenate((used[below], use[own]))
        key = np.full(len(tree), -1, np.int64)  # a path that has ended goes before one that goes on
        key[members] = _codes(code[families], shares, used[families], weights[families], amounts)
        code[below] = key[below]
        for deeper in tree.levels[depth + 1 :]:
            key[deeper] = key[tree.parent[deeper]]
        keys.append(key)
    ranks = np.empty(len(tree), np.int64)
    ranks[np.lexsort((tree.path_rank, *reversed(keys)))] = np.arange(len(tree))
    return ranks


def _codes(family: IntArray, share: IntArray, used: IntArray, weights: IntArray, amount: IntArray) -> IntArray:
    """Return numbers for members that compare as (family, fairness, more first) do; the same for equals.

    Fairness is (share / weights of the family) / (amount / use of the family), infinite where the amount is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        fairness = share * used.astype(np.float64) / (weights * amount.astype(np.float64))
    fairness[amount == 0] = np.inf
    order = np.lexsort((-fairness, family))
    sorted_fairness, sorted_family = fairness[order], family[order]
    together = sorted_family[1:] == sorted_family[:-1]
    same = together & (sorted_fairness[1:] == sorted_fairness[:-1])
    before, after = np.minimum(sorted_fairness[:-1], _LARGEST), np.minimum(sorted_fairness[1:], _LARGEST)
    close = together & (before - after <= before * _CLOSE) & (amount[order[:-1]] > 0)
    alike = np.logical_and.reduce([each[order[1:]] == each[order[:-1]] for each in (share, used, weights, amount)])
    for first, last in _spans(close, close & ~alike):
        exact = [
            -((int(share[at]) * int(used[at]) << _BITS) // (int(weights[at]) * int(amount[at])))
            for at in order[first : last + 1].tolist()
        ]
        turns = sorted(range(len(exact)), key=exact.__getitem__)
        order[first : last + 1] = order[first : last + 1][turns]
        same[first:last] = [exact[one] == exact[next_] for one, next_ in pairwise(turns)]
    codes = np.empty(len(order), np.int64)
    codes[order] = np.cumsum(np.concatenate(([0], ~same)))
    return codes


def _spans(close: BoolArray, wanted: BoolArray) -> list[tuple[int, int]]:
    """Return (first, last) of the runs of members of which each is close to the next, where some pair is wanted."""
    found: list[tuple[int, int]] = []
    last = -1
    for pair in np.flatnonzero(wanted).tolist():
        if pair < last:
            continue
        first, last = pair, pair + 1
        while first > 0 and close[first - 1]:
            first -= 1
        while last < len(close) and close[last]:
            last += 1
        found.append((first, last))
    return found
