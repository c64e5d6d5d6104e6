"""Standing by its sentences, one group after the other: slow, and what ``standing_rates`` and ``standing`` must equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quota.admission import Usage
from quota.fair_share import FairShares
from quota.standing import PARTS
from quota.tree import ClassTree


def standing_rates_oracle(
    usage: Usage, shares: FairShares, offered: Mapping[int, int], lent: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int]]:
    """(lends, surges) by position; ``offered`` is by position too."""
    tree = usage.tree
    below = {at: subtree_of(tree, at) for at in range(len(tree))}
    unused = [0] * len(tree)
    for parent in range(len(tree)):
        _lend_in_family(usage, parent, unused)
    found = [(0, 0)]
    for at in range(1, len(tree)):
        used = sum(int(usage.own[each]) for each in below[at])
        lends = sum(offered.get(each, 0) for each in below[at])
        others = sum(gpus for lender, user, gpus in lent if lender in below[at] and user not in below[at])
        share = sum(int(shares.own[each]) for each in below[at])
        found.append((max(unused[at], min(others, max(0, lends - used)) * PARTS), max(0, used - share) * PARTS))
    return found


def _lend_in_family(usage: Usage, parent: int, unused: list[int]) -> None:
    """Divide what the family and those outside it need among its members that leave something."""
    tree, held = usage.tree, usage.held()
    children = [at for at in range(len(tree)) if int(tree.parent[at]) == parent]
    wanted, own_guarantee, left_in_all = (
        unused[parent] + int(usage.own[parent]) * PARTS,
        int(usage.guaranteed[parent]),
        0,
    )
    for child in children:
        wanted += max(0, int(held[child] - usage.guaranteed[child])) * PARTS
        own_guarantee -= int(usage.guaranteed[child])
        left_in_all += max(0, int(usage.guaranteed[child] - held[child]))
    lent = min(max(0, wanted - own_guarantee * PARTS), left_in_all * PARTS)
    passed, told = 0, 0
    for child in children:
        passed += max(0, int(usage.guaranteed[child] - held[child]))
        together = lent * passed // left_in_all if left_in_all else 0
        unused[child], told = together - told, together


def standing_turns_oracle(tree: ClassTree, gpu_seconds: Sequence[int]) -> list[int]:
    """By position: how many different standings, compared along paths from the top, come before the group's own."""
    paths = []
    for position in range(len(tree)):
        path: list[int] = []
        at = position
        while at > 0:
            path.insert(0, -gpu_seconds[at])
            at = int(tree.parent[at])
        paths.append(path + [0] * (len(tree) - len(path)))
    return [len({tuple(other) for other in paths if other < path}) for path in paths]


def subtree_of(tree: ClassTree, position: int) -> set[int]:
    """A group's position with those of all groups below it."""
    return {position}.union(*(subtree_of(tree, at) for at in range(len(tree)) if int(tree.parent[at]) == position))
