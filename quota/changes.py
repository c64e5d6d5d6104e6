"""Changes of the policy: may this quota be set, this group be added or moved? None, or a refusal.

Guarantees are promises inside promises: the children's together never exceed their parent's. The root
promises what there is, so the guarantees below it are bounded by its limit alone; when there is too little,
they scale down (``effective``). No change ends running work: a group that comes to hold too much starts
nothing until it holds less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from quota.cell_promises import check_cells, check_moved_cells
from quota.errors import UnknownGroupError
from quota.refusal import Refusal, RefusalCode
from quota.tree import NO_QUOTA, Quota, QuotaTree, quota_out_of_range


def check_quota(tree: QuotaTree, group: int, gpu_class: str, new: Quota) -> Refusal | None:
    """Return why ``new`` may not become the quota of ``group`` for ``gpu_class``, or None when it may."""
    return check_quota_among(tree, {(group, gpu_class): new}, group, gpu_class)


def check_quota_among(
    tree: QuotaTree, changes: Mapping[tuple[int, str], Quota], group: int, gpu_class: str
) -> Refusal | None:
    """Return why one of ``changes``, that of ``group`` and ``gpu_class``, may not be made when all are made at once.

    All of them may exactly when there is an order in which each may be made by itself: what shrinks from below, then
    what grows from above. What would become as it stands is not judged.
    """
    new = changes[group, gpu_class]
    if group not in tree.positions:
        return Refusal(code=RefusalCode.UNKNOWN_GROUP, group=group, gpu_class=gpu_class, numbers={})
    if (wrong := quota_out_of_range(new)) is not None:
        name, value, bound = wrong
        numbers = {"value": value, "bound": bound}
        return Refusal(code=RefusalCode.OUT_OF_RANGE, group=group, gpu_class=gpu_class, field=name, numbers=numbers)
    if tree.quotas.get((group, gpu_class)) == new:
        return None
    if group == tree.root.id:
        return _check_root(tree, changes, gpu_class, new)
    if new.limit is not None and new.limit < new.guaranteed:
        numbers = {"value": new.limit, "bound": new.guaranteed}
        return Refusal(
            code=RefusalCode.LIMIT_BELOW_GUARANTEED,
            group=group,
            gpu_class=gpu_class,
            field="limit",
            numbers=numbers,
        )
    promised = _promised_by(tree, changes, group, gpu_class)
    if promised > new.guaranteed:
        return _guarantees(RefusalCode.GUARANTEED_BELOW_CHILDREN, group, gpu_class, promised, new.guaranteed)
    if (refusal := check_cells(tree, changes, group, gpu_class)) is not None:
        return refusal
    now, parent = tree.quota(group, gpu_class).guaranteed, _parent(tree, group)
    if new.guaranteed <= now:  # always welcome: what was over-promised before must be mendable step by step
        return None
    return _check_promise(tree, changes, parent, gpu_class, _promised_by(tree, changes, parent, gpu_class))


def check_new_group(tree: QuotaTree, parent: int, name: str) -> Refusal | None:
    """Return why a group called ``name`` may not be added below ``parent``, or None when it may."""
    if parent not in tree.positions:
        return Refusal(code=RefusalCode.UNKNOWN_GROUP, group=parent, field="parent", numbers={})
    for sibling in tree.children.get(parent, ()):
        if tree.group(sibling).name == name:
            return Refusal(code=RefusalCode.NAME_TAKEN, group=sibling, field="name", numbers={})
    return None


def check_move(tree: QuotaTree, group: int, parent: int) -> Refusal | None:
    """Return why ``group``, with all below it, may not be moved below ``parent``, or None when it may.

    Its guarantees have to fit into what the new parent has not promised yet, in every class.
    """
    for each in (group, parent):
        if each not in tree.positions:
            return Refusal(code=RefusalCode.UNKNOWN_GROUP, group=each, numbers={})
    if group in tree.path(parent):
        return Refusal(code=RefusalCode.GROUP_CYCLE, group=group, field="parent", numbers={})
    moved = tree.group(group)
    if moved.parent == parent:
        return None
    if (taken := check_new_group(tree, parent, moved.name)) is not None:
        return taken
    for gpu_class in tree.classes:
        if not (guaranteed := tree.quota(group, gpu_class).guaranteed):
            continue
        if (refusal := check_moved_cells(tree, group, parent, gpu_class)) is not None:
            return refusal
        asked = _promised_by(tree, {}, parent, gpu_class) + guaranteed
        if (refusal := _check_promise(tree, {}, parent, gpu_class, asked)) is not None:
            return refusal
    return None


def _check_root(
    tree: QuotaTree, changes: Mapping[tuple[int, str], Quota], gpu_class: str, new: Quota
) -> Refusal | None:
    root = tree.root.id
    if replace(new, limit=None) != NO_QUOTA:
        return Refusal(code=RefusalCode.ROOT_QUOTA, group=root, gpu_class=gpu_class, numbers={})
    promised = _promised_by(tree, changes, root, gpu_class)
    if new.limit is not None and promised > new.limit:
        return _guarantees(RefusalCode.GUARANTEED_BELOW_CHILDREN, root, gpu_class, promised, new.limit)
    return None


def _check_promise(
    tree: QuotaTree, changes: Mapping[tuple[int, str], Quota], parent: int, gpu_class: str, asked: int
) -> Refusal | None:
    """Return why the children of ``parent`` may not be guaranteed ``asked`` together, or None when they may."""
    quota = _after(tree, changes, parent, gpu_class)
    promise = quota.limit if parent == tree.root.id else quota.guaranteed
    if promise is None or asked <= promise:
        return None
    return _guarantees(RefusalCode.GUARANTEE_EXCEEDED, parent, gpu_class, asked, promise)


def _promised_by(tree: QuotaTree, changes: Mapping[tuple[int, str], Quota], group: int, gpu_class: str) -> int:
    """Return what the children of ``group`` are guaranteed together once ``changes`` are made."""
    return sum(_after(tree, changes, child, gpu_class).guaranteed for child in tree.children.get(group, ()))


def _after(tree: QuotaTree, changes: Mapping[tuple[int, str], Quota], group: int, gpu_class: str) -> Quota:
    changed = changes.get((group, gpu_class))
    return tree.quota(group, gpu_class) if changed is None else changed


def _parent(tree: QuotaTree, group: int) -> int:
    parent = tree.group(group).parent
    if parent is None:
        raise UnknownGroupError(f"group {group} is the root and has no parent")
    return parent


def _guarantees(code: RefusalCode, group: int, gpu_class: str, asked: int, limit: int) -> Refusal:
    numbers = {"asked": asked, "limit": limit, "excess": asked - limit}
    return Refusal(code=code, group=group, gpu_class=gpu_class, field="guaranteed", numbers=numbers)
