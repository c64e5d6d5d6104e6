"""A site's nodes as those who run it see them: what speaks against each, and which are set aside."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.ids import NodeId
from scheduler.model.node_fault import Standing
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.bad_nodes import standings
from scheduler.service.caller import Caller
from scheduler.service.runtime import Runtime
from scheduler.service.sites import inspected_site, operated_with_reason
from scheduler.store import nodes
from scheduler.store.nodes import NodeRow
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node, how it stands, and whether it is a ``spare`` that takes no work now."""

    row: NodeRow
    standing: Standing
    spare: bool


def list_nodes(runtime: Runtime, caller: Caller, name: str, *, aside: bool) -> list[NodeView] | Refusal:
    """A site's nodes by name, with ``aside`` those that are set aside; for those who may inspect it."""
    now_ms = runtime.clock.now_ms()
    spares = runtime.world.snapshot().spares
    with runtime.database.read() as connection:
        site = inspected_site(connection, caller, name)
        if isinstance(site, Refusal):
            return site
        rows = [row for row in nodes.of_site(connection, site.id) if row.aside_ms is not None or not aside]
        against = standings(connection, rows, now_ms)
    return [NodeView(row=row, standing=against[row.id], spare=NodeId(row.id) in spares) for row in rows]


def set_node_aside(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, node: str, why: str
) -> NodeView | Refusal:
    """Have nothing start on a node; what runs there goes on. One that is set aside already stays as it is. Administrators and
    the site's operators."""
    row = _operated_node(transaction, caller, name, node, why)
    if isinstance(row, Refusal):
        return row
    if row.aside_ms is None:
        numbers = {"person": caller.person, "node": row.name, "why": why}
        nodes.set_aside(
            transaction, row.id, caller.person, {"code": ReasonCode.NODE_SET_ASIDE_BY.value, "numbers": numbers}
        )
        _tell(transaction, runtime, caller, row, "node.set_aside", why)
    return _view(transaction, row)


def return_node(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, node: str, why: str
) -> NodeView | Refusal:
    """Have a node take work again; what failed there before speaks against it no more. Administrators and the site's
    operators."""
    row = _operated_node(transaction, caller, name, node, why)
    if isinstance(row, Refusal):
        return row
    if row.aside_ms is not None:
        nodes.give_back(transaction, row.id)
        _tell(transaction, runtime, caller, row, "node.returned", why)
    return _view(transaction, row)


def _operated_node(transaction: WriteTransaction, caller: Caller, name: str, node: str, why: str) -> NodeRow | Refusal:
    site = operated_with_reason(transaction, caller, name, why)
    if isinstance(site, Refusal):
        return site
    row = nodes.by_name(transaction.connection, site.id, node)
    return refuse(ReasonCode.NODE_NOT_FOUND, field="node", site=name, node=node) if row is None else row


def _tell(transaction: WriteTransaction, runtime: Runtime, caller: Caller, row: NodeRow, kind: str, why: str) -> None:
    transaction.event(kind, actor=caller.person, why=why, site_id=row.site_id, data={"node": row.name})
    transaction.after_commit("scheduler")
    transaction.on_commit(runtime.world.forget)


def _view(transaction: WriteTransaction, row: NodeRow) -> NodeView:
    newest = nodes.by_ids(transaction.connection, [row.id])[row.id]
    against = standings(transaction.connection, [newest], transaction.now_ms)
    return NodeView(row=newest, standing=against[row.id], spare=False)
