"""How rows become frozen dataclasses: one class a table, its fields named and ordered as the table's
columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam, update
from sqlalchemy.sql.schema import Table

from scheduler.store.transaction import WriteTransaction

RowClass = TypeVar("RowClass")
Item = TypeVar("Item")

#: Values of one IN: below the parameter limits of both databases, and few enough to be planned well.
VALUES_A_STATEMENT_MAX = 500


def all_of(kind: Callable[..., RowClass], connection: Connection, statement: Select[Any]) -> list[RowClass]:
    """Return every row of ``statement``, which selects the columns of ``kind`` in order."""
    return [kind(*row) for row in connection.execute(statement)]


def first_of(kind: Callable[..., RowClass], connection: Connection, statement: Select[Any]) -> RowClass | None:
    """Return the first row of ``statement``, or None."""
    row: Row[Any] | None = connection.execute(statement).first()
    return None if row is None else kind(*row)


def chunks(values: Iterable[Item], size: int = VALUES_A_STATEMENT_MAX) -> Iterator[Sequence[Item]]:
    """Cut ``values`` into lists of at most ``size``."""
    everything = list(values)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def update_by_id(
    transaction: WriteTransaction, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Update many rows of ``table``: each of ``rows`` holds the id, then the new values of ``columns``.

    Every row gets the transaction's change number.
    """
    if not rows:
        return
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    statement = update(table).where(table.c.id == bindparam("row_id")).values(**values, change=transaction.change)
    names = ("row_id", *(f"new_{name}" for name in columns))
    transaction.connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
