"""Recalls: a lender asks for lent nodes back, is told when every run on them goes, and may think better of it.

Offers count nodes and do not name them. A recall names nodes once, when it is asked for, of those that would be lent at
its deadline: nodes that runs hold, and of the idle ones the first by name. Nodes count against the offers with the
shortest notice first, those under an earlier recall before the new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scheduler.model.offer import LendingAction, LendingEnd, Offer
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import inspects, operates
from scheduler.service.caller import Caller
from scheduler.service.lending import offer_of
from scheduler.service.node_choice import Departure, choose_nodes, departures, nodes_held, start_ms_of
from scheduler.service.runtime import Runtime, lending_changed
from scheduler.service.sites import inspected_site, operated_site
from scheduler.service.time_text import time_text
from scheduler.store import nodes, offers, recalls, reservations, runs, sites
from scheduler.store.nodes import NodeRow
from scheduler.store.recalls import RecallRow
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallInput:
    """What a lender asks for: ``nodes`` nodes by ``by_ms``, lent again from ``until_ms`` on (None: once it is withdrawn)."""

    gpu_class: str
    nodes: int
    by_ms: int
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallView:
    """A recall with its nodes by name, and the runs that still have to go."""

    row: RecallRow
    site: str
    nodes: tuple[str, ...]
    departures: tuple[Departure, ...]


def recall(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, asked: RecallInput, why: str
) -> RecallView | Refusal:
    """Ask for nodes back. Administrators and the site's operators. The answer is the plan: who goes, and when."""
    site = operated_site(transaction, caller, name)
    if isinstance(site, Refusal):
        return site
    if asked.until_ms is not None and asked.until_ms <= asked.by_ms:
        return refuse(
            ReasonCode.INVALID_FIELD,
            field="until",
            problem="it has to lie after by",
            problem_ko="by보다 뒤여야 합니다",
        )
    live = runs.live_at(transaction.connection, site.id)
    chosen = _chosen(transaction, site, asked, live)
    if isinstance(chosen, Refusal):
        return chosen
    row = recalls.add(
        transaction,
        site_id=site.id,
        gpu_class=asked.gpu_class,
        node_ids=[node.id for node in chosen],
        by_ms=asked.by_ms,
        until_ms=asked.until_ms,
        created_by=caller.person,
    )
    view = _view(row, site.name, chosen, live, transaction.now_ms)
    data = {
        "recall": row.id,
        "gpu_class": row.gpu_class,
        "nodes": list(view.nodes),
        "by_ms": row.by_ms,
        "until_ms": row.until_ms,
        "runs": [each.run.id for each in view.departures],
    }
    transaction.event("recall.asked", actor=caller.person, why=why, site_id=site.id, data=data)
    lending_changed(transaction, runtime)
    return view


def list_recalls(runtime: Runtime, caller: Caller, name: str) -> list[RecallView] | Refusal:
    """A site's recalls that are not over, by number; for those who may inspect it."""
    now_ms = runtime.clock.now_ms()
    with runtime.database.read() as connection:
        site = inspected_site(connection, caller, name)
        if isinstance(site, Refusal):
            return site
        known = nodes.of_site(connection, site.id, removed=True)
        live = runs.live_at(connection, site.id)
        found = recalls.of_site(connection, site.id, since_ms=now_ms)
    return [_view(row, site.name, known, live, now_ms) for row in found]


def withdraw_recall(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, recall_id: int, why: str
) -> RecallView | Refusal:
    """Lend the nodes as before. Who was told to go goes. Administrators and the site's operators."""
    _ = transaction.change
    row = recalls.by_id(transaction.connection, recall_id)
    if row is None or not inspects(caller, row.site_id):
        return refuse(ReasonCode.RECALL_NOT_FOUND, field="recall", recall=recall_id)
    site = sites.by_ids(transaction.connection, [row.site_id])[row.site_id]
    if not operates(caller, row.site_id):
        return refuse(ReasonCode.FORBIDDEN, needed="operator", where=site.name)
    over = row.until_ms is not None and row.until_ms <= transaction.now_ms
    if row.withdrawn_ms is not None or over:
        state = (LendingEnd.OVER if row.withdrawn_ms is None else LendingEnd.WITHDRAWN).value
        return refuse(ReasonCode.STATE_CONFLICT, state=state, action=LendingAction.WITHDRAW.value, recall=recall_id)
    recalls.withdraw(transaction, recall_id)
    data = {"recall": recall_id}
    transaction.event("recall.withdrawn", actor=caller.person, why=why, site_id=row.site_id, data=data)
    lending_changed(transaction, runtime)
    known = nodes.of_site(transaction.connection, row.site_id, removed=True)
    return _view(replace(row, withdrawn_ms=transaction.now_ms), site.name, known, [], transaction.now_ms)


def _view(row: RecallRow, site: str, known: Sequence[NodeRow], live: Sequence[RunRow], now_ms: int) -> RecallView:
    chosen = frozenset(row.node_ids)
    names = tuple(sorted(node.name for node in known if node.id in chosen))
    leaving = departures(live, chosen, max(row.by_ms, now_ms), now_ms)
    return RecallView(row=row, site=site, nodes=names, departures=tuple(leaving))


def _chosen(
    transaction: WriteTransaction, site: SiteRow, asked: RecallInput, live: Sequence[RunRow]
) -> list[NodeRow] | Refusal:
    lent = _Lent.at(transaction, site, asked, live)
    if not lent.by_offer:
        return refuse(ReasonCode.NEVER_OFFERED, site=site.name, gpu_class=asked.gpu_class)
    if not lent.recallable:
        at = time_text(asked.by_ms)
        return refuse(
            ReasonCode.NOTHING_TO_RECALL, site=site.name, gpu_class=asked.gpu_class, at=at, offers=len(lent.offers)
        )
    if lent.left < asked.nodes:
        return refuse(
            ReasonCode.FEWER_LENT,
            field="nodes",
            asked=asked.nodes,
            lent=lent.left,
            recalled=lent.recalled,
            site=site.name,
            gpu_class=asked.gpu_class,
            at=time_text(asked.by_ms),
        )
    terms = lent.terms_of(asked.nodes)
    now_ms = transaction.now_ms
    youngest = _youngest_starts(live)
    free_ms = {node.id: _free_ms(terms, now_ms, youngest.get(node.id)) for node in lent.nodes}
    earliest_ms = sorted(free_ms.values())[asked.nodes - 1]
    if asked.by_ms < earliest_ms:
        return refuse(
            ReasonCode.RECALL_TOO_SOON,
            field="by",
            by=time_text(asked.by_ms),
            notice_seconds=max(offer.notice_seconds or 0 for offer in terms),
            earliest=time_text(earliest_ms),
        )
    free = [node for node in lent.nodes if free_ms[node.id] <= asked.by_ms]
    connection = transaction.connection
    return choose_nodes(connection, free, live, asked.nodes, deadline_ms=asked.by_ms, now_ms=now_ms)


def _youngest_starts(live: Sequence[RunRow]) -> dict[int, int]:
    """By node, when the youngest run on it started."""
    found: dict[int, int] = {}
    for run in live:
        for part in run.gang:
            found[part[0]] = max(found.get(part[0], 0), start_ms_of(run))
    return found


def _free_ms(terms: Sequence[Offer], now_ms: int, youngest_ms: int | None) -> int:
    """The earliest deadline by which a node may be taken: after the notice, and the hold of every run on it."""
    return max(offer.recall_earliest_ms(now_ms, youngest_ms) or now_ms for offer in terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lent:
    """What a site lends of a class at a recall's deadline.

    ``by_offer``: whether it ever made an offer, of any class. ``nodes`` are those lent that a recall may take, ``recallable``
    the offers with a notice, the shortest first; ``recalled`` nodes are under earlier recalls then, and ``left`` more can be
    recalled.
    """

    by_offer: bool
    offers: Sequence[Offer]
    recallable: Sequence[Offer]
    nodes: Sequence[NodeRow]
    recalled: int
    left: int

    @staticmethod
    def at(transaction: WriteTransaction, site: SiteRow, asked: RecallInput, live: Sequence[RunRow]) -> _Lent:
        """Read it."""
        connection, by_ms = transaction.connection, asked.by_ms
        told = [offer_of(row) for row in offers.of_site(connection, site.id)]
        open_then = [offer for offer in told if offer.gpu_class == asked.gpu_class and _is_open(offer, by_ms)]
        recallable = [offer for offer in open_then if offer.notice_seconds is not None]
        recalled = {
            node
            for row in recalls.of_site(connection, site.id, since_ms=by_ms)
            if row.gpu_class == asked.gpu_class
            for node in row.node_ids
        }
        reserved = {node for row in reservations.of_site(connection, site.id, since_ms=by_ms) for node in row.node_ids}
        mine = [node for node in nodes.of_site(connection, site.id) if node.gpu_class == asked.gpu_class]
        present = [node for node in mine if node.id not in recalled | reserved]
        lent = min(len(present), max(0, sum(offer.nodes for offer in open_then) - len(recalled)))
        lent_nodes = _first_lent(present, nodes_held(live), lent)
        left = min(lent, sum(offer.nodes for offer in recallable) - len(recalled))
        return _Lent(
            by_offer=bool(told),
            offers=open_then,
            recallable=sorted(recallable, key=lambda offer: (offer.notice_seconds or 0, offer.id)),
            nodes=lent_nodes,
            recalled=len(recalled),
            left=max(0, left),
        )

    def terms_of(self, count: int) -> list[Offer]:
        """The offers whose nodes ``count`` more recalled ones would be."""
        found: list[Offer] = []
        begin = 0
        for offer in self.recallable:
            if begin < self.recalled + count and begin + offer.nodes > self.recalled:
                found.append(offer)
            begin += offer.nodes
        return found


def _is_open(offer: Offer, at_ms: int) -> bool:
    spell = next(offer.spells(at_ms), None)
    return spell is not None and spell[0] <= at_ms


def _first_lent(present: Sequence[NodeRow], held: frozenset[int], count: int) -> list[NodeRow]:
    """Nodes that are lent, as rounds give nodes to offers: those that runs hold, then idle ones by name, unhealthy last."""
    busy = [node for node in present if node.id in held]
    idle = sorted((node for node in present if node.id not in held), key=lambda node: (not node.is_well, node.name))
    return [*busy, *idle[: max(0, count - len(busy))]]
