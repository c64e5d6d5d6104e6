"""Quotas of groups: seen with their use, set against the ETag that was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from quota.changes import check_quota
from quota.tree import Quota as TreeQuota
from scheduler.cycle.cell_grants import why_not_granted
from scheduler.cycle.use import ClassUse, class_uses
from scheduler.model.ids import GroupId
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import group_for
from scheduler.service.caller import Caller, Role
from scheduler.service.directory import Directory, GroupView, read_directory
from scheduler.service.groups import quota_tree, refusal_of_quota
from scheduler.service.quota_fact import in_order, quota_fact, written_cells
from scheduler.service.runtime import Runtime
from scheduler.store import gpu_classes, nodes, quotas
from scheduler.store.quotas import Quota
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaView:
    """A quota of one GPU class, and how it is used. ``row`` is None where none was set."""

    group: str
    gpu_class: str
    row: Quota | None
    use: ClassUse


#: GPUs on average; less is not worth a line.
PAST_USE_MIN = 0.0005


def show_quotas(runtime: Runtime, caller: Caller, path: str) -> list[QuotaView] | Refusal:
    """A group's quotas and use by GPU class; for those who view it."""
    group = group_for(runtime.directories.newest(), caller, path, Role.VIEWER)
    if isinstance(group, Refusal):
        return group
    snapshot = runtime.world.snapshot()
    with runtime.database.read() as connection:
        rows = {row.gpu_class: row for row in quotas.of_group(connection, group.id)}
    if GroupId(group.id) not in snapshot.groups:
        return []
    uses = {use.gpu_class: use for use in class_uses(snapshot, GroupId(group.id))}
    return [
        QuotaView(group=path, gpu_class=name, row=rows.get(name), use=uses.get(name) or _unused(name))
        for name in sorted(uses.keys() | rows.keys())
        if name not in rows or not _says_nothing(rows[name]) or _is_used(uses.get(name))
    ]


def with_use(runtime: Runtime, view: QuotaView) -> QuotaView:
    """The same quota, with its use as it is now."""
    snapshot, group = runtime.world.snapshot(), runtime.directories.newest().by_path.get(view.group)
    if group is None or GroupId(group.id) not in snapshot.groups:
        return view
    uses = {use.gpu_class: use for use in class_uses(snapshot, GroupId(group.id))}
    return replace(view, use=uses.get(view.gpu_class, view.use))


def _is_used(use: ClassUse | None) -> bool:
    return use is not None and (
        (use.used, use.queued, use.fair_share, use.guaranteed_effective) != (0, 0, 0, 0)
        or use.before_gpus >= PAST_USE_MIN
    )


def _says_nothing(row: Quota) -> bool:
    """Whether a row means what no row means: so one is cleared."""
    return quota_fact(row) == TreeQuota()


def _unused(gpu_class: str) -> ClassUse:
    return ClassUse(gpu_class=gpu_class, guaranteed_effective=0, used=0, borrowed=0, fair_share=0, queued=0)


def set_quota(
    transaction: WriteTransaction,
    runtime: Runtime,
    caller: Caller,
    path: str,
    gpu_class: str,
    new: TreeQuota,
    *,
    etag: str | None,
    why: str,
) -> QuotaView | Refusal:
    """Set a quota as a whole. Managers of the group's parent; ``etag`` is what was read, None for a first one.

    It ends no running job.
    """
    _ = transaction.change
    directory = read_directory(transaction.connection)
    group = group_to_set(directory, caller, path)
    if isinstance(group, Refusal):
        return group
    new = replace(new, cells=in_order(new.cells))
    before = quotas.find(transaction.connection, group.id, gpu_class)
    current = None if before is None else str(before.change)
    cleared = before is not None and _says_nothing(before) and etag is None
    if current != etag and not cleared:
        return refuse(ReasonCode.ETAG_MISMATCH, field="If-Match", current=current or "-")
    if before is not None and quota_fact(before) == new:
        return QuotaView(group=path, gpu_class=gpu_class, row=before, use=_unused(gpu_class))
    if before is None and (unknown := why_unknown(transaction.connection, gpu_class)) is not None:
        return unknown
    tree = quota_tree(transaction.connection, directory)
    refusal = check_quota(tree, group.id, gpu_class, new)
    if refusal is None:
        refusal = why_not_granted(runtime.world.snapshot, tree, {(group.id, gpu_class): new}, group.id, gpu_class)
    if refusal is not None:
        return refusal_of_quota(directory, refusal)
    row = quotas.put(
        transaction,
        group_id=group.id,
        gpu_class=gpu_class,
        guaranteed=new.guaranteed,
        limit=new.limit,
        borrowing_limit=new.borrowing_limit,
        lending_limit=new.lending_limit,
        weight=new.weight,
        cells=written_cells(new.cells),
    )
    data = {"gpu_class": gpu_class, "before": _numbers(before), "after": _numbers(row)}
    transaction.event("quota.set", actor=caller.person, why=why, group_id=group.id, data=data)
    transaction.on_commit(runtime.world.forget)
    transaction.after_commit("scheduler")
    return QuotaView(group=path, gpu_class=gpu_class, row=row, use=_unused(gpu_class))


def group_to_set(directory: Directory, caller: Caller, path: str) -> GroupView | Refusal:
    """The group at ``path`` if the caller may set its quotas: managers of its parent; of the federation's its own."""
    group = group_for(directory, caller, path, Role.VIEWER)
    if isinstance(group, Refusal):
        return group
    decider = group if group.row.parent_id is None else directory.by_id[group.row.parent_id]
    if isinstance(group_for(directory, caller, decider.path, Role.MANAGER), Refusal):
        return refuse(ReasonCode.FORBIDDEN, needed=Role.MANAGER.value, where=decider.path)
    return group


def why_unknown(connection: Connection, gpu_class: str) -> Refusal | None:
    """A refusal unless the exchange table or some site names the class; a new one enters the table first."""
    known = {row.name for row in gpu_classes.every(connection)} | nodes.known_classes(connection)
    if gpu_class in known:
        return None
    names = ", ".join(sorted(known)) or "-"
    return refuse(ReasonCode.UNKNOWN_GPU_CLASS, field="gpu_class", gpu_class=gpu_class, known=names)


def _numbers(row: Quota | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "guaranteed": row.guaranteed,
        "limit": row.limit,
        "borrowing_limit": row.borrowing_limit,
        "lending_limit": row.lending_limit,
        "weight": row.weight,
        "cells": row.cells or [],
    }
