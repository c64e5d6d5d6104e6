"""One database, SQLite or PostgreSQL: how transactions begin, serialise, end and fail.

SQLite runs in WAL mode with synchronous FULL: a commit is on the disk when it returns. Writers begin
IMMEDIATE and queue inside the process, so that no transaction fails half-way for want of the lock.

PostgreSQL writes at READ COMMITTED. That is enough, because every transaction that writes followed rows takes
the change counter's row first: it is then the only such writer, each of its statements sees all that was
committed before, and what it read after taking the number cannot change under it. A higher level would only
add retries. Reads run REPEATABLE READ, so that the statements of one read see one moment on both databases.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, cast

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scheduler.clock import Clock
from scheduler.model.errors import ConfigurationError, InvariantBroken, StoreUnavailable
from scheduler.store import fence as fences
from scheduler.store.bus import Bus
from scheduler.store.dialect import is_contention
from scheduler.store.fence import Fence
from scheduler.store.migrate import is_current, upgrade
from scheduler.store.transaction import WriteTransaction

T = TypeVar("T")

ATTEMPTS_MAX = 5
BUSY_TIMEOUT_MS = 15_000
_SQLITE_PRAGMAS = (
    f"busy_timeout = {BUSY_TIMEOUT_MS}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "cache_size = -65536",  # KiB
    "wal_autocheckpoint = 4000",  # pages: fewer checkpoints under a stream of batches
    "temp_store = MEMORY",
)


class Database:
    """The record. ``url`` is ``sqlite:///path`` or ``postgresql+psycopg://…``; safe for use by many
    threads."""

    def __init__(self, url: str, *, clock: Clock, bus: Bus | None = None) -> None:
        self.clock = clock
        self._bus = bus
        self._writer = threading.Lock()
        self._writer_thread: int | None = None
        self._engine = _engine(url)
        self.dialect = cast(Literal["sqlite", "postgresql"], self._engine.dialect.name)

    def migrate(self) -> None:
        """Bring the schema to the newest revision. Safe when several processes start at once."""
        with self._translated(), self._begin("write") as connection:
            upgrade(connection)

    def migrated(self) -> bool:
        """Whether the schema is at the newest revision."""
        with self.read() as connection:
            return is_current(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a read-only transaction, all of whose statements see one moment of the record."""
        with self._translated(), self._begin("read") as connection:
            yield connection

    @contextmanager
    def write(self, fence: Fence | None = None) -> Iterator[WriteTransaction]:
        """Give a write transaction; durable when the body is left without an exception, undone otherwise.

        With ``fence`` it raises ``LeadershipLost`` when that is no longer the highest. Raises
        ``StoreUnavailable`` when the database is away or too busy; see ``run`` for a body that may simply be
        repeated.
        """
        with self._turn(), self._translated(), self._begin("write") as connection:
            transaction = WriteTransaction(connection, now_ms=self.clock.now_ms())
            if fence is not None:
                fences.check(connection, fence)
            yield transaction
            transaction.flush()
        transaction.committed(self._publish)

    def run(self, body: Callable[[WriteTransaction], T], fence: Fence | None = None) -> T:
        """Run ``body`` in a write transaction, again when another transaction was in the way, a bounded
        number of times.

        ``body`` must have no effect but through its transaction.
        """
        for _ in range(ATTEMPTS_MAX - 1):
            try:
                with self.write(fence) as transaction:
                    return body(transaction)
            except StoreUnavailable as error:
                if not is_contention(error.__cause__):
                    raise
        with self.write(fence) as transaction:
            return body(transaction)

    def _publish(self, topic: str, payload: bytes) -> None:
        if self._bus is not None:
            self._bus.publish(topic, payload)

    @contextmanager
    def _begin(self, kind: Literal["read", "write"]) -> Iterator[Connection]:
        options: dict[str, Any] = {"dure_transaction": kind}
        if self.dialect == "postgresql" and kind == "read":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Queue the writers of this process where the database takes one at a time; its own waiting is a busy
        loop."""
        if self.dialect != "sqlite":
            yield
            return
        me = threading.get_ident()
        if self._writer_thread == me:
            raise InvariantBroken("a write transaction was begun inside another of the same thread")
        if not self._writer.acquire(timeout=2 * BUSY_TIMEOUT_MS / 1000):
            raise StoreUnavailable("another write transaction of this process does not end")
        self._writer_thread = me
        try:
            yield
        finally:
            self._writer_thread = None
            self._writer.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn faults of the database itself into ours; faults of a statement (integrity, types) stay as they
        are."""
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise StoreUnavailable(f"the {self.dialect} database cannot be used now: {_first_line(error)}") from error
        except DBAPIError as error:
            if error.connection_invalidated or is_contention(error):
                raise StoreUnavailable(f"the {self.dialect} database was lost: {_first_line(error)}") from error
            raise


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "--database cannot be read: write sqlite:///path or postgresql://…",
            "--database를 읽을 수 없습니다. sqlite:///경로나 postgresql://…로 쓰십시오",
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        engine = create_engine(
            parsed,
            connect_args={"connect_timeout": 10},
            isolation_level="READ COMMITTED",
            pool_size=16,
            max_overflow=32,
            pool_timeout=30,
            pool_pre_ping=True,
        )
        event.listen(engine, "connect", _open_postgresql)
        return engine
    if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            f"--database {parsed.drivername}: write sqlite:///path (a file) or postgresql://…",
            f"--database {parsed.drivername}: sqlite:///경로(파일)나 postgresql://…로 쓰십시오",
        )
    engine = create_engine(parsed, pool_size=16, max_overflow=64, pool_timeout=30)
    event.listen(engine, "connect", _open_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_postgresql(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.execute(f"SET lock_timeout = {BUSY_TIMEOUT_MS}".encode())
    # Acknowledged means on the disk, whatever the server's default; stronger settings are left alone.
    connection.execute(
        "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'"
    )
    connection.commit()


def _open_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late for a consistent read
    for pragma in _SQLITE_PRAGMAS:
        _retried_while_locked(connection, f"PRAGMA {pragma}")


def _retried_while_locked(connection: sqlite3.Connection, statement: str) -> None:
    # Two processes that turn a fresh file to WAL at once: one is told "locked" without the busy timeout being
    # waited for.
    for attempt in range(ATTEMPTS_MAX):
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError:
            if attempt == ATTEMPTS_MAX - 1:
                raise
            threading.Event().wait(0.05 * 2**attempt)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("dure_transaction") == "write"
    if connection.info.get("query_only") is not (not writes):
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        connection.info["query_only"] = not writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
