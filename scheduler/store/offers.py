"""Offers of sites, as rows. One that is closed stays: a site that ever had an offer lends only inside offers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from scheduler.store.rows import all_of, first_of
from scheduler.store.tables import offers, recalls, reservations
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class OfferRow:
    """A row of ``offers``. ``terms`` is an ``OfferSpec`` as JSON text, ``group_id`` the lender's own group."""

    id: int
    site_id: int
    group_id: int | None
    terms: str
    closes_ms: int | None
    created_ms: int
    created_by: str
    change: int


def by_id(connection: Connection, offer_id: int) -> OfferRow | None:
    """Return one offer."""
    return first_of(OfferRow, connection, select(offers).where(offers.c.id == offer_id))


def every(connection: Connection) -> list[OfferRow]:
    """Return all offers, by id, closed ones too: they matter to what a site lends."""
    return all_of(OfferRow, connection, select(offers).order_by(offers.c.id))


def of_site(connection: Connection, site_id: int) -> list[OfferRow]:
    """Return a site's offers, by id, closed ones too."""
    return all_of(OfferRow, connection, select(offers).where(offers.c.site_id == site_id).order_by(offers.c.id))


def add(transaction: WriteTransaction, *, site_id: int, group_id: int | None, terms: str, created_by: str) -> OfferRow:
    """Write a new offer, open from now on."""
    values = {
        "site_id": site_id,
        "group_id": group_id,
        "terms": terms,
        "created_ms": transaction.now_ms,
        "created_by": created_by,
        "change": transaction.change,
    }
    return OfferRow(*transaction.connection.execute(insert(offers).values(**values).returning(*offers.c)).one())


def close(transaction: WriteTransaction, offer_id: int, closes_ms: int) -> None:
    """Have an offer lend nothing from a moment on."""
    change = update(offers).where(offers.c.id == offer_id).values(closes_ms=closes_ms, change=transaction.change)
    transaction.connection.execute(change)


def lending_change(connection: Connection) -> int:
    """Return the newest change of offers, recalls and reservations; 0 where there are none."""
    newest = [select(func.max(table.c.change)).scalar_subquery() for table in (offers, recalls, reservations)]
    return max(change or 0 for change in connection.execute(select(*newest)).one())
