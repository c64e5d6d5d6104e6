"""Fair Tree: whose work goes first by past use, level by level, so that no group pays for a cousin.

Slurm's order. A member of a family (a child group, or the parent's own work, of weight 1) has the *level
fairness* (weight / weights of the family) / (use / use of the family), infinite without use. Two workers, of
which each is a group without children or the own work of one with children, compare the fairness of their
paths from the top: the first difference decides, more goes first, and a path that ends goes before one that
goes on. So when a group stands above its sibling, all of the one stand above all of the other.

Workers of equal paths share a place, and so do a worker and the first worker below a group that is as fair
as it. Where Slurm's floating point breaks such ties, and where its code compares groups tied with each
other by name instead of merging their children as its manual says, this follows the manual: fairness is an
exact ratio. ``order`` divides the present by fair shares; this orders by decayed use (``decay``) and never
preempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from quota.errors import UsageError
from quota.tree import ClassTree, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class FairTree:
    """Places by position, 0 in front, of the work charged at each group itself. Equals share a place."""

    place: IntArray
    order: IntArray  #: all positions, the one in front first; equals by the names on their paths

    def factor(self, position: int) -> Fraction:
        """Return what Slurm calls the fair-share factor: 1 in front, 1 / workers at the end."""
        return Fraction(len(self.place) - int(self.place[position]), len(self.place))


def fair_tree(tree: ClassTree, use: Sequence[int]) -> FairTree:
    """Order all groups. ``use`` is (group,) by position: decayed use of the work charged at the group itself.

    Amounts may be of any size. Raises UsageError for a negative one. O(n log n).
    """
    if len(use) != len(tree) or min(use) < 0:
        raise UsageError("there is one amount of use a group, and none is negative")
    path = _paths(tree, [int(each) for each in use])
    ranks = tree.path_rank.tolist()
    order = sorted(range(len(tree)), key=lambda position: (path[position], ranks[position]))
    place = np.zeros(len(tree), dtype=np.int64)
    for turn, position in enumerate(order):
        before = order[turn - 1]
        tied = turn > 0 and path[position][: len(path[before])] == path[before]
        place[position] = place[before] if tied else turn
    answer = FairTree(place, np.array(order, dtype=np.int64))
    answer.place.setflags(write=False)
    answer.order.setflags(write=False)
    return answer


def _paths(tree: ClassTree, use: Sequence[int]) -> list[tuple[int, ...]]:
    """Return by position the keys along the path of the work charged there; the smaller goes first.

    A key is minus the fairness times 2**bits, rounded. Two ratios with denominators below 2**(bits / 2)
    that differ do so by more than 2**-bits: rounded they differ as well, and equal ones are equal.
    """
    parent, weight, inner = tree.parent.tolist(), tree.weight.tolist(), tree.inner.tolist()
    used = list(use)
    weights = [1] * len(tree)  # of the family below a group, its own work included
    for position in range(len(tree) - 1, 0, -1):
        used[parent[position]] += used[position]
        weights[parent[position]] += weight[position]
    bits = 2 * (max(used).bit_length() + max(weights).bit_length())
    infinite = -(1 << (2 * bits + 64))

    def key(family: int, share: int, amount: int) -> int:
        return -((share * used[family] << bits) // (weights[family] * amount)) if amount else infinite

    groups: list[tuple[int, ...]] = [()]
    for position in range(1, len(tree)):
        above = parent[position]
        groups.append((*groups[above], key(above, weight[position], used[position])))
    return [
        (*path, key(position, 1, use[position])) if inner[position] else path for position, path in enumerate(groups)
    ]
