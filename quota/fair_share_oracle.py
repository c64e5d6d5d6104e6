"""The fair share sentence as a loop, one GPU at a time: slow, obvious, and what ``fair_share`` must equal.

It starts from groups and quotas, not from the compiled arrays, and compares keys by cross-multiplying whole
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quota.tree import QuotaTree

#: Name of the child that stands for work charged at a group that has children; it sorts before every name.
OWN_WORK = 0


@dataclass(slots=True)
class _Child:
    """Somebody who gets a portion: a group below, or the parent's own work."""

    group: int
    weight: int
    guaranteed: int
    need: int
    hold: int = 0
    surplus: int = 0


@dataclass(frozen=True, slots=True)
class OracleShares:
    """Fair shares by group id, with the meanings of ``fair_share.FairShares``."""

    entitled: Mapping[int, int]
    own: Mapping[int, int]


def fair_share_oracle(tree: QuotaTree, gpu_class: str, demand: Mapping[int, int], capacity: int) -> OracleShares:
    """Divide ``capacity`` by the sentence. Takes O(capacity x groups) steps."""
    need = {group.id: 0 for group in tree.groups}
    for group in reversed(tree.groups):
        asked = demand.get(group.id, 0) + sum(need[child] for child in tree.children.get(group.id, ()))
        need[group.id] = max(min(asked, _ceiling(tree, gpu_class, group.id)), _reserve(tree, gpu_class, group.id))
    entitled = {tree.root.id: min(capacity, need[tree.root.id])}
    own: dict[int, int] = {}
    for group in tree.groups:
        children = tree.children.get(group.id, ())
        asked = demand.get(group.id, 0)
        if not children:
            own[group.id] = min(entitled[group.id], asked, _ceiling(tree, gpu_class, group.id))
            continue
        family = [_Child(OWN_WORK, 1, 0, asked)]
        for child in children:
            quota = tree.quota(child, gpu_class)
            family.append(_Child(child, quota.weight, quota.guaranteed, need[child]))
        _hand_out(family, entitled[group.id])
        own[group.id] = family[0].hold + family[0].surplus
        entitled.update({child.group: child.hold + child.surplus for child in family[1:]})
    return OracleShares(entitled, own)


def effective_oracle(tree: QuotaTree, gpu_class: str, capacity: int) -> dict[int, int]:
    """Return what each guarantee is worth, one GPU at a time."""
    effective = {tree.root.id: min(capacity, _ceiling(tree, gpu_class, tree.root.id))}
    for group in tree.groups:
        children = tree.children.get(group.id, ())
        guaranteed = [tree.quota(child, gpu_class).guaranteed for child in children]
        floor = [min(_in_cells(tree, gpu_class, child), gpus) for child, gpus in zip(children, guaranteed, strict=True)]
        if sum(floor) > effective[group.id]:
            floor = [0] * len(children)
        beside = [gpus - shaped for gpus, shaped in zip(guaranteed, floor, strict=True)]
        worth = [0] * len(children)
        for _ in range(min(effective[group.id] - sum(floor), sum(beside))):
            worth[_next(worth, beside, beside)] += 1
        effective.update({child: floor[at] + worth[at] for at, child in enumerate(children)})
    return effective


def _in_cells(tree: QuotaTree, gpu_class: str, group: int) -> int:
    """Return how much of a guarantee lies in cells that can be held, the group's own and those of the groups below it."""
    below = sum(_in_cells(tree, gpu_class, child) for child in tree.children.get(group, ()))
    return min(tree.shaped.get((group, gpu_class), 0) + below, tree.quota(group, gpu_class).guaranteed)


def _hand_out(family: Sequence[_Child], amount: int) -> None:
    """Give ``amount`` GPUs to a family: holds first, by guarantee; then the surplus, by weight."""
    guaranteed = [child.guaranteed for child in family]
    weights = [child.weight for child in family]
    for _ in range(amount):
        holds = [child.hold for child in family]
        wanted = [min(child.need, child.guaranteed) for child in family]
        if sum(holds) < sum(wanted):
            family[_next(holds, guaranteed, wanted)].hold += 1
            continue
        surplus = [child.surplus for child in family]
        missing = [child.need - child.hold for child in family]
        if sum(surplus) == sum(missing):
            return
        family[_next(surplus, weights, missing)].surplus += 1


def _next(shares: Sequence[int], weights: Sequence[int], caps: Sequence[int]) -> int:
    """Return who has the smallest (share + 1/2) / weight among those below their cap; the first of equals."""
    best = -1
    for each, (share, weight, cap) in enumerate(zip(shares, weights, caps, strict=True)):
        if share >= cap:
            continue
        if best < 0 or (2 * share + 1) * weights[best] < (2 * shares[best] + 1) * weight:
            best = each
    return best


def _ceiling(tree: QuotaTree, gpu_class: str, group: int) -> int:
    """Return how much a subtree may hold; a number that no demand reaches where nothing limits it."""
    quota = tree.quota(group, gpu_class)
    bounds = [2**60]
    if quota.limit is not None:
        bounds.append(quota.limit)
    if quota.borrowing_limit is not None and group != tree.root.id:
        bounds.append(quota.guaranteed + quota.borrowing_limit)
    return min(bounds)


def _reserve(tree: QuotaTree, gpu_class: str, group: int) -> int:
    """Return the part of a guarantee that is not lent."""
    quota = tree.quota(group, gpu_class)
    if quota.lending_limit is None or group == tree.root.id:
        return 0
    return min(max(quota.guaranteed - quota.lending_limit, 0), _ceiling(tree, gpu_class, group))
