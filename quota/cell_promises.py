"""Cells as promises inside promises: a group's cells are some of its parent's, those of the topmost groups are rights.

A child's cell is one of its parent's cells of the same level with as many nodes or more, which it has whole. So the
children of a group can have theirs exactly when, for every level and number of nodes, they have no more cells of so
many nodes or more than the group has (Hall's condition, for sets that lie in each other). What the topmost groups are
granted has to be there at once, of which ``cells.grant`` speaks; what is below them is there with it.

A guarantee holds the GPUs of its cells, and beside them whatever its children are guaranteed without a shape: else these
could use up what the cells are made of.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from quota.cell_shape import Cells, Level, nodes_of
from quota.cells import Right
from quota.packing import CellKind
from quota.refusal import Refusal, RefusalCode
from quota.tree import Quota, QuotaTree

Changes = Mapping[tuple[int, str], Quota]
_Shortage = tuple[Level, int, int, int]


def check_cells(tree: QuotaTree, changes: Changes, group: int, gpu_class: str) -> Refusal | None:
    """Return why the cells of one of ``changes``, that of ``group`` and ``gpu_class``, do not go with those above and below
    it when all are made at once, or None where they do. What would become as it stands is not judged, nor is what shrinks
    judged against its parent's."""
    new = changes[group, gpu_class]
    parent = tree.group(group).parent
    if parent is None or new.cells == tree.quota(group, gpu_class).cells:
        return None
    inner, inner_parent = _below(tree, changes, group, gpu_class), _below(tree, changes, parent, gpu_class)
    if (short := shortage(inner, new.cells)) is not None:
        return _refusal(group, gpu_class, short)
    if parent == tree.root.id or shortage(new.cells, tree.quota(group, gpu_class).cells) is None:
        return None
    short = shortage(inner_parent, _after(tree, changes, parent, gpu_class).cells)
    return None if short is None else _refusal(parent, gpu_class, short)


def check_moved_cells(tree: QuotaTree, group: int, parent: int, gpu_class: str) -> Refusal | None:
    """Return why the cells of ``group`` do not go with those of another parent's children, or None where they do.

    The root has none: what would become topmost has to be granted there.
    """
    cells = tree.quota(group, gpu_class).cells
    short = (
        shortage([*cells, *_below(tree, {}, parent, gpu_class)], tree.quota(parent, gpu_class).cells) if cells else None
    )
    return None if short is None else _refusal(parent, gpu_class, short)


def check_guarantee_of_cells(
    tree: QuotaTree, changes: Changes, group: int, gpu_class: str, gpus_per_node: int
) -> Refusal | None:
    """Return why a guarantee of ``changes`` holds too little for the cells in it, on nodes of so many GPUs, or None where it
    holds enough: of the group that changes, then of its parent. What was so before and becomes no worse is not judged."""
    parent = tree.group(group).parent
    for each in (group, parent):
        if each is None or each == tree.root.id:
            continue
        before = _promised(tree, {}, each, gpu_class, gpus_per_node)
        after = _promised(tree, changes, each, gpu_class, gpus_per_node)
        limit = _after(tree, changes, each, gpu_class).guaranteed
        fell = limit < tree.quota(each, gpu_class).guaranteed
        if after > limit and (after > before or fell) and _after(tree, changes, each, gpu_class).cells:
            numbers = {"asked": after, "limit": limit, "excess": after - limit}
            code = RefusalCode.CELLS_ABOVE_GUARANTEE
            return Refusal(code=code, group=each, gpu_class=gpu_class, field="guaranteed", numbers=numbers)
    return None


def shortage(inner: Iterable[Cells], outer: Iterable[Cells]) -> _Shortage | None:
    """Return the first (level, nodes, asked, limit) of which ``inner`` has more cells of so many nodes or more than ``outer``,
    wide before narrow and large before small; None where each of ``inner`` can be one of ``outer``."""
    inner, outer = tuple(inner), tuple(outer)
    for level, nodes in sorted({(each.level, each.nodes) for each in inner}, reverse=True):
        asked, limit = (
            sum(each.number for each in cells if each.level == level and each.nodes >= nodes)
            for cells in (inner, outer)
        )
        if asked > limit:
            return level, nodes, asked, limit
    return None


def rights_of(tree: QuotaTree, gpu_class: str) -> dict[Right, int]:
    """Return every right to cells of a class: of each cell of a topmost group, the kind it is promised as, and the lowest
    group that has it. A group's cells that no child has are its own.

    Children's cells, the largest first and ties by group id, take the smallest of their parent's that hold them. Where
    promises do not fit into each other, those that find no place count for nothing.
    """
    found: Counter[Right] = Counter()
    for top in tree.children.get(tree.root.id, ()):
        cells = [(each, each) for each in _singly(tree.quota(top, gpu_class).cells)]
        for group, kind in _handed_down(tree, gpu_class, top, cells):
            found[Right(group, CellKind(gpu_class, kind[0], kind[1]))] += 1
    return dict(found)


_Kind = tuple[Level, int]


def _handed_down(
    tree: QuotaTree, gpu_class: str, group: int, cells: list[tuple[_Kind, _Kind]]
) -> Iterator[tuple[int, _Kind]]:
    """Yield who has each of ``cells`` (as the group has it, as the topmost group is promised it) in the end."""
    left: defaultdict[_Kind, list[_Kind]] = defaultdict(list)
    for own, promised in sorted(cells, reverse=True):
        left[own].append(promised)
    wanted = [
        (kind, -child) for child in tree.children.get(group, ()) for kind in _singly(tree.quota(child, gpu_class).cells)
    ]
    given: defaultdict[int, list[tuple[_Kind, _Kind]]] = defaultdict(list)
    for kind, minus_child in sorted(wanted, reverse=True):
        holding = min((own for own in left if left[own] and own[0] == kind[0] and own[1] >= kind[1]), default=None)
        if holding is not None:
            given[-minus_child].append((kind, left[holding].pop()))
    yield from ((group, promised) for kept in left.values() for promised in kept)
    for child in sorted(given):
        yield from _handed_down(tree, gpu_class, child, given[child])


def _singly(cells: tuple[Cells, ...]) -> Iterator[_Kind]:
    return ((each.level, each.nodes) for each in cells for _ in range(each.number))


def _below(tree: QuotaTree, changes: Changes, group: int, gpu_class: str) -> list[Cells]:
    return [each for child in tree.children.get(group, ()) for each in _after(tree, changes, child, gpu_class).cells]


def _promised(tree: QuotaTree, changes: Changes, group: int, gpu_class: str, gpus_per_node: int) -> int:
    """Return the GPUs of a group's cells and of what its children are guaranteed without a shape."""
    shaped = nodes_of(_after(tree, changes, group, gpu_class).cells) * gpus_per_node
    children = (_after(tree, changes, child, gpu_class) for child in tree.children.get(group, ()))
    return shaped + sum(max(each.guaranteed - nodes_of(each.cells) * gpus_per_node, 0) for each in children)


def _refusal(group: int, gpu_class: str, short: _Shortage) -> Refusal:
    level, nodes, asked, limit = short
    numbers = {"asked": asked, "limit": limit, "short": asked - limit}
    kind = str(CellKind(gpu_class, level, nodes))
    code = RefusalCode.CELLS_BEYOND_PARENT
    return Refusal(code=code, group=group, gpu_class=gpu_class, field=kind, numbers=numbers)


def _after(tree: QuotaTree, changes: Changes, group: int, gpu_class: str) -> Quota:
    changed = changes.get((group, gpu_class))
    return tree.quota(group, gpu_class) if changed is None else changed
