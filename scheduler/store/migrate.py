"""Schema migrations, run by the program itself: the revisions travel in the package and need no
alembic.ini."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

#: Any number, as long as every release uses the same: processes that start at once queue behind it.
_ADVISORY_LOCK = 0x44757265


def configuration() -> Config:
    """Alembic's configuration, pointing at the revisions inside this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision inside the transaction of ``connection``.

    On SQLite the caller's BEGIN IMMEDIATE keeps others out; on PostgreSQL an advisory lock held until the
    commit does.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if is_current(connection):
        return
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Whether the schema of ``connection`` is at the newest revision."""
    return set(MigrationContext.configure(connection).get_current_heads()) == _newest()


@cache
def _newest() -> frozenset[str]:
    # Asked at each look whether a server is ready; the package's revisions stay as they are while it runs.
    return frozenset(ScriptDirectory.from_config(configuration()).get_heads())
