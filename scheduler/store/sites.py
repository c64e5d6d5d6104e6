"""Sites: contracts, states, and the hashes of their agents' secrets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from scheduler.store.rows import all_of, chunks, first_of
from scheduler.store.tables import sites
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A row of ``sites``."""

    id: int
    name: str
    owner: str
    operator: str
    facility: str
    csap: str
    state_facility: bool
    classified_network: bool
    isolates_users: bool
    trust_domain: str | None
    supervised: bool
    lease_seconds: int
    state: str
    state_reason: str
    block_nodes: dict[str, int] | None
    enrolment_hash: str | None
    enrolment_expires_ms: int | None
    credential_hash: str | None
    agent: str | None
    heard_ms: int | None
    heard_sequence: int | None
    created_ms: int
    change: int


def by_id(connection: Connection, site_id: int) -> SiteRow | None:
    """Return one site."""
    return first_of(SiteRow, connection, select(sites).where(sites.c.id == site_id))


def by_ids(connection: Connection, site_ids: Iterable[int]) -> dict[int, SiteRow]:
    """Return the sites of ``site_ids``; ids that do not exist are left out."""
    found: dict[int, SiteRow] = {}
    for part in chunks(site_ids):
        for site in all_of(SiteRow, connection, select(sites).where(sites.c.id.in_(part))):
            found[site.id] = site
    return found


def by_name(connection: Connection, name: str) -> SiteRow | None:
    """Return the site called ``name``."""
    return first_of(SiteRow, connection, select(sites).where(sites.c.name == name))


def by_credential_hash(connection: Connection, hash_: str) -> SiteRow | None:
    """Return the site whose agent holds this credential."""
    return first_of(SiteRow, connection, select(sites).where(sites.c.credential_hash == hash_))


def by_enrolment_hash(connection: Connection, hash_: str) -> SiteRow | None:
    """Return the site that waits for an agent with this enrolment token."""
    return first_of(SiteRow, connection, select(sites).where(sites.c.enrolment_hash == hash_))


def every(connection: Connection) -> list[SiteRow]:
    """Return all sites, by name."""
    return all_of(SiteRow, connection, select(sites).order_by(sites.c.name))


def add(transaction: WriteTransaction, **values: Any) -> SiteRow:
    """Write a new site; ``values`` are its columns but id, created_ms and change. ``IntegrityError``: name
    taken."""
    complete = {"created_ms": transaction.now_ms, "change": transaction.change, **values}
    row = transaction.connection.execute(insert(sites).values(**complete).returning(*sites.c)).one()
    return SiteRow(*row)


def change(transaction: WriteTransaction, site_id: int, **values: Any) -> SiteRow:
    """Set columns of a site, which followers see, and return it as it is now."""
    statement = update(sites).where(sites.c.id == site_id).values(**values, change=transaction.change)
    return SiteRow(*transaction.connection.execute(statement.returning(*sites.c)).one())


def mark_heard(transaction: WriteTransaction, rows: Sequence[tuple[int, int | None, int | None]]) -> None:
    """Note for each (site, when, highest request) that its agent was heard. Not a change: nobody follows it by number."""
    if not rows:
        return
    statement = (
        update(sites)
        .where(sites.c.id == bindparam("row_id"))
        .values(heard_ms=bindparam("new_ms"), heard_sequence=bindparam("new_sequence"))
    )
    names = ("row_id", "new_ms", "new_sequence")
    transaction.connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
