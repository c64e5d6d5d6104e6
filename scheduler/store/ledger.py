"""The ledger: append-only double entries in GPU-milliseconds. A correction is made of new ones, never an edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from quota.ledger import AccountKind, Entry
from scheduler.store.dialect import bulk_insert
from scheduler.store.rows import all_of
from scheduler.store.tables import ledger
from scheduler.store.transaction import WriteTransaction

CONSUMER = AccountKind.CONSUMER.value
PROVIDER = AccountKind.PROVIDER.value
LOST = AccountKind.LOST.value


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row of ``ledger``."""

    id: int
    run_id: int
    account_kind: str
    account_id: int
    gpu_class: str
    gpu_milliseconds: int
    start_ms: int
    end_ms: int
    entered_ms: int


_COLUMNS = (
    "run_id", "account_kind", "account_id", "gpu_class", "gpu_milliseconds", "start_ms", "end_ms",
    "entered_ms",
)  # fmt: skip


def enter(transaction: WriteTransaction, entries: Iterable[Entry]) -> None:
    """Write entries, of which those of each run come to nothing."""
    now_ms = transaction.now_ms
    rows = [
        (each.run_id, each.account.kind.value, each.account.id, each.gpu_class, each.gpu_milliseconds, each.start_ms,
         each.end_ms, now_ms)
        for each in entries
    ]  # fmt: skip
    bulk_insert(transaction.connection, ledger, _COLUMNS, rows)


def of_run(connection: Connection, run_id: int) -> list[LedgerRow]:
    """Return a run's entries, in the order they were made."""
    return all_of(LedgerRow, connection, select(ledger).where(ledger.c.run_id == run_id).order_by(ledger.c.id))


def sums_by_class(
    connection: Connection,
    account_kind: str,
    account_ids: Sequence[int],
    *,
    from_ms: int | None = None,
    until_ms: int | None = None,
) -> dict[tuple[int, str], int]:
    """Return (account id, GPU class) -> GPU-milliseconds of entries whose interval ends within [from_ms,
    until_ms)."""
    statement = (
        select(ledger.c.account_id, ledger.c.gpu_class, func.sum(ledger.c.gpu_milliseconds))
        .where(ledger.c.account_kind == account_kind, ledger.c.account_id.in_(account_ids))
        .group_by(ledger.c.account_id, ledger.c.gpu_class)
    )
    if from_ms is not None:
        statement = statement.where(ledger.c.end_ms >= from_ms)
    if until_ms is not None:
        statement = statement.where(ledger.c.end_ms < until_ms)
    return {(account, gpu_class): int(total) for account, gpu_class, total in connection.execute(statement)}
