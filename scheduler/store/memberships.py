"""Who holds which role on which group, and who operates which site."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from scheduler.store.dialect import upsert
from scheduler.store.rows import all_of
from scheduler.store.tables import memberships, operators
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class Membership:
    """A row of ``memberships``."""

    person_id: int
    group_id: int
    role: str
    change: int


@dataclass(frozen=True, slots=True)
class Operator:
    """A row of ``operators``."""

    person_id: int
    site_id: int
    change: int


def of_person(connection: Connection, person_id: int) -> list[Membership]:
    """Return the roles a person holds."""
    return all_of(Membership, connection, select(memberships).where(memberships.c.person_id == person_id))


def of_group(connection: Connection, group_id: int) -> list[Membership]:
    """Return the roles held on one group itself (those inherited stand on its ancestors)."""
    statement = select(memberships).where(memberships.c.group_id == group_id)
    return all_of(Membership, connection, statement.order_by(memberships.c.person_id, memberships.c.role))


def add(transaction: WriteTransaction, *, person_id: int, group_id: int, role: str) -> bool:
    """Give a role; False, and nothing happens, if it is held already."""
    mine = (memberships.c.person_id == person_id) & (memberships.c.group_id == group_id) & (memberships.c.role == role)
    if transaction.connection.execute(select(memberships.c.role).where(mine)).first() is not None:
        return False
    row = {"person_id": person_id, "group_id": group_id, "role": role, "change": transaction.change}
    upsert(transaction.connection, memberships, [row], keys=["person_id", "group_id", "role"])
    return True


def remove(transaction: WriteTransaction, *, person_id: int, group_id: int, role: str) -> bool:
    """Take a role away; False if it was not held."""
    _ = transaction.change
    removed = transaction.connection.execute(
        delete(memberships).where(
            memberships.c.person_id == person_id,
            memberships.c.group_id == group_id,
            memberships.c.role == role,
        )
    )
    return removed.rowcount > 0


def sites_of(connection: Connection, person_id: int) -> list[int]:
    """Return the ids of the sites a person operates."""
    statement = select(operators.c.site_id).where(operators.c.person_id == person_id).order_by(operators.c.site_id)
    return list(connection.execute(statement).scalars())


def operators_of(connection: Connection, site_id: int) -> list[Operator]:
    """Return who operates a site."""
    statement = select(operators).where(operators.c.site_id == site_id).order_by(operators.c.person_id)
    return all_of(Operator, connection, statement)


def add_operator(transaction: WriteTransaction, *, person_id: int, site_id: int) -> None:
    """Make a person operate a site; nothing happens if they do already."""
    row = {"person_id": person_id, "site_id": site_id, "change": transaction.change}
    upsert(transaction.connection, operators, [row], keys=["person_id", "site_id"])


def remove_operator(transaction: WriteTransaction, *, person_id: int, site_id: int) -> bool:
    """Take a site from a person; False if they did not operate it."""
    _ = transaction.change
    removed = transaction.connection.execute(
        delete(operators).where(operators.c.person_id == person_id, operators.c.site_id == site_id)
    )
    return removed.rowcount > 0
