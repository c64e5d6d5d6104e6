"""SQL tables of what jobs bring, write and leave behind: contents by digest, and logs. As in ``tables``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from scheduler.store.tables import Id, metadata

contents = Table(
    "contents",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

content_parts = Table(
    "content_parts",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),  # at most 1 MiB
)

content_grants = Table(
    "content_grants",
    metadata,
    # Who brought a content may use it in jobs: knowing a digest is not a permission.
    Column("digest", String(71), primary_key=True),
    Column("person_id", Id, primary_key=True),
)

log_parts = Table(
    "log_parts",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

log_ends = Table(
    "log_ends",
    metadata,
    # A worker's log that has come in whole: who reads it later need not wait for more.
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rank", Integer, primary_key=True, autoincrement=False),
)
