"""Admission: what a group uses and holds, and whether more may start there.

A group *holds* the larger of what its subtree holds (its own use and what its children hold) and its
reserve, the part of its guarantee that it does not lend; idle reserves count as held (docs/decisions/0006).
Starting ``g`` GPUs at a group first fills the idle reserves on its path and raises what the groups above
hold by the remainder. It is admitted when no group on the path comes to hold more than its ceiling (limit;
guarantee plus borrowing limit) and the root no more than the capacity. Since limits bound what is held and
not use alone, a reserve below a limit can always be used by its owner.

Reserves follow effective guarantees: when capacity is lost, they scale down with them, and lend more than shares,
which keep declared ones, say (docs/decisions/0027). Where a group
already holds too much (capacity lost, quota lowered) what is available may be negative: that much must end
before anything starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from quota.effective import effective_guarantees
from quota.errors import UsageError
from quota.kernel import add_up, room_below
from quota.refusal import Refusal, RefusalCode
from quota.tree import GPUS_MAX, UNLIMITED, ClassTree, IntArray


class Usage:
    """What every group uses of one class, with the federation's capacity. Mutable; cheap to copy.

    By position: ``own`` is charged at the group itself, ``used`` in its subtree, ``inside`` is its own use
    and what its children hold; ``guaranteed`` are effective guarantees. Change them through ``charge`` and
    ``release`` alone.
    """

    __slots__ = ("_bounds", "_inside", "_own", "_parent", "_reserve", "_used", "bound", "capacity",
    "guaranteed",
                 "inside", "own", "reserve", "tree", "used")  # fmt: skip

    def __init__(self, tree: ClassTree, capacity: int, own: IntArray | None = None) -> None:
        """Start from what is charged at each group itself, (group,) by position; nothing if left out."""
        assert 0 <= capacity <= GPUS_MAX, capacity
        self.tree = tree
        self.capacity = capacity
        self.guaranteed, self.bound, self.reserve = _bounds(tree, capacity)
        self.own = np.zeros(len(tree), np.int64) if own is None else np.array(own, dtype=np.int64)
        self.used = self.own.copy()
        self.inside = self.own.copy()
        add_up(tree.parent, self.reserve, self.used, self.inside)
        self._open_views()

    def copy(self) -> Usage:
        """Return a usage that changes on its own."""
        twin = object.__new__(Usage)
        twin.tree, twin.capacity, twin.guaranteed = self.tree, self.capacity, self.guaranteed
        twin.bound, twin.reserve = self.bound, self.reserve
        twin.own, twin.used, twin.inside = self.own.copy(), self.used.copy(), self.inside.copy()
        twin._open_views()
        return twin

    def charge(self, group: int, gpus: int) -> None:
        """Count ``gpus`` more at ``group``, admitted or not: what runs is counted. O(depth)."""
        if gpus < 0:
            raise UsageError(f"{gpus} GPUs cannot be charged to group {group}")
        self._add(self.tree.position(group), gpus)

    def release(self, group: int, gpus: int) -> None:
        """Count ``gpus`` less at ``group``. Raises UsageError when fewer are charged there. O(depth)."""
        position = self.tree.position(group)
        if not 0 <= gpus <= self._own[position]:
            raise UsageError(f"{gpus} GPUs cannot be released by group {group}: it is charged {self._own[position]}")
        self._add(position, -gpus)

    def held(self) -> IntArray:
        """Return what every group holds, by position."""
        held: IntArray = np.maximum(self.inside, self.reserve)
        return held

    def _open_views(self) -> None:
        # One element of a memoryview is a plain int, several times faster to read than one of an array.
        self._parent, self._bounds = self.tree.parent.data, self.bound.data
        self._own, self._used = self.own.data, self.used.data
        self._inside, self._reserve = self.inside.data, self.reserve.data

    def _add(self, position: int, gpus: int) -> None:
        self._own[position] += gpus
        added = gpus
        while position >= 0:
            self._used[position] += gpus
            if added:
                before, reserve = self._inside[position], self._reserve[position]
                after = before + added
                self._inside[position] = after
                added = max(after, reserve) - max(before, reserve)
            position = self._parent[position]


@lru_cache(maxsize=32)
def _bounds(tree: ClassTree, capacity: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return effective guarantees, bounds and reserves by position: the same until quotas or the capacity change."""
    guaranteed = effective_guarantees(tree, capacity).effective
    bound = tree.ceiling.copy()
    bound[0] = min(capacity, int(tree.ceiling[0]))
    reserve = np.maximum(np.minimum(guaranteed - tree.lending_limit, tree.reserve), 0)
    reserve[0] = 0
    for array in (bound, reserve):
        array.setflags(write=False)
    return guaranteed, bound, reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The answer "yes". ``left`` is what would still be available to the group after the start."""

    left: int


def available(usage: Usage, group: int) -> int:
    """Return how many GPUs may start at ``group`` now; negative where too much is held. O(depth)."""
    return _tightest(usage, usage.tree.position(group))[0]


def available_all(usage: Usage) -> IntArray:
    """Return ``available`` of every group, by position."""
    room: IntArray = room_below(usage.tree.parent, usage.bound, usage.reserve, usage.inside)
    return room


def guarantee_left(usage: Usage, group: int) -> int:
    """Return what a group's subtree leaves unused of its effective guarantee; negative beyond it."""
    position = usage.tree.position(group)
    return int(usage.guaranteed[position]) - usage._used[position]


def admit(usage: Usage, group: int, gpus: int, *, inside_guarantee: bool = False) -> Admitted | Refusal:
    """Answer whether ``gpus`` may start at ``group`` now. Changes nothing; ``Usage.charge`` does.

    ``inside_guarantee`` asks for work that may not borrow (what cannot be preempted): the group's use must
    then stay within its own effective guarantee as well. A refusal speaks of the tightest constraint, the
    lowest of equals.
    """
    position = usage.tree.position(group)
    free, at, reserves = _tightest(usage, position)
    if inside_guarantee and (left := guarantee_left(usage, group)) <= free:
        if gpus <= left:
            return Admitted(left=left - gpus)
        guaranteed = int(usage.guaranteed[position])
        code = RefusalCode.GUARANTEE_REACHED
        return _refusal(usage, code, position, asked=gpus, limit=guaranteed, free=left, reserved=0)
    if gpus <= free:
        return Admitted(left=free - gpus)
    bound = usage._bounds[at]
    if at == 0 and bound == usage.capacity:
        fits_beside_reserves = usage._used[0] + gpus <= bound
        code = RefusalCode.CAPACITY_HELD if fits_beside_reserves else RefusalCode.CAPACITY_REACHED
    elif bound == usage.tree.limit[at]:
        code = RefusalCode.LIMIT_REACHED
    else:
        code = RefusalCode.BORROWING_LIMIT_REACHED
    return _refusal(usage, code, at, asked=gpus, limit=bound, free=free, reserved=reserves)


def ceiling(tree: ClassTree, group: int) -> int | None:
    """Return the most GPUs that could ever start at ``group`` as quotas are set, None for no bound.

    That is what is available while nobody uses anything and capacity is ample. More than that can be
    refused for good.
    """
    position = tree.position(group)
    best, idle = UNLIMITED, 0
    while position >= 0:
        bound, below = int(tree.ceiling[position]), int(tree.reserved_below[position])
        if bound < UNLIMITED:
            best = min(best, bound - below + idle)
        idle += max(int(tree.reserve[position]) - below, 0)
        position = int(tree.parent[position])
    return None if best == UNLIMITED else best


def _tightest(usage: Usage, position: int) -> tuple[int, int, int]:
    """Return (what is free, the position whose bound decides, the idle reserves of others there)."""
    best, at, reserves, idle = UNLIMITED * 2, position, 0, 0
    inside_of, reserve_of, bounds, parents = usage._inside, usage._reserve, usage._bounds, usage._parent
    while position >= 0:
        inside = inside_of[position]
        free = bounds[position] - inside + idle
        if free < best:
            best, at, reserves = free, position, inside - usage._used[position] - idle
        slack = reserve_of[position] - inside
        if slack > 0:
            idle += slack
        position = parents[position]
    return best, at, reserves


def _refusal(
    usage: Usage, code: RefusalCode, position: int, *, asked: int, limit: int, free: int, reserved: int
) -> Refusal:
    return Refusal(
        code=code,
        group=int(usage.tree.group_ids[position]),
        gpu_class=usage.tree.gpu_class,
        numbers={
            "asked": asked,
            "used": usage._used[position],
            "reserved": reserved,
            "limit": limit,
            "free": max(free, 0),
            "short": asked - free,
        },
    )
