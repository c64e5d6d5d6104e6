"""Logs of runs: one stream of bytes a worker, without gaps, however often and in whatever pieces it is sent.

A piece counts from its offset in the worker's own log. The answer is always the offset wanted next, so that
sender and store agree after any loss. Beyond ``bytes_max`` a log is not kept: pieces are taken and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from scheduler.store.content_tables import log_ends, log_parts
from scheduler.store.dialect import upsert
from scheduler.store.transaction import WriteTransaction

BYTES_MAX = 64 << 20
READ_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPiece:
    """Bytes of a log from ``offset`` on. ``end`` is how long the kept log is now."""

    offset: int
    data: bytes
    end: int


def end(connection: Connection, run_id: int, rank: int) -> int:
    """Return how many bytes of a worker's log are kept."""
    statement = (
        select(log_parts.c.offset + func.length(log_parts.c.data))
        .where(log_parts.c.run_id == run_id, log_parts.c.rank == rank)
        .order_by(log_parts.c.offset.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none() or 0


def append(
    transaction: WriteTransaction,
    *,
    run_id: int,
    rank: int,
    offset: int,
    data: bytes,
    bytes_max: int = BYTES_MAX,
) -> int:
    """Keep ``data`` as far as it goes on where the log ends, and return the offset wanted next.

    Bytes known already are skipped; a piece that would leave a gap is not kept, and the answer is where the
    gap begins.
    """
    connection = transaction.connection
    known = end(connection, run_id, rank)
    after = offset + len(data)
    if known >= bytes_max:
        return max(after, known)
    if offset > known or after <= known:
        return known
    kept = data[known - offset : bytes_max - offset]
    row = {"run_id": run_id, "rank": rank, "offset": known, "data": kept}
    # Two servers given the same piece at once: the first to commit wins the offset, and both answer by what
    # is kept.
    upsert(connection, log_parts, [row], keys=["run_id", "rank", "offset"])
    now_known = end(connection, run_id, rank)
    return max(after, now_known) if now_known >= bytes_max else now_known


def mark_ended(transaction: WriteTransaction, run_id: int, rank: int) -> None:
    """Note that a worker's log has come in whole."""
    upsert(transaction.connection, log_ends, [{"run_id": run_id, "rank": rank}], keys=["run_id", "rank"])


def has_ended(connection: Connection, run_id: int, rank: int) -> bool:
    """Whether a worker's log has come in whole."""
    mine = (log_ends.c.run_id == run_id) & (log_ends.c.rank == rank)
    return connection.execute(select(log_ends.c.rank).where(mine)).first() is not None


def read(connection: Connection, *, run_id: int, rank: int, offset: int, bytes_max: int = READ_BYTES_MAX) -> LogPiece:
    """Return at most ``bytes_max`` bytes from ``offset`` on; none where the log has not come that far."""
    known = end(connection, run_id, rank)
    if offset >= known or bytes_max <= 0:
        return LogPiece(offset=offset, data=b"", end=known)
    mine = (log_parts.c.run_id == run_id) & (log_parts.c.rank == rank)
    first = select(func.max(log_parts.c.offset)).where(mine, log_parts.c.offset <= offset).scalar_subquery()
    statement = (
        select(log_parts.c.offset, log_parts.c.data)
        .where(mine, log_parts.c.offset >= first, log_parts.c.offset < offset + bytes_max)
        .order_by(log_parts.c.offset)
    )
    rows = connection.execute(statement).all()
    start = offset - rows[0].offset
    data = b"".join(row.data for row in rows)[start : start + bytes_max]
    return LogPiece(offset=offset, data=data, end=known)
