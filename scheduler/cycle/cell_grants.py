"""Whether cells may be granted: judged against the nodes that sites have told of, bad ones left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quota.cell_promises import check_guarantee_of_cells, rights_of, shortage
from quota.cells import Granted, grant
from quota.packing import CellKind
from quota.refusal import Refusal, RefusalCode
from quota.tree import Quota, QuotaTree
from scheduler.cycle.cell_topology import cell_topology
from scheduler.cycle.cells import placed_under
from scheduler.cycle.snapshot import Snapshot


def why_not_granted(
    snapshot: Callable[[], Snapshot],
    tree: QuotaTree,
    changes: Mapping[tuple[int, str], Quota],
    group: int,
    gpu_class: str,
) -> Refusal | None:
    """Return why one of ``changes``, that of ``group`` and ``gpu_class``, may not be made for the cells in it or around it.

    A guarantee holds the GPUs of its cells. What topmost groups are granted can all be held at once. ``snapshot`` is asked
    only where there are cells.
    """
    after = QuotaTree.build(tree.groups, {**tree.quotas, **changes})
    parent = tree.group(group).parent
    around = [each for each in (group, parent) if each is not None and after.quota(each, gpu_class).cells]
    if not around:
        return None
    seen = snapshot()
    gpus_per_node = max((node.gpus for node in seen.nodes.values() if node.gpu_class == gpu_class), default=0)
    refusal = check_guarantee_of_cells(tree, changes, group, gpu_class, gpus_per_node)
    if refusal is not None or parent != tree.root.id:
        return refusal
    new, now = after.quota(group, gpu_class).cells, tree.quota(group, gpu_class).cells
    if shortage(new, now) is None:  # less is always welcome
        return None
    below = after.subtree(group)
    others = {right: number for right, number in rights_of(after, gpu_class).items() if right.group not in below}
    wish = {CellKind(gpu_class, each.level, each.nodes): each.number for each in new}
    granted = grant(Granted(rights=others, worth=others), group, wish, cell_topology(seen))
    return granted if isinstance(granted, Refusal) else _why_in_the_way(seen, after, group, gpu_class)


def _why_in_the_way(snapshot: Snapshot, after: QuotaTree, group: int, gpu_class: str) -> Refusal | None:
    """Return a refusal where work that cannot be called back leaves the cells of a class fewer places than there would be cells.

    What the widest kind of the group's is short of is taken for what is too much.
    """
    worth = placed_under(snapshot, after, gpu_class).worth
    rights = rights_of(after, gpu_class)
    short = {right: number - worth.get(right, 0) for right, number in rights.items() if worth.get(right, 0) < number}
    if not short:
        return None
    below = after.subtree(group)
    kind = max((right.group in below, right.kind) for right in short)[1]
    of_kind = {right: number for right, number in rights.items() if right.kind == kind}
    asked = sum(number for right, number in of_kind.items() if right.group in below)
    missing = sum(short.values())
    numbers = {
        "asked": asked,
        "limit": max(asked - missing, 0),
        "short": missing,
        "granted": sum(of_kind.values()) - asked,
        "bad": sum(not node.healthy for node in snapshot.nodes.values() if node.gpu_class == gpu_class),
    }
    code = RefusalCode.CELLS_IN_THE_WAY
    return Refusal(code=code, group=group, gpu_class=gpu_class, field=str(kind), numbers=numbers)
