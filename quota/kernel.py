"""Divisions and sums over a tree, compiled: one family's by Sainte-Laguë with caps, many families', and a whole tree's.

What they compute is said by ``apportionment``, ``fair_share`` and ``admission``, whose tests hold them to loops that hand out
one GPU at a time, and to sums over every group's subtree.
Everything is one file because compiled code that is kept is told stale by its file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quota.compiled import compiled


@compiled
def units_at(twice_amount: int, open_weight: int, weight: int, cap: int) -> int:
    """Units of one sibling at the level twice_amount / (2 open_weight), rounded, within 0 and its cap."""
    return int(min(max((twice_amount * weight + open_weight) // (2 * open_weight), 0), cap))


@compiled
def fill(amount: int, weights: Any, caps: Any, full: Any, enough: Any) -> tuple[int, int, int]:
    """Find who is filled where a family wants more than there is, and what is never too little for the others.

    Answers (twice what is left for those who are not filled, how many they are, their weight).
    """
    while True:
        left, open_count, open_weight = amount, 0, 0
        for each in range(len(caps)):
            if full[each]:
                left -= caps[each]
            else:
                open_count += 1
                open_weight += weights[each]
        for each in range(len(caps)):
            enough[each] = caps[each]
            if not full[each]:
                enough[each] = units_at(2 * left + open_count, open_weight, weights[each], caps[each])
        filled = ~full & (enough == caps)
        if enough.sum() >= amount or not filled.any():
            return 2 * left, open_count, open_weight
        full |= filled


@compiled
def share_out(amount: int, weights: Any, caps: Any, shares: Any) -> None:
    """Write into ``shares`` how one family divides ``amount``: see ``apportionment``, whose names these are."""
    shares[:] = caps
    if caps.sum() <= amount:
        return
    full, enough = caps == 0, np.empty_like(caps)
    twice_left, open_count, open_weight = fill(amount, weights, caps, full, enough)
    for each in range(len(caps)):
        if not full[each]:
            shares[each] = units_at(twice_left - open_count, open_weight, weights[each], caps[each])
    deal(amount - shares.sum(), (enough - shares).sum(), weights, enough, shares)


@compiled
def deal(rest: int, units_max: int, weights: Any, enough: Any, shares: Any) -> None:
    """Raise ``shares`` by ``rest`` units in all, each by at most what it lacks of ``enough``, the smallest key first."""
    if rest <= 0:
        return
    keys = np.empty(units_max, np.float64)  # doubles order these ratios exactly: see GPUS_MAX
    at = 0
    for each in range(len(shares)):
        for unit in range(shares[each] + 1, enough[each] + 1):
            keys[at] = (2 * unit - 1) / weights[each]
            at += 1
    last = np.partition(keys, rest - 1)[rest - 1]
    tied = rest - (keys < last).sum()
    at = 0
    for each in range(len(shares)):
        for _ in range(shares[each] + 1, enough[each] + 1):
            if keys[at] < last:
                shares[each] += 1
            elif keys[at] == last and tied > 0:
                shares[each] += 1
                tied -= 1
            at += 1


@compiled
def share_out_all(amounts: Any, owners: Any, weights: Any, caps: Any) -> Any:
    """Divide every family's amount: ``apportionment.apportion``."""
    first = np.zeros(len(amounts) + 1, np.int64)
    for owner in owners:
        first[owner + 1] += 1
    for family in range(len(amounts)):
        first[family + 1] += first[family]
    members, next_ = np.empty(len(owners), np.int64), first.copy()
    for each in range(len(owners)):
        members[next_[owners[each]]] = each
        next_[owners[each]] += 1
    shares, found = np.zeros(len(owners), np.int64), np.empty(len(owners), np.int64)
    for family in range(len(amounts)):
        mine = members[first[family] : first[family + 1]]
        share_out(amounts[family], weights[mine], caps[mine], found[: len(mine)])
        shares[mine] = found[: len(mine)]
    return shares


@compiled
def divide_down(
    parent: Any, inner: Any, guaranteed: Any, weight: Any, ceiling: Any, reserve: Any, own_demand: Any, capacity: int
) -> Any:
    """Divide ``capacity`` in a whole tree: ``entitled``, ``own`` and ``share`` of ``fair_share.FairShares``, (3, group).

    Positions go level by level, siblings next to each other, so that a parent stands before its children.
    """
    groups = len(parent)
    need = own_demand.copy()
    children_end = np.zeros(groups, np.int64)
    for at in range(groups - 1, -1, -1):
        need[at] = max(min(need[at], ceiling[at]), reserve[at])
        if at > 0:
            need[parent[at]] += need[at]
            children_end[parent[at]] = max(children_end[parent[at]], at + 1)
    found = np.zeros((3, groups), np.int64)
    entitled, own, share = found[0], found[1], found[2]
    entitled[0] = min(capacity, need[0])
    begin = 1
    members = np.empty((4, groups + 1), np.int64)  # weights, guarantees, needs, holds; one family at a time
    portions = np.empty(groups + 1, np.int64)
    for at in range(groups):
        if not inner[at]:
            own[at] = min(entitled[at], own_demand[at], ceiling[at])
            continue
        first = 1 if own_demand[at] > 0 else 0
        size = first + children_end[at] - begin
        weights, promised, wanted, holds = members[0, :size], members[1, :size], members[2, :size], members[3, :size]
        if first:
            weights[0], promised[0], wanted[0] = 1, 0, own_demand[at]
        weights[first:], promised[first:] = weight[begin : children_end[at]], guaranteed[begin : children_end[at]]
        wanted[first:] = need[begin : children_end[at]]
        # Nobody can get more, and small caps keep ratios comparable.
        wanted[:] = np.minimum(wanted, entitled[at])
        share_out(entitled[at], np.maximum(promised, 1), np.minimum(wanted, promised), holds)
        share_out(entitled[at] - holds.sum(), weights, wanted - holds, portions[:size])
        portions[:size] += holds
        if first:
            own[at] = portions[0]
        entitled[begin : children_end[at]] = portions[first:size]
        begin = children_end[at]
    share[:] = own
    for at in range(groups - 1, 0, -1):
        share[parent[at]] += share[at]
    return found


@compiled
def add_up(parent: Any, reserve: Any, used: Any, inside: Any) -> None:
    """Make of each group's own use, in ``used`` and ``inside``, that of its subtree: ``admission.Usage``."""
    for at in range(len(parent) - 1, 0, -1):
        used[parent[at]] += used[at]
        inside[parent[at]] += max(inside[at], reserve[at])


@compiled
def room_below(parent: Any, bound: Any, reserve: Any, inside: Any) -> Any:
    """What may still start at every group: ``admission.available``."""
    room = bound - inside
    for at in range(1, len(parent)):
        room[at] = min(room[at], max(reserve[at] - inside[at], 0) + room[parent[at]])
    return room
