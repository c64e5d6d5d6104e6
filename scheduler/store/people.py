"""People: whom tokens act for and roles belong to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from scheduler.store.rows import all_of, first_of
from scheduler.store.tables import people
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class Person:
    """A row of ``people``."""

    id: int
    name: str
    created_ms: int


def by_id(connection: Connection, person_id: int) -> Person | None:
    """Return one person."""
    return first_of(Person, connection, select(people).where(people.c.id == person_id))


def by_name(connection: Connection, name: str) -> Person | None:
    """Return the person called ``name``."""
    return first_of(Person, connection, select(people).where(people.c.name == name))


def every(connection: Connection) -> list[Person]:
    """Return everybody, by name."""
    return all_of(Person, connection, select(people).order_by(people.c.name))


def ensure(transaction: WriteTransaction, name: str) -> Person:
    """Return the person called ``name``, written now if there was none."""
    _ = transaction.change
    known = by_name(transaction.connection, name)
    if known is not None:
        return known
    statement = insert(people).values(name=name, created_ms=transaction.now_ms).returning(people.c.id)
    id_ = transaction.connection.execute(statement).scalar_one()
    return Person(id=id_, name=name, created_ms=transaction.now_ms)
