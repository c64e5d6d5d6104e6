"""Whose turn it is: groups below a guarantee first, then by use over share.

Three ranks: groups below their own effective guarantee; groups below the guarantee of a group above them;
all others. Within a rank come first those that hold less than their own fair share, the smaller (own use / own
fair share) in front. Of those that hold their share or more, who has the most standing goes first (``standing``);
of equals again the smaller ratio, where a group whose share is nothing comes after all that have one, the lesser
use first. Groups that are equal in all this go by what they used before, in the order of ``fair_tree``, which
puts the names on the path last. Own use is what is charged at the group itself, since the shares of its children
are their own. Where all standings are equal it is as if there were none: who holds its share or more has a ratio
of 1 or more.

During a round that only starts work no key ever becomes smaller, so a heap may keep old keys and look again
at what it pops.
"""

from __future__ import annotations

from enum import IntEnum

from quota.admission import Usage
from quota.fair_share import FairShares
from quota.tree import IntArray


class TurnRank(IntEnum):
    """Why a group's turn comes when it comes."""

    BELOW_OWN_GUARANTEE = 0
    BELOW_GUARANTEE_ABOVE = 1
    SHARING = 2


#: rank; -1 below the share, else rank by standing; own use / own share; own use; rank by past use and names. Ratios
#: are doubles, and exact: see ``tree.GPUS_MAX``.
TurnKey = tuple[TurnRank, int, float, int, int]


def turn_key(usage: Usage, shares: FairShares, group: int, past_ranks: IntArray, standing_ranks: IntArray) -> TurnKey:
    """Return one group's key as use stands now; the smallest key has its turn. O(depth).

    Both ranks are (group,) by position: each group's turn by past use, no two alike, and by standing, equals alike.
    """
    tree = usage.tree
    position = tree.position(group)
    own, share = int(usage.own[position]), int(shares.own[position])
    ratio = own / share if share > 0 else float("inf")
    standing = int(standing_ranks[position]) if own >= share else -1
    return _rank(usage, position), standing, ratio, own, int(past_ranks[position])


def _rank(usage: Usage, position: int) -> TurnRank:
    found, at = TurnRank.SHARING, position
    while at > 0:
        if usage.used[at] < usage.guaranteed[at]:
            if at == position:
                return TurnRank.BELOW_OWN_GUARANTEE
            found = TurnRank.BELOW_GUARANTEE_ABOVE
        at = int(usage.tree.parent[at])
    return found
