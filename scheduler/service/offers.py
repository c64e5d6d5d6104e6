"""Offers: what a site's operators lend, seen with how their windows stand, and closed with their notice kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from scheduler.model.offer import LendingAction, LendingEnd, Offer, OfferSpec, OfferState
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import inspects, operates, sees
from scheduler.service.caller import Caller
from scheduler.service.directory import Directory, GroupView, read_directory
from scheduler.service.lending import offer_of, terms_of, terms_text
from scheduler.service.quotas import why_unknown
from scheduler.service.runtime import Runtime, lending_changed
from scheduler.service.sites import inspected_site, operated_site
from scheduler.store import offers, runs, sites
from scheduler.store.offers import OfferRow
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """An offer at one moment. ``changes_ms`` is when its window opens or closes next; None: never again."""

    row: OfferRow
    site: str
    group: str | None
    terms: OfferSpec
    state: OfferState
    open: bool
    changes_ms: int | None


def create_offer(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, spec: OfferSpec, why: str
) -> OfferView | Refusal:
    """Lend by offer from now on, and only by offer. Administrators and the site's operators."""
    site = operated_site(transaction, caller, spec.site, "site")
    if isinstance(site, Refusal):
        return site
    unknown = why_unknown(transaction.connection, spec.gpu_class)
    if unknown is not None:
        return unknown
    directory = read_directory(transaction.connection)
    group = _lender(directory, caller, spec.group)
    if isinstance(group, Refusal):
        return group
    row = OfferRow(0, site.id, None if group is None else group.id, terms_text(spec), None, transaction.now_ms, "", 0)
    if next(offer_of(row).spells(transaction.now_ms), None) is None:
        return _never_opens()
    ends = _ends_runs(transaction.connection, row, site.name, transaction.now_ms)
    if ends is not None:
        return ends
    row = offers.add(transaction, site_id=row.site_id, group_id=row.group_id, terms=row.terms, created_by=caller.person)
    data = {"offer": row.id, "terms": spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
    transaction.event("offer.created", actor=caller.person, why=why, site_id=site.id, data=data)
    lending_changed(transaction, runtime)
    return _view(row, site.name, directory, transaction.now_ms)


def _lender(directory: Directory, caller: Caller, path: str | None) -> GroupView | Refusal | None:
    """The group that lends; what the caller does not see does not exist for them."""
    if path is None:
        return None
    group = directory.by_path.get(path)
    if group is None or not sees(directory, caller, group):
        return refuse(ReasonCode.GROUP_NOT_FOUND, field="group", group=path)
    return group


def _ends_runs(connection: Connection, row: OfferRow, site: str, now_ms: int) -> Refusal | None:
    """Why a site's first offer would end what runs there: without a notice no run is ended."""
    if offers.of_site(connection, row.site_id):
        return None
    offer = offer_of(row)
    busy: dict[str, set[int]] = {}
    for run in runs.live_at(connection, row.site_id):
        busy.setdefault(run.gpu_class, set()).update(part[0] for part in run.gang)
    opens_ms, _ = next(offer.spells(now_ms))
    lent = offer.nodes if opens_ms <= now_ms else 0
    left_out = sum(map(len, busy.values())) - min(lent, len(busy.get(offer.gpu_class, ())))
    if left_out == 0:
        return None
    return refuse(
        ReasonCode.FIRST_OFFER_ENDS_RUNS, field="nodes", site=site, gpu_class=offer.gpu_class, lent=lent, nodes=left_out
    )


def _never_opens() -> Refusal:
    return refuse(
        ReasonCode.INVALID_FIELD,
        field="calendar",
        problem="it never opens from now on: look at valid_until and the blackouts",
        problem_ko="지금부터 한 번도 열리지 않습니다. valid_until과 blackouts를 확인하십시오",
    )


def list_offers(runtime: Runtime, caller: Caller, site: str | None) -> list[OfferView] | Refusal:
    """Offers by number, of one site or of all; those of sites that the caller may inspect."""
    directory = runtime.directories.newest()
    with runtime.database.read() as connection:
        if site is None:
            named = {row.id: row.name for row in sites.every(connection) if inspects(caller, row.id)}
        else:
            row = inspected_site(connection, caller, site, "site")
            if isinstance(row, Refusal):
                return row
            named = {row.id: row.name}
        found = [each for each in offers.every(connection) if each.site_id in named]
    now_ms = runtime.clock.now_ms()
    return [_view(each, named[each.site_id], directory, now_ms) for each in found]


def close_offer(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, offer_id: int, why: str
) -> OfferView | Refusal:
    """Lend no more by an offer, from the first moment that its notice and minimum hold allow. Administrators and operators."""
    _ = transaction.change
    now_ms = transaction.now_ms
    row = offers.by_id(transaction.connection, offer_id)
    if row is None or not inspects(caller, row.site_id):
        return refuse(ReasonCode.OFFER_NOT_FOUND, field="offer", offer=offer_id)
    site = sites.by_ids(transaction.connection, [row.site_id])[row.site_id]
    if not operates(caller, row.site_id):
        return refuse(ReasonCode.FORBIDDEN, needed="operator", where=site.name)
    if row.closes_ms is not None:
        state = OfferState.CLOSED.value if row.closes_ms <= now_ms else LendingEnd.CLOSING.value
        return refuse(ReasonCode.STATE_CONFLICT, state=state, action=LendingAction.CLOSE.value, offer=offer_id)
    closes_ms = _closes_ms(offer_of(row), _youngest_ms(transaction.connection, row), now_ms)
    offers.close(transaction, offer_id, closes_ms)
    data = {"offer": offer_id, "closes_ms": closes_ms}
    transaction.event("offer.closed", actor=caller.person, why=why, site_id=row.site_id, data=data)
    lending_changed(transaction, runtime)
    return _view(replace(row, closes_ms=closes_ms), site.name, read_directory(transaction.connection), now_ms)


def _closes_ms(offer: Offer, youngest_ms: int | None, now_ms: int) -> int:
    """When a closing that is asked for now takes effect. What is not recalled before its window ends is lent until then;
    where neither a notice nor a window's end says when, it is now."""
    spell = next(offer.spells(now_ms), None)
    if spell is None or spell[0] > now_ms:
        return now_ms
    earliest_ms = offer.recall_earliest_ms(now_ms, youngest_ms)
    if earliest_ms is not None:
        return earliest_ms
    return now_ms if spell[1] is None else spell[1]


def _youngest_ms(connection: Connection, row: OfferRow) -> int | None:
    """When the youngest run started that may stand on the offer's nodes."""
    gpu_class = terms_of(row).gpu_class
    mine = [run for run in runs.live_at(connection, row.site_id) if run.gpu_class == gpu_class]
    return max((run.leased_ms if run.started_ms is None else run.started_ms for run in mine), default=None)


def _view(row: OfferRow, site: str, directory: Directory, now_ms: int) -> OfferView:
    offer = offer_of(row)
    group = None if row.group_id is None else directory.by_id.get(row.group_id)
    spell = next(offer.spells(now_ms), None)
    is_open = spell is not None and spell[0] <= now_ms
    return OfferView(
        row=row,
        site=site,
        group=None if group is None else group.path,
        terms=terms_of(row),
        state=offer.state(now_ms),
        open=is_open,
        changes_ms=None if spell is None else spell[1] if is_open else spell[0],
    )
