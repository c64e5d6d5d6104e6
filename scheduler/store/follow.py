"""Following tables by change number: a page never splits a change, so a follower that has read N has all up
to N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select

from scheduler.store.tables import counters

PAGE_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows in the order of their changes. Ask again with ``change``, at once while there is ``more``."""

    rows: Sequence[Row[Any]]
    change: int
    more: bool


def latest_change(connection: Connection) -> int:
    """Return the number of the newest committed change."""
    statement = select(counters.c.value).where(counters.c.name == "change")
    return int(connection.execute(statement).scalar_one())


def changed_since(
    connection: Connection,
    table: Table,
    change: int,
    *,
    columns: Sequence[ColumnElement[Any]] | None = None,
    where: ColumnElement[bool] | None = None,
    rows_max: int = PAGE_ROWS,
) -> Page:
    """Return rows of ``table`` written after ``change``: about ``rows_max``, more only to complete the last
    change.

    ``columns`` chooses what is read (all by default), ``where`` which rows. A row that was written twice
    shows once, as it is now. Read several tables on one connection to see them at one moment.
    """
    column = table.c.change
    after = column > change if where is None else (column > change) & where
    last = connection.execute(
        select(column).where(after).order_by(column).offset(rows_max - 1).limit(1)
    ).scalar_one_or_none()
    wanted = after if last is None else after & (column <= last)
    order = (column, *table.primary_key.columns)
    rows = connection.execute(select(*(columns or table.c)).where(wanted).order_by(*order)).all()
    # Without a full page there is nothing between the last row and the newest change: go on from there.
    newest = latest_change(connection) if last is None else last
    return Page(rows=rows, change=max(change, newest), more=last is not None)
