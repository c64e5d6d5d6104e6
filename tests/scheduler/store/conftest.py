"""Databases for the store's tests: each runs on SQLite and PostgreSQL, with an empty record of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from empty_record import put_empty_record
from real_postgresql import PostgreSql
from real_redis import RedisServer

from scheduler.clock import ManualClock
from scheduler.store.database import Database


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database, without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'record.db'}"
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    yield server.create_database()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test turns."""
    return ManualClock()


@pytest.fixture
def database(database_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    """An empty record, migrated."""
    if database_url.startswith("sqlite"):
        put_empty_record(tmp_path / "record.db")
    record = Database(database_url, clock=clock)
    record.migrate()
    yield record
    record.close()
