"""Reservations by those who run a site: nodes on which for a time nothing runs, for maintenance, or one group alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from scheduler.model.offer import LendingAction, LendingEnd
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import inspects, operates, sees
from scheduler.service.caller import Caller
from scheduler.service.directory import Directory, read_directory
from scheduler.service.node_choice import Departure, choose_nodes, departures
from scheduler.service.runtime import Runtime, lending_changed
from scheduler.service.sites import inspected_site, operated_site, without_reason
from scheduler.store import nodes, recalls, reservations, runs, sites
from scheduler.store.nodes import NodeRow
from scheduler.store.reservations import ReservationRow
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationInput:
    """What is to be set aside: nodes by name, or ``count`` of a class; without a count all of it, without a class the site.

    ``from_ms`` None: from now on; ``to_ms`` None: until it is withdrawn. ``group`` and those below it may run there; None:
    nobody.
    """

    nodes: tuple[str, ...] = ()
    gpu_class: str | None = None
    count: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    reason: str
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationView:
    """A reservation with its nodes by name, for which group, and the runs that still have to go."""

    row: ReservationRow
    site: str
    group: str | None
    nodes: tuple[str, ...]
    departures: tuple[Departure, ...]


def reserve(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, asked: ReservationInput
) -> ReservationView | Refusal:
    """Set nodes aside. Administrators and the site's operators. Runs on them, but for those of the group that may have them, are
    told to go in time for their grace."""
    site = operated_site(transaction, caller, name)
    if isinstance(site, Refusal):
        return site
    now_ms = transaction.now_ms
    from_ms = max(now_ms, now_ms if asked.from_ms is None else asked.from_ms)
    refusal = _wrong(asked, from_ms)
    if refusal is not None:
        return refusal
    directory = read_directory(transaction.connection)
    holder = None if asked.group is None else directory.by_path.get(asked.group)
    if asked.group is not None and (holder is None or not sees(directory, caller, holder)):
        return refuse(ReasonCode.GROUP_NOT_FOUND, field="group", group=asked.group)
    live = _strangers(runs.live_at(transaction.connection, site.id), directory, None if holder is None else holder.id)
    chosen = _chosen(transaction, site, asked, from_ms, live)
    if isinstance(chosen, Refusal):
        return chosen
    row = reservations.add(
        transaction,
        site_id=site.id,
        gpu_class=asked.gpu_class,
        node_ids=[node.id for node in chosen],
        from_ms=from_ms,
        to_ms=asked.to_ms,
        reason=asked.reason,
        created_by=caller.person,
        group_id=None if holder is None else holder.id,
    )
    view = _view(row, site.name, chosen, live, directory, now_ms)
    data = {
        "reservation": row.id,
        "group": asked.group,
        "nodes": list(view.nodes),
        "from_ms": row.from_ms,
        "to_ms": row.to_ms,
        "runs": [each.run.id for each in view.departures],
    }
    transaction.event("reservation.made", actor=caller.person, why=row.reason, site_id=site.id, data=data)
    lending_changed(transaction, runtime)
    return view


def list_reservations(runtime: Runtime, caller: Caller, name: str) -> list[ReservationView] | Refusal:
    """A site's reservations that are not over, by number; for those who may inspect it."""
    now_ms = runtime.clock.now_ms()
    with runtime.database.read() as connection:
        site = inspected_site(connection, caller, name)
        if isinstance(site, Refusal):
            return site
        known = nodes.of_site(connection, site.id, removed=True)
        live = runs.live_at(connection, site.id)
        found = reservations.of_site(connection, site.id, since_ms=now_ms)
        directory = read_directory(connection)
    return [_view(row, site.name, known, _strangers(live, directory, row.group_id), directory, now_ms) for row in found]


def withdraw_reservation(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, reservation_id: int, why: str
) -> ReservationView | Refusal:
    """Have nodes take work again. Who was told to go goes. Administrators and the site's operators."""
    _ = transaction.change
    row = reservations.by_id(transaction.connection, reservation_id)
    if row is None or not inspects(caller, row.site_id):
        return refuse(ReasonCode.RESERVATION_NOT_FOUND, field="reservation", reservation=reservation_id)
    site = sites.by_ids(transaction.connection, [row.site_id])[row.site_id]
    if not operates(caller, row.site_id):
        return refuse(ReasonCode.FORBIDDEN, needed="operator", where=site.name)
    over = row.to_ms is not None and row.to_ms <= transaction.now_ms
    if row.withdrawn_ms is not None or over:
        state = (LendingEnd.OVER if row.withdrawn_ms is None else LendingEnd.WITHDRAWN).value
        return refuse(
            ReasonCode.STATE_CONFLICT, state=state, action=LendingAction.WITHDRAW.value, reservation=reservation_id
        )
    reservations.withdraw(transaction, reservation_id)
    data = {"reservation": reservation_id}
    transaction.event("reservation.withdrawn", actor=caller.person, why=why, site_id=row.site_id, data=data)
    lending_changed(transaction, runtime)
    known = nodes.of_site(transaction.connection, row.site_id, removed=True)
    directory = read_directory(transaction.connection)
    return _view(replace(row, withdrawn_ms=transaction.now_ms), site.name, known, [], directory, transaction.now_ms)


def _wrong(asked: ReservationInput, from_ms: int) -> Refusal | None:
    """What is wrong with a reservation, whatever the site has."""
    if not asked.reason.strip():
        return without_reason("reason")
    if asked.to_ms is not None and asked.to_ms <= from_ms:
        return refuse(
            ReasonCode.INVALID_FIELD,
            field="to",
            problem="it has to lie after from, and after now",
            problem_ko="from과 지금보다 뒤여야 합니다",
        )
    if asked.nodes and (asked.gpu_class is not None or asked.count is not None):
        return refuse(
            ReasonCode.INVALID_FIELD,
            field="nodes",
            problem="name nodes, or give a GPU class and how many, not both",
            problem_ko="노드 이름과, GPU 종류와 개수 가운데 하나만 쓰십시오",
        )
    if asked.count is not None and asked.gpu_class is None:
        return refuse(
            ReasonCode.INVALID_FIELD,
            field="gpu_class",
            problem="say of which class so many nodes should be",
            problem_ko="몇 개인지 쓰려면 GPU 종류도 쓰십시오",
        )
    return None


def _chosen(
    transaction: WriteTransaction, site: SiteRow, asked: ReservationInput, from_ms: int, live: Sequence[RunRow]
) -> list[NodeRow] | Refusal:
    mine = nodes.of_site(transaction.connection, site.id)
    if asked.nodes:
        by_name = {node.name: node for node in mine}
        unknown = next((name for name in asked.nodes if name not in by_name), None)
        if unknown is not None:
            return refuse(ReasonCode.NODE_NOT_FOUND, field="nodes", node=unknown, site=site.name)
        named = [by_name[name] for name in sorted(set(asked.nodes))]
        return _kept_for_another(transaction.connection, site, asked, from_ms, named) or named
    of_class = [node for node in mine if asked.gpu_class in (None, node.gpu_class)]
    if asked.count is None:
        clash = _kept_for_another(transaction.connection, site, asked, from_ms, of_class)
        return clash or of_class or _too_few(site, asked, 1, 0)
    taken = _taken(transaction.connection, site.id, from_ms, asked.to_ms)
    free = [node for node in of_class if node.id not in taken]
    if len(free) < asked.count:
        return _too_few(site, asked, asked.count, len(free))
    now_ms = transaction.now_ms
    return choose_nodes(transaction.connection, free, live, asked.count, deadline_ms=from_ms, now_ms=now_ms)


def _kept_for_another(
    connection: Connection, site: SiteRow, asked: ReservationInput, from_ms: int, chosen: Sequence[NodeRow]
) -> Refusal | None:
    """Refuse nodes for a group that are reserved for a part of that time already: one of the two could not have them."""
    taken = set() if asked.group is None else _taken(connection, site.id, from_ms, asked.to_ms)
    clash = next((node for node in chosen if node.id in taken), None)
    if clash is None:
        return None
    return refuse(
        ReasonCode.INVALID_FIELD,
        field="nodes" if asked.nodes else "gpu_class",
        problem=f"node {clash.name} is reserved or recalled then: leave it out, choose another time, or give a count",
        problem_ko=f"노드 {clash.name}은(는) 그때 이미 예약되었거나 회수됩니다. 빼거나, 시간을 바꾸거나, 개수로 쓰십시오",
    )


def _strangers(live: Sequence[RunRow], directory: Directory, holder: int | None) -> list[RunRow]:
    """The runs that have to go where nodes are kept for a group."""
    stay = frozenset() if holder is None else frozenset(directory.subtree_ids.get(holder, ()))
    return [run for run in live if run.group_id not in stay]


def _too_few(site: SiteRow, asked: ReservationInput, wanted: int, found: int) -> Refusal:
    return refuse(
        ReasonCode.FEWER_NODES,
        field="gpu_class" if asked.count is None else "count",
        asked=wanted,
        nodes=found,
        site=site.name,
        gpu_class=asked.gpu_class or "GPU",
    )


def _taken(connection: Connection, site_id: int, from_ms: int, to_ms: int | None) -> set[int]:
    """Nodes of which something else takes a part of that time."""
    spans = [
        *((row.node_ids, row.by_ms) for row in recalls.of_site(connection, site_id, since_ms=from_ms)),
        *((row.node_ids, row.from_ms) for row in reservations.of_site(connection, site_id, since_ms=from_ms)),
    ]
    return {node for ids, begin_ms in spans if to_ms is None or begin_ms < to_ms for node in ids}


def _view(
    row: ReservationRow,
    site: str,
    known: Sequence[NodeRow],
    live: Sequence[RunRow],
    directory: Directory,
    now_ms: int,
) -> ReservationView:
    """``live`` are the runs that have to go wherever they stand on its nodes."""
    chosen = frozenset(row.node_ids)
    names = tuple(sorted(node.name for node in known if node.id in chosen))
    leaving = departures(live, chosen, max(row.from_ms, now_ms), now_ms)
    holder = None if row.group_id is None else directory.by_id.get(row.group_id)
    group = holder.path if holder is not None else None
    return ReservationView(row=row, site=site, group=group, nodes=names, departures=tuple(leaving))
