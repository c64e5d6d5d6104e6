"""How many nodes of a leaf take work at a time at a site, so that the others stay spares."""

from __future__ import annotations

from scheduler.model.reason import Refusal
from scheduler.service.caller import Caller
from scheduler.service.quotas import why_unknown
from scheduler.service.runtime import Runtime
from scheduler.service.sites import operated_with_reason
from scheduler.store import sites
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction


def set_block(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, gpu_class: str, nodes: int, why: str
) -> SiteRow | Refusal:
    """Have so many nodes of each leaf take work, of a GPU class. What runs on more of them goes on. Administrators and the
    site's operators."""
    return _change(transaction, runtime, caller, name, gpu_class, nodes, why)


def clear_block(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, gpu_class: str, why: str
) -> SiteRow | Refusal:
    """Have all nodes of a GPU class take work again. Administrators and the site's operators."""
    return _change(transaction, runtime, caller, name, gpu_class, None, why)


def _change(
    transaction: WriteTransaction,
    runtime: Runtime,
    caller: Caller,
    name: str,
    gpu_class: str,
    nodes: int | None,
    why: str,
) -> SiteRow | Refusal:
    row = operated_with_reason(transaction, caller, name, why)
    if isinstance(row, Refusal):
        return row
    unknown = None if nodes is None else why_unknown(transaction.connection, gpu_class)
    if unknown is not None:
        return unknown
    before = row.block_nodes or {}
    after = {each: number for each, number in before.items() if each != gpu_class}
    if nodes is not None:
        after[gpu_class] = nodes
    if after == before:
        return row
    changed = sites.change(transaction, row.id, block_nodes=after or None)
    data = {"gpu_class": gpu_class, "nodes": nodes}
    transaction.event("site.block", actor=caller.person, why=why, site_id=row.id, data=data)
    transaction.after_commit("scheduler")
    transaction.on_commit(runtime.world.forget)
    return changed
