"""Answers that were given, so that a retried request has the same one (law 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.store.dialect import bulk_insert, pairs_in
from scheduler.store.tables import idempotency
from scheduler.store.transaction import WriteTransaction

_COLUMNS = ("caller", "key", "request_hash", "status", "body", "created_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """One request: who asked (person or site, with the route), the key they chose, SHA-256 (hex) of what they
    asked."""

    caller: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered. ``replayed``: it was answered before, and nothing was done now."""

    status: int
    body: str
    replayed: bool = False


def find(connection: Connection, keys: Sequence[IdempotencyKey]) -> dict[tuple[str, str], tuple[str, Answer]]:
    """Return what stands for ``keys``: (caller, key) -> (request hash, answer)."""
    if not keys:
        return {}
    wanted = pairs_in(connection, idempotency.c.caller, idempotency.c.key, [(each.caller, each.key) for each in keys])
    return {
        (row.caller, row.key): (row.request_hash, Answer(status=row.status, body=row.body, replayed=True))
        for row in connection.execute(select(idempotency).where(wanted))
    }


def judge(key: IdempotencyKey, stored: tuple[str, Answer] | None) -> Answer | Refusal | None:
    """Return the stored answer, a refusal when the key was used for another request, or None when it is
    new."""
    if stored is None:
        return None
    request_hash, answer = stored
    return answer if request_hash == key.request_hash else refuse(ReasonCode.IDEMPOTENCY_MISMATCH)


def record(transaction: WriteTransaction, answers: Sequence[tuple[IdempotencyKey, Answer]]) -> None:
    """Keep ``answers``, in the transaction that does what they tell of."""
    now_ms = transaction.now_ms
    bulk_insert(
        transaction.connection,
        idempotency,
        _COLUMNS,
        [(key.caller, key.key, key.request_hash, answer.status, answer.body, now_ms) for key, answer in answers],
    )


def once(transaction: WriteTransaction, key: IdempotencyKey, act: Callable[[], Answer | Refusal]) -> Answer | Refusal:
    """Answer as before if ``key`` is known; else act and keep the answer. Refusals are not kept: asking again
    is free."""
    _ = transaction.change  # two requests with one key, at two servers, are judged one after the other
    known = judge(key, find(transaction.connection, [key]).get((key.caller, key.key)))
    if known is not None:
        return known
    answer = act()
    if isinstance(answer, Answer):
        record(transaction, [(key, answer)])
    return answer


def forget_before(transaction: WriteTransaction, created_ms: int) -> int:
    """Drop answers older than ``created_ms``; return how many."""
    return transaction.connection.execute(delete(idempotency).where(idempotency.c.created_ms < created_ms)).rowcount
