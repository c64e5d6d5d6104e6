"""The content store: archives by their SHA-256, in parts of 1 MiB, never changed once complete.

What arrives is spooled and verified first, then written a few parts a transaction, so that no long
transaction holds the writers up. Parts of a verified digest are the same whoever writes them: two uploads at
once, or one after a crash, meet without harm. A content is visible when its row in ``contents`` is, which is
written last.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, select

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.store.content_tables import content_grants, content_parts, contents
from scheduler.store.database import Database
from scheduler.store.dialect import upsert
from scheduler.store.transaction import WriteTransaction

PART_BYTES = 1 << 20
_PARTS_A_TRANSACTION = 8
_SPOOL_MEMORY_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A content that is there to be read."""

    digest: str
    bytes: int


class Incoming:
    """A content on its way in: ``write`` each piece, then ``store``. Use as a context manager.

    ``digest`` is ``sha256:…``; without one the content gets that of whatever arrives.
    """

    def __init__(self, *, bytes_max: int, digest: str | None = None) -> None:
        self._digest = digest
        self._bytes_max = bytes_max
        self._bytes = 0
        self._hash = hashlib.sha256()
        self._spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_MEMORY_BYTES)  # noqa: SIM115 - closed by close

    def write(self, piece: bytes) -> Refusal | None:
        """Take the next bytes; a refusal when there are more than ``bytes_max``, after which nothing can be
        stored."""
        self._bytes += len(piece)
        if self._bytes > self._bytes_max:
            return self._too_large()
        self._hash.update(piece)
        self._spool.write(piece)
        return None

    def store(self, database: Database, *, person_id: int | None = None) -> Stored | Refusal:
        """Make the content readable, and usable by ``person_id``; a refusal when it is not what its digest
        says."""
        if self._bytes > self._bytes_max:
            return self._too_large()
        actual = f"sha256:{self._hash.hexdigest()}"
        if self._digest is not None and actual != self._digest:
            return refuse(ReasonCode.CONTENT_MISMATCH, digest=self._digest)
        with database.read() as connection:
            there = size(connection, actual) is not None
        if not there:
            self._write_parts(database, actual)

        def complete(transaction: WriteTransaction) -> None:
            row = {"digest": actual, "bytes": self._bytes, "created_ms": transaction.now_ms}
            upsert(transaction.connection, contents, [row], keys=["digest"])
            if person_id is not None:
                grant(transaction, actual, person_id)

        database.run(complete)
        return Stored(digest=actual, bytes=self._bytes)

    def close(self) -> None:
        """Drop what was spooled."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_parts(self, database: Database, digest: str) -> None:
        count = -(-self._bytes // PART_BYTES)
        for start in range(0, count, _PARTS_A_TRANSACTION):
            self._spool.seek(start * PART_BYTES)
            rows = [
                {"digest": digest, "part": part, "data": self._spool.read(PART_BYTES)}
                for part in range(start, min(start + _PARTS_A_TRANSACTION, count))
            ]
            database.run(
                lambda transaction, rows=rows: upsert(  # type: ignore[misc]
                    transaction.connection, content_parts, rows, keys=["digest", "part"]
                )
            )

    def _too_large(self) -> Refusal:
        return refuse(ReasonCode.CONTENT_TOO_LARGE, bytes=self._bytes, bytes_max=self._bytes_max)


def size(connection: Connection, digest: str) -> int | None:
    """Return the bytes of a content, None where there is none."""
    return connection.execute(select(contents.c.bytes).where(contents.c.digest == digest)).scalar_one_or_none()


def read(database: Database, digest: str) -> Iterator[bytes]:
    """Yield a content's parts in order; nothing where there is none (ask ``size`` first). Each part is read
    in a short transaction of its own: a slow reader holds nothing."""
    with database.read() as connection:
        total = size(connection, digest)
    for part in range(-(-(total or 0) // PART_BYTES)):
        statement = select(content_parts.c.data).where(content_parts.c.digest == digest, content_parts.c.part == part)
        with database.read() as connection:
            data: bytes = connection.execute(statement).scalar_one()
        yield data


def grant(transaction: WriteTransaction, digest: str, person_id: int) -> None:
    """Let a person use a content in jobs."""
    row = {"digest": digest, "person_id": person_id}
    upsert(transaction.connection, content_grants, [row], keys=["digest", "person_id"])


def granted(connection: Connection, digest: str, person_id: int) -> bool:
    """Whether a person may use a content, and it is there."""
    statement = (
        select(contents.c.digest)
        .join(content_grants, content_grants.c.digest == contents.c.digest)
        .where(contents.c.digest == digest, content_grants.c.person_id == person_id)
    )
    return connection.execute(statement).first() is not None
