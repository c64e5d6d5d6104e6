"""The quota tree: groups and their quotas, compiled once into arrays that never change.

Groups take positions level by level, siblings next to each other and sorted by name, so that every walk
down or up the tree is one array operation a level and the published tie rule (names) is the order of
positions. A quota speaks of one group and one GPU class. Guarantees are inclusive: a child's lies inside
its parent's. A group without a row is guaranteed nothing and limited by nothing. The root stands for the
federation: it guarantees what there is and may have a limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from quota.cell_shape import Cells, cells_out_of_range
from quota.errors import TreeError, UnknownGroupError

IntArray = NDArray[np.int64]

#: Largest amount of GPUs of a class and largest weight. With them every ratio that is ever compared keeps
#: numerator times denominator within 2**51, where a double still tells any two different ratios apart and
#: equal ones are equal.
GPUS_MAX = 2**25
WEIGHT_MAX = 2**20
#: A tree keeps itself as so many GPU classes see it; a name that nobody knows is asked about once.
CLASSES_KEPT_MAX = 256
#: Stands for "no limit" in arrays; sums of it with real amounts stay far inside 64 bits.
UNLIMITED = 2**60


@dataclass(frozen=True, slots=True)
class Group:
    """One group. ``parent`` is None for the root alone; ``name`` is unique among siblings."""

    id: int
    name: str
    parent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one group may use of one GPU class, in GPUs. None means no such limit.

    ``limit`` bounds what the group's subtree holds; ``borrowing_limit`` bounds how far that may exceed
    ``guaranteed``; ``lending_limit`` bounds how much of an unused guarantee others may use, the rest is
    held in reserve; ``weight`` divides what is left beyond guarantees. ``cells`` are the parts of the
    guarantee that have a shape.
    """

    guaranteed: int = 0
    limit: int | None = None
    borrowing_limit: int | None = None
    lending_limit: int | None = None
    weight: int = 1
    cells: tuple[Cells, ...] = ()


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True, eq=False)
class ClassTree:
    """The tree as one GPU class sees it. Arrays are int64, one entry a position, and read-only.

    ``limit``, ``borrowing_ceiling`` (guaranteed + borrowing limit) and ``lending_limit`` hold UNLIMITED
    where there is none; ``ceiling`` is the smaller of the first two. ``reserve`` is the part of a guarantee
    that is not lent. ``reserved_below`` is what the children hold while nobody uses anything. ``shaped`` is the
    part of a guarantee that lies in cells which can be held: it does not scale down.
    """

    gpu_class: str
    group_ids: IntArray
    positions: Mapping[int, int]
    parent: IntArray
    levels: tuple[slice, ...]
    path_rank: IntArray
    inner: NDArray[np.bool_]
    guaranteed: IntArray
    limit: IntArray
    borrowing_ceiling: IntArray
    lending_limit: IntArray
    weight: IntArray
    ceiling: IntArray
    reserve: IntArray
    reserved_below: IntArray
    shaped: IntArray

    def __len__(self) -> int:
        return len(self.parent)

    def position(self, group: int) -> int:
        """Return the position of a group id, or raise UnknownGroupError."""
        try:
            return self.positions[group]
        except KeyError:
            raise UnknownGroupError(f"no group {group} in the quota tree") from None

    def array(self, amounts: Mapping[int, int]) -> IntArray:
        """Return ``amounts`` by group id as an array by position, 0 where none is given."""
        array = np.zeros(len(self), dtype=np.int64)
        for group, amount in amounts.items():
            array[self.position(group)] = amount
        return array

    def descents(self) -> Iterator[tuple[slice, slice, IntArray]]:
        """Yield (parents' level, children's level, each child's parent within its level), top first."""
        for above, below in pairwise(self.levels):
            yield above, below, self.parent[below] - above.start

    def ascents(self) -> Iterator[tuple[slice, slice, IntArray]]:
        """Yield what ``descents`` yields, bottom first."""
        yield from reversed(tuple(self.descents()))


@dataclass(frozen=True, slots=True, eq=False)
class QuotaTree:
    """All groups with all quotas. ``groups`` are in the order of positions, ``classes`` have quotas."""

    groups: tuple[Group, ...]
    quotas: Mapping[tuple[int, str], Quota]
    positions: Mapping[int, int]
    children: Mapping[int, tuple[int, ...]]  #: group id -> its children's ids, by name
    classes: tuple[str, ...]
    _parent: IntArray
    _levels: tuple[slice, ...]
    _path_rank: IntArray
    _position_of: IntArray  #: group id -> position
    shaped: Mapping[tuple[int, str], int] = field(default_factory=dict)  #: GPUs in a group's own cells that can be held
    _compiled: dict[str, ClassTree] = field(default_factory=dict)

    @staticmethod
    def build(groups: Iterable[Group], quotas: Mapping[tuple[int, str], Quota]) -> QuotaTree:
        """Compile a tree from groups in any order and quotas by (group id, GPU class).

        Raises TreeError for anything that makes no tree: no root or several, an unknown parent, a cycle, an
        id or a name among siblings given twice, a quota of an unknown group or with impossible numbers.
        Guarantees that do not fit into each other make a tree all the same: they scale down
        (``effective``).
        """
        members = list(groups)
        children, root = _children(members)
        by_id = {group.id: group for group in members}
        ordered, levels = _by_level(by_id, children, root)
        positions = {group.id: position for position, group in enumerate(ordered)}
        _check_quotas(quotas, positions)
        parent = [-1 if group.parent is None else positions[group.parent] for group in ordered]
        tree = QuotaTree(
            groups=tuple(ordered),
            quotas=dict(quotas),
            positions=positions,
            children=children,
            classes=tuple(sorted({gpu_class for _, gpu_class in quotas})),
            _parent=_frozen(parent),
            _levels=levels,
            _path_rank=_path_rank(children, positions, root),
            _position_of=_frozen([positions.get(number, -1) for number in range(max(positions) + 1)]),
        )
        for gpu_class in tree.classes:
            tree._compiled[gpu_class] = _compile(tree, gpu_class)
        return tree

    def positions_of(self, groups: IntArray) -> IntArray:
        """Return the position of each of many group ids, all of which have to be in the tree."""
        found: IntArray = self._position_of[groups]
        return found

    def with_quotas(self, changes: Mapping[tuple[int, str], Quota]) -> QuotaTree:
        """Return the tree with other quotas for some (group id, GPU class). Raises TreeError as ``build`` does."""
        return QuotaTree.build(self.groups, {**self.quotas, **changes})

    def with_shaped(self, shaped: Mapping[tuple[int, str], int]) -> QuotaTree:
        """Return the tree in which so many GPUs of groups (id, GPU class) lie in cells of their own that can be held."""
        return replace(self, shaped=dict(shaped), _compiled={})

    def of_class(self, gpu_class: str) -> ClassTree:
        """Return the tree as ``gpu_class`` sees it; without any quota: no guarantee, no limit."""
        known = self._compiled.get(gpu_class)
        if known is None:
            known = _compile(self, gpu_class)
            if len(self._compiled) < CLASSES_KEPT_MAX:
                self._compiled[gpu_class] = known
        return known

    def group(self, group: int) -> Group:
        """Return a group by id, or raise UnknownGroupError."""
        try:
            return self.groups[self.positions[group]]
        except KeyError:
            raise UnknownGroupError(f"no group {group} in the quota tree") from None

    def quota(self, group: int, gpu_class: str) -> Quota:
        """Return a group's quota of a class, the empty one where it has no row."""
        return self.quotas.get((group, gpu_class), NO_QUOTA)

    @property
    def root(self) -> Group:
        """The group that has no parent."""
        return self.groups[0]

    def subtree(self, group: int) -> frozenset[int]:
        """Return the ids of ``group`` and of all groups below it."""
        found, left = set(), [group]
        while left:
            each = left.pop()
            found.add(each)
            left += self.children.get(each, ())
        return frozenset(found)

    def path(self, group: int) -> tuple[int, ...]:
        """Return the ids from the root down to ``group``."""
        ids = [group]
        while (parent := self.group(ids[-1]).parent) is not None:
            ids.append(parent)
        return tuple(reversed(ids))


def _children(members: Sequence[Group]) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return each group's children by name, and the root's id."""
    ids: set[int] = set()
    for group in members:
        if group.id in ids:
            raise TreeError(f"group {group.id} is given twice")
        ids.add(group.id)
    roots = [group.id for group in members if group.parent is None]
    if len(roots) != 1:
        raise TreeError(f"a tree has one root, these groups have {len(roots)}: {roots}")
    below: defaultdict[int, list[Group]] = defaultdict(list)
    for group in members:
        if group.parent is None:
            continue
        if group.parent not in ids:
            raise TreeError(f"group {group.id} ({group.name}) has the unknown parent {group.parent}")
        below[group.parent].append(group)
    for parent, siblings in below.items():
        siblings.sort(key=lambda each: each.name)
        for first, second in pairwise(siblings):
            if first.name == second.name:
                raise TreeError(f"groups {first.id} and {second.id} below {parent} are both called {first.name}")
    return {parent: tuple(each.id for each in siblings) for parent, siblings in below.items()}, roots[0]


def _by_level(
    by_id: Mapping[int, Group], children: Mapping[int, tuple[int, ...]], root: int
) -> tuple[list[Group], tuple[slice, ...]]:
    ordered: list[Group] = []
    levels: list[slice] = []
    level = [root]
    while level:
        levels.append(slice(len(ordered), len(ordered) + len(level)))
        ordered.extend(by_id[each] for each in level)
        level = [child for each in level for child in children.get(each, ())]
    if len(ordered) < len(by_id):
        lost = sorted(by_id.keys() - {group.id for group in ordered})
        raise TreeError(f"groups {lost[:10]} lie on or below a cycle")
    return ordered, tuple(levels)


def _path_rank(children: Mapping[int, tuple[int, ...]], positions: Mapping[int, int], root: int) -> IntArray:
    """Return, by position, the rank of each group when all are sorted by the names on their paths."""
    ranks = [0] * len(positions)
    stack, rank = [root], 0
    while stack:
        group = stack.pop()
        ranks[positions[group]] = rank
        rank += 1
        stack.extend(reversed(children.get(group, ())))
    return _frozen(ranks)


def quota_out_of_range(quota: Quota) -> tuple[str, int, int] | None:
    """Return (field, value, bound) of the first number of a quota that cannot be, or None."""
    for name in ("guaranteed", "limit", "borrowing_limit", "lending_limit"):
        value: int | None = getattr(quota, name)
        if value is not None and not 0 <= value <= GPUS_MAX:
            return name, value, 0 if value < 0 else GPUS_MAX
    if not 1 <= quota.weight <= WEIGHT_MAX:
        return "weight", quota.weight, 1 if quota.weight < 1 else WEIGHT_MAX
    return cells_out_of_range(quota.cells)


def _check_quotas(quotas: Mapping[tuple[int, str], Quota], positions: Mapping[int, int]) -> None:
    for (group, gpu_class), quota in quotas.items():
        if group not in positions:
            raise TreeError(f"there is a quota of {gpu_class} for the unknown group {group}")
        if (wrong := quota_out_of_range(quota)) is not None:
            raise TreeError(f"the quota of group {group} of {gpu_class} has {wrong[0]} {wrong[1]}")


def _compile(tree: QuotaTree, gpu_class: str) -> ClassTree:
    count = len(tree.groups)
    guaranteed, weight = np.zeros(count, np.int64), np.ones(count, np.int64)
    limit, borrowing_ceiling, lending_limit = (np.full(count, UNLIMITED, np.int64) for _ in range(3))
    for (group, row_class), quota in tree.quotas.items():
        if row_class != gpu_class:
            continue
        position = tree.positions[group]
        weight[position] = quota.weight
        if quota.limit is not None:
            limit[position] = quota.limit
        if position == 0:  # the root guarantees, borrows and lends nothing of its own
            continue
        guaranteed[position] = quota.guaranteed
        if quota.borrowing_limit is not None:
            borrowing_ceiling[position] = quota.guaranteed + quota.borrowing_limit
        if quota.lending_limit is not None:
            lending_limit[position] = quota.lending_limit
    ceiling = np.minimum(limit, borrowing_ceiling)
    reserve = np.minimum(np.maximum(guaranteed - lending_limit, 0), ceiling)
    inner = np.zeros(count, dtype=np.bool_)
    inner[tree._parent[1:]] = True
    inner.setflags(write=False)
    return ClassTree(
        gpu_class=gpu_class,
        group_ids=_frozen([group.id for group in tree.groups]),
        positions=tree.positions,
        parent=tree._parent,
        levels=tree._levels,
        path_rank=tree._path_rank,
        inner=inner,
        guaranteed=_frozen(guaranteed),
        limit=_frozen(limit),
        borrowing_ceiling=_frozen(borrowing_ceiling),
        lending_limit=_frozen(lending_limit),
        weight=_frozen(weight),
        ceiling=_frozen(ceiling),
        reserve=_frozen(reserve),
        reserved_below=_frozen(_reserved_below(tree, reserve)),
        shaped=_frozen(_shaped(tree, gpu_class, guaranteed)),
    )


def _shaped(tree: QuotaTree, gpu_class: str, guaranteed: IntArray) -> IntArray:
    shaped = np.zeros(len(tree.groups), np.int64)
    for (group, row_class), gpus in tree.shaped.items():
        if row_class == gpu_class and group in tree.positions:
            shaped[tree.positions[group]] = gpus
    for level in reversed(tree._levels[1:]):
        shaped[level] = np.minimum(shaped[level], guaranteed[level])
        np.add.at(shaped, tree._parent[level], shaped[level])
    return shaped


def _reserved_below(tree: QuotaTree, reserve: IntArray) -> IntArray:
    below = np.zeros_like(reserve)
    for level in reversed(tree._levels[1:]):
        np.add.at(below, tree._parent[level], np.maximum(below[level], reserve[level]))
    return below


def _frozen(values: Sequence[int] | IntArray) -> IntArray:
    array = np.array(values, dtype=np.int64)
    array.setflags(write=False)
    return array
