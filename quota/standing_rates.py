"""What counts for standing at one moment: how much of what groups lend others use, and who holds more than its share.

* **A guarantee that is not used.** What a family (the children of one group, and its own work, which is guaranteed nothing) holds
  above its guarantees is taken from what the parent's guarantee has beyond its children's, at the root: what belongs to nobody;
  then from guarantees of the family that are not used; the rest from outside. What is lent outside comes in the same order. So at
  any level no more is lent than others need there, and lenders of one family earn in proportion to what each leaves. Idle
  reserves are held, and not lent.
* **Nodes of offers.** Those of the group, and of groups below it, on which others run; no more than it lends beyond what it
  uses itself, wherever that is: two who run on each other's nodes lend nothing.
* Of the two the larger one counts, since what is offered may be what is guaranteed.
* **Surge** is what the group and those below it hold above their fair share. Shares are capped by demand: who uses what nobody
  else asks for is within its share, and pays nothing.

Nobody's own demand is in this, but for surge, where asking for more than one's share leaves the share as it is: so it never
pays to ask for what is not needed. The same one family after the other: ``standing_oracle``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from quota.admission import Usage
from quota.fair_share import FairShares
from quota.standing import PARTS
from quota.tree import ClassTree, IntArray

#: (lender, user, GPUs): both by position; runs of the user are on nodes that an offer of the lender lends.
LentGpus = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class StandingRates:
    """By position, in thousandths of GPUs: what ``lends`` and what ``surges``, subtrees included. Nothing at the root."""

    lends: IntArray
    surges: IntArray


def standing_rates(
    usage: Usage, shares: FairShares, offered: IntArray | None = None, lent: Iterable[LentGpus] = ()
) -> StandingRates:
    """Return what counts now. ``offered`` is (group,) by position: GPUs of nodes that the group's own offers lend. Exact."""
    tree = usage.tree
    lends = _unused_guarantees(usage)
    if offered is not None:
        lends = np.maximum(lends, _offers(usage, offered, lent) * PARTS)
    surges = np.maximum(usage.used - shares.share, 0) * PARTS
    assert len(tree) == len(surges)
    lends[0] = surges[0] = 0
    return StandingRates(lends, surges)


def _unused_guarantees(usage: Usage) -> IntArray:
    """By position, in parts: how much of a guarantee that is not used others use."""
    tree = usage.tree
    held = usage.held()
    over, spare = np.maximum(held - usage.guaranteed, 0), np.maximum(usage.guaranteed - held, 0)
    lends = np.zeros(len(tree), np.int64)
    for above, below, owners in tree.descents():
        families = above.stop - above.start
        spare_in = _sums(spare[below], owners, families)
        needed = usage.own[above] + _sums(over[below], owners, families)
        slack = usage.guaranteed[above] - _sums(usage.guaranteed[below], owners, families)
        lent = np.clip((needed - slack) * PARTS + lends[above], 0, spare_in * PARTS)
        # Siblings stand side by side: each gets what brings those up to it to their part, so that nothing is lost by rounding.
        up_to = np.cumsum(spare[below])
        first = np.concatenate(([0], up_to))[np.searchsorted(owners, np.arange(families))]
        up_to -= first[owners]
        lent, spare_in = lent[owners], np.maximum(spare_in, 1)[owners]
        lends[below] = lent * up_to // spare_in - lent * (up_to - spare[below]) // spare_in
    return lends


def _offers(usage: Usage, offered: IntArray, lent: Iterable[LentGpus]) -> IntArray:
    """By position, in GPUs: what others use of nodes that a subtree lends, as far as it uses less itself than it lends."""
    tree = usage.tree
    to_others = np.zeros(len(tree), np.int64)
    for lender, user, gpus in lent:
        onto = _path(tree, user)
        at = lender
        while at not in onto:
            to_others[at] += gpus
            at = int(tree.parent[at])
    in_subtree = offered.copy()
    for _, below, _ in tree.ascents():
        np.add.at(in_subtree, tree.parent[below], in_subtree[below])
    found: IntArray = np.minimum(to_others, np.maximum(in_subtree - usage.used, 0))
    return found


def _path(tree: ClassTree, position: int) -> frozenset[int]:
    found = set()
    while position >= 0:
        found.add(position)
        position = int(tree.parent[position])
    return frozenset(found)


def _sums(amounts: IntArray, owners: IntArray, families: int) -> IntArray:
    found = np.zeros(families, np.int64)
    np.add.at(found, owners, amounts)
    return found
