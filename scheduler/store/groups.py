"""Groups: the nodes of the quota tree, as rows. What is inherited (NULL here) is worked out by the
service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, or_, select, update

from scheduler.store.rows import all_of, first_of, update_by_id
from scheduler.store.tables import groups
from scheduler.store.transaction import WriteTransaction

ROOT_PATH = "federation"


@dataclass(frozen=True, slots=True)
class Group:
    """A row of ``groups``."""

    id: int
    parent_id: int | None
    name: str
    path: str
    kind: str
    sector: str
    trust_domain: str | None
    data_class: str | None
    output_bytes_max: int | None
    job_order: str | None
    example: bool
    created_ms: int
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """A group before it has an id."""

    parent_id: int
    name: str
    path: str
    kind: str
    sector: str
    trust_domain: str | None = None
    data_class: str | None = None
    output_bytes_max: int | None = None
    example: bool = False


def by_id(connection: Connection, group_id: int) -> Group | None:
    """Return one group."""
    return first_of(Group, connection, select(groups).where(groups.c.id == group_id))


def by_path(connection: Connection, path: str) -> Group | None:
    """Return the group at ``path``."""
    return first_of(Group, connection, select(groups).where(groups.c.path == path))


def every(connection: Connection) -> list[Group]:
    """Return all groups, by path."""
    return all_of(Group, connection, select(groups).order_by(groups.c.path))


def add(transaction: WriteTransaction, group: NewGroup) -> Group:
    """Write a new group; ``IntegrityError`` when its path is taken."""
    values = {
        "parent_id": group.parent_id,
        "name": group.name,
        "path": group.path,
        "kind": group.kind,
        "sector": group.sector,
        "trust_domain": group.trust_domain,
        "data_class": group.data_class,
        "output_bytes_max": group.output_bytes_max,
        "example": group.example,
        "created_ms": transaction.now_ms,
        "change": transaction.change,
    }
    row = transaction.connection.execute(insert(groups).values(**values).returning(*groups.c)).one()
    return Group(*row)


def move(transaction: WriteTransaction, group: Group, *, parent_id: int, path: str, sector: str) -> int:
    """Hang ``group`` below another parent under ``path``; what lies below it follows. Return how many rows
    moved."""
    connection, change = transaction.connection, transaction.change
    connection.execute(update(groups).where(groups.c.id == group.id).values(parent_id=parent_id))
    moved = connection.execute(
        update(groups)
        .where(or_(groups.c.path == group.path, groups.c.path.startswith(f"{group.path}.", autoescape=True)))
        .values(path=path + func.substr(groups.c.path, len(group.path) + 1), sector=sector, change=change)
    )
    return moved.rowcount


def set_output_bytes_max(transaction: WriteTransaction, group_id: int, bytes_max: int | None) -> None:
    """Set a group's own limit of outputs; None: inherited."""
    update_by_id(transaction, groups, ("output_bytes_max",), [(group_id, bytes_max)])


def set_job_order(transaction: WriteTransaction, group_id: int, order: str | None) -> None:
    """Set a group's own order of jobs; None: inherited."""
    update_by_id(transaction, groups, ("job_order",), [(group_id, order)])


def set_kinds(transaction: WriteTransaction, kinds: Mapping[int, str]) -> None:
    """Say of groups, by id, what kind they are now."""
    update_by_id(transaction, groups, ("kind",), list(kinds.items()))
