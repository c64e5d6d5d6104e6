"""The group tree: seen, grown, moved."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from quota.changes import check_move
from quota.refusal import Refusal as QuotaRefusal
from quota.refusal import RefusalCode
from quota.tree import Group as TreeGroup
from quota.tree import QuotaTree
from scheduler.model.group_order import GroupOrder
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import group_for, holds, sees
from scheduler.service.caller import Caller, Role
from scheduler.service.directory import Directory, GroupView, read_directory
from scheduler.service.protection import protect_jobs
from scheduler.service.quota_fact import quota_fact
from scheduler.service.runtime import Runtime, access_changed
from scheduler.store import groups, quotas
from scheduler.store.groups import ROOT_PATH, NewGroup
from scheduler.store.transaction import WriteTransaction

_KINDS = ("federation", "sector", "institution", "project")
DEPTH_MAX = 8


def path_below(parent: GroupView, name: str) -> str:
    """The path of a child: names below the federation, joined by dots."""
    return name if parent.path == ROOT_PATH else f"{parent.path}.{name}"


def list_groups(runtime: Runtime, caller: Caller) -> list[GroupView]:
    """The groups that exist for the caller, by path."""
    directory = runtime.directories.newest()
    return [
        directory.by_path[path]
        for path in sorted(directory.by_path)
        if sees(directory, caller, directory.by_path[path])
    ]


def show_group(runtime: Runtime, caller: Caller, path: str) -> GroupView | Refusal:
    """One group."""
    directory = runtime.directories.newest()
    group = directory.by_path.get(path)
    if group is None or not sees(directory, caller, group):
        return refuse(ReasonCode.GROUP_NOT_FOUND, field="group", group=path)
    return group


def roles_on(caller: Caller, group: GroupView) -> list[str]:
    """The caller's roles on a group, inherited ones too."""
    return sorted({role.value for ancestor in group.ancestors for role in caller.roles.get(ancestor, ())})


def create_group(
    transaction: WriteTransaction,
    runtime: Runtime,
    caller: Caller,
    *,
    parent_path: str,
    name: str,
    sector: str | None,
    data_class: str | None,
    trust_domain: str | None,
    output_bytes_max: int | None,
    example: bool,
    why: str,
) -> GroupView | Refusal:
    """Add a group below one that the caller manages. The sector is named at the top and inherited below."""
    _ = transaction.change
    directory = read_directory(transaction.connection)
    parent = group_for(directory, caller, parent_path, Role.MANAGER)
    if isinstance(parent, Refusal):
        return parent
    at_top = parent.path == ROOT_PATH
    if at_top and sector is None:
        problem = "name the sector of a group directly below the federation"
        problem_ko = "연합 바로 아래 그룹에는 sector가 필요합니다"
        return refuse(ReasonCode.INVALID_FIELD, field="sector", problem=problem, problem_ko=problem_ko)
    if not at_top and sector not in (None, parent.row.sector):
        return refuse(ReasonCode.SECTOR_DIFFERS, field="sector", value=sector, bound=parent.row.sector)
    path = path_below(parent, name)
    if path in directory.by_path:
        return refuse(ReasonCode.NAME_TAKEN, field="name", name=name)
    if len(parent.ancestors) >= DEPTH_MAX:
        return refuse(ReasonCode.TREE_TOO_DEEP, field="parent", value=len(parent.ancestors) + 1, bound=DEPTH_MAX)
    row = groups.add(
        transaction,
        NewGroup(
            parent_id=parent.id,
            name=name,
            path=path,
            kind=_kind_at(len(parent.ancestors)),
            sector=sector or parent.row.sector,
            trust_domain=trust_domain,
            data_class=data_class,
            output_bytes_max=output_bytes_max,
            example=example,
        ),
    )
    data = {"path": path, "sector": row.sector}
    transaction.event("group.created", actor=caller.person, why=why, group_id=row.id, data=data)
    _tree_changed(transaction, runtime)
    return read_directory(transaction.connection).by_id[row.id]


def set_output_limit(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, path: str, bytes_max: int | None, why: str
) -> GroupView | Refusal:
    """Set how large a job's outputs may be in a group and below; None: as above it. Managers of the group's parent."""
    _ = transaction.change
    directory = read_directory(transaction.connection)
    group = group_for(directory, caller, path, Role.VIEWER)
    if isinstance(group, Refusal):
        return group
    decider = group if group.row.parent_id is None else directory.by_id[group.row.parent_id]
    if not holds(caller, decider, Role.MANAGER):
        return refuse(ReasonCode.FORBIDDEN, needed=Role.MANAGER.value, where=decider.path)
    if group.row.output_bytes_max != bytes_max:
        groups.set_output_bytes_max(transaction, group.id, bytes_max)
        data = {"before": group.row.output_bytes_max, "after": bytes_max}
        transaction.event("group.output_limit", actor=caller.person, why=why, group_id=group.id, data=data)
        _tree_changed(transaction, runtime)
    return read_directory(transaction.connection).by_id[group.id]


def set_order(
    transaction: WriteTransaction,
    runtime: Runtime,
    caller: Caller,
    path: str,
    order: GroupOrder | None,
    *,
    etag: str,
    why: str,
) -> GroupView | Refusal:
    """Set which jobs of one priority go first in a group and below; None: as above it. The group's own managers: it takes
    nothing from any other group. Jobs that wait are put in the new order; ``etag`` is that of the group that was read."""
    _ = transaction.change
    directory = read_directory(transaction.connection)
    group = group_for(directory, caller, path, Role.MANAGER)
    if isinstance(group, Refusal):
        return group
    if etag != str(group.row.change):
        return refuse(ReasonCode.ETAG_MISMATCH, field="If-Match", current=str(group.row.change))
    own = None if order is None else order.value
    if group.row.job_order != own:
        groups.set_job_order(transaction, group.id, own)
        data = {"before": group.row.job_order, "after": own}
        transaction.event("group.order", actor=caller.person, why=why, group_id=group.id, data=data)
        _tree_changed(transaction, runtime)
    return read_directory(transaction.connection).by_id[group.id]


def move_group(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, path: str, parent_path: str, why: str
) -> GroupView | Refusal:
    """Hang a group, with all below it, below another one. Both parents' managers may; no running job ends."""
    _ = transaction.change
    directory = read_directory(transaction.connection)
    group = group_for(directory, caller, path, Role.MANAGER)
    if isinstance(group, Refusal):
        return group
    if group.row.parent_id is None:
        return refuse(ReasonCode.GROUP_CYCLE, field="group", group=path)
    old_parent = directory.by_id[group.row.parent_id]
    if not holds(caller, old_parent, Role.MANAGER):
        return refuse(ReasonCode.FORBIDDEN, needed=Role.MANAGER.value, where=old_parent.path)
    parent = group_for(directory, caller, parent_path, Role.MANAGER)
    if isinstance(parent, Refusal):
        return parent
    refusal = check_move(quota_tree(transaction.connection, directory), group.id, parent.id)
    if refusal is not None:
        return refusal_of_quota(directory, refusal, name=group.row.name)
    deepest = max(len(directory.by_id[each].ancestors) for each in directory.subtree_ids[group.id])
    depth = len(parent.ancestors) + deepest - len(group.ancestors) + 1
    if depth > DEPTH_MAX + 1:
        return refuse(ReasonCode.TREE_TOO_DEEP, field="parent", value=depth, bound=DEPTH_MAX + 1)
    sector = group.row.sector if parent.path == ROOT_PATH else parent.row.sector
    groups.move(transaction, group.row, parent_id=parent.id, path=path_below(parent, group.row.name), sector=sector)
    data = {"from": path, "to": path_below(parent, group.row.name)}
    transaction.event("group.moved", actor=caller.person, why=why, group_id=group.id, data=data)
    _tree_changed(transaction, runtime)
    after = read_directory(transaction.connection)
    moved = [after.by_id[each] for each in after.subtree_ids[group.id]]
    kinds = {view.id: _kind_at(len(view.ancestors) - 1) for view in moved}
    groups.set_kinds(transaction, {view.id: kinds[view.id] for view in moved if view.row.kind != kinds[view.id]})
    after = read_directory(transaction.connection)
    if after.by_id[group.id].data_class is not group.data_class:
        protect_jobs(transaction, [after.by_id[each] for each in after.subtree_ids[group.id]])
    return after.by_id[group.id]


def _kind_at(depth: int) -> str:
    """What a group is called by how many stand above it."""
    return _KINDS[min(depth, len(_KINDS) - 1)]


def _tree_changed(transaction: WriteTransaction, runtime: Runtime) -> None:
    access_changed(transaction, runtime)
    transaction.on_commit(runtime.world.forget)
    transaction.after_commit("scheduler")


def quota_tree(connection: Connection, directory: Directory) -> QuotaTree:
    """The tree with its quotas as they are now."""
    rows = quotas.every(connection)
    return QuotaTree.build(
        _tree_groups(directory.by_id.values()), {(row.group_id, row.gpu_class): quota_fact(row) for row in rows}
    )


def _tree_groups(views: Iterable[GroupView]) -> list[TreeGroup]:
    return [TreeGroup(view.id, view.row.name, view.row.parent_id) for view in views]


#: Refusals whose field is the kind of cells that they speak of.
_OF_A_KIND = {
    RefusalCode.CELLS_BEYOND_PARENT,
    RefusalCode.CELLS_EXCEEDED,
    RefusalCode.CELLS_IN_THE_WAY,
    RefusalCode.CELLS_UNPROVEN,
}
_CODE_OF_CHANGE = {
    RefusalCode.GUARANTEE_EXCEEDED: ReasonCode.GUARANTEE_EXCEEDED,
    RefusalCode.GUARANTEED_BELOW_CHILDREN: ReasonCode.GUARANTEE_EXCEEDED,
    RefusalCode.LIMIT_BELOW_GUARANTEED: ReasonCode.LIMIT_BELOW_GUARANTEED,
    RefusalCode.ROOT_QUOTA: ReasonCode.FEDERATION_QUOTA,
    RefusalCode.CELLS_BEYOND_PARENT: ReasonCode.CELLS_BEYOND_PARENT,
    RefusalCode.CELLS_ABOVE_GUARANTEE: ReasonCode.CELLS_ABOVE_GUARANTEE,
    RefusalCode.CELLS_EXCEEDED: ReasonCode.CELLS_EXCEEDED,
    RefusalCode.CELLS_IN_THE_WAY: ReasonCode.CELLS_IN_THE_WAY,
    RefusalCode.CELLS_UNPROVEN: ReasonCode.CELLS_UNPROVEN,
    RefusalCode.GROUP_CYCLE: ReasonCode.GROUP_CYCLE,
    RefusalCode.NAME_TAKEN: ReasonCode.NAME_TAKEN,
    RefusalCode.UNKNOWN_GROUP: ReasonCode.GROUP_NOT_FOUND,
}


def refusal_of_quota(directory: Directory, refusal: QuotaRefusal, *, name: str = "") -> Refusal:
    """Why the tree does not take a change, in the words of the edge."""
    group = directory.by_id.get(refusal.group)
    path = group.path if group is not None else str(refusal.group)
    code = _CODE_OF_CHANGE.get(refusal.code, ReasonCode.QUOTA_INCONSISTENT)
    numbers: dict[str, int | float | str | None] = dict(refusal.numbers)
    numbers |= {"group": path, "gpu_class": refusal.gpu_class, "name": name}
    if refusal.code in _OF_A_KIND:
        return refuse(code, field="cells", cell=refusal.field, **numbers)
    return refuse(code, field=refusal.field or "quota", **numbers)
