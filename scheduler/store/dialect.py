"""What SQLite and PostgreSQL say differently: upserts and bulk loading. The only such place besides
``database``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import psycopg
from sqlalchemy import ColumnElement, Connection, Table, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError


def encode_json(value: Any) -> str:
    """Write ``value`` as compact JSON, as ``bulk_insert`` expects it for a JSON column."""
    return orjson.dumps(value).decode()


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    update: Sequence[str] = (),
) -> None:
    """Insert ``rows``; where one with the same ``keys`` stands, set its columns ``update``, or leave it if
    none."""
    if not rows:
        return
    build = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement: Any = build(table)
    if update:
        statement = statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in update}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(keys))
    connection.execute(statement, [dict(row) for row in rows])


def bulk_insert(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Load many rows at the least cost a row: prepared ``executemany`` on SQLite, COPY on PostgreSQL.

    Values go to the driver as they stand: JSON columns take text from ``encode_json``, and no default of the
    table applies.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        prepared = [tuple(row) for row in rows]
        if prepared:
            statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608 - our own names
            connection.exec_driver_sql(statement, prepared)
        return
    statement = f'COPY "{table.name}" ({names}) FROM STDIN'
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error


def pairs_in(
    connection: Connection,
    first: ColumnElement[str],
    second: ColumnElement[str],
    pairs: Sequence[tuple[str, str]],
) -> ColumnElement[bool]:
    """Condition: (``first``, ``second``) is one of ``pairs``. One statement text however many pairs there
    are, so that it is compiled and planned once."""
    if connection.dialect.name == "sqlite":
        wanted = text("SELECT value ->> 0, value ->> 1 FROM json_each(:pairs)").bindparams(pairs=encode_json(pairs))
    else:
        wanted = text("SELECT * FROM unnest(CAST(:firsts AS text[]), CAST(:seconds AS text[]))").bindparams(
            firsts=[pair[0] for pair in pairs], seconds=[pair[1] for pair in pairs]
        )
    return tuple_(first, second).in_(wanted)


def is_contention(error: BaseException | None) -> bool:
    """Whether ``error`` says that another transaction was in the way and that trying again may help."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in {"40001", "40P01", "55P03"}
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
