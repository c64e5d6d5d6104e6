"""Tokens: secrets that act for a person, kept as hashes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from scheduler.store.rows import all_of, first_of
from scheduler.store.tables import tokens
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class Token:
    """A row of ``tokens``."""

    id: int
    person_id: int
    name: str
    prefix: str
    hash: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None


def by_hash(connection: Connection, hash_: str) -> Token | None:
    """Return the token with this hash, revoked and expired ones too."""
    return first_of(Token, connection, select(tokens).where(tokens.c.hash == hash_))


def by_id(connection: Connection, token_id: int) -> Token | None:
    """Return one token."""
    return first_of(Token, connection, select(tokens).where(tokens.c.id == token_id))


def of_person(connection: Connection, person_id: int) -> list[Token]:
    """Return a person's tokens, oldest first."""
    return all_of(Token, connection, select(tokens).where(tokens.c.person_id == person_id).order_by(tokens.c.id))


def add(
    transaction: WriteTransaction,
    *,
    person_id: int,
    name: str,
    prefix: str,
    hash_: str,
    scopes: Sequence[str],
    expires_ms: int | None,
) -> Token:
    """Write a new token."""
    values = {
        "person_id": person_id,
        "name": name,
        "prefix": prefix,
        "hash": hash_,
        "scopes": list(scopes),
        "created_ms": transaction.now_ms,
        "expires_ms": expires_ms,
        "revoked_ms": None,
    }
    row = transaction.connection.execute(insert(tokens).values(**values).returning(*tokens.c)).one()
    return Token(*row)


def revoke(transaction: WriteTransaction, token_id: int) -> bool:
    """Revoke a token; False if there is none or it was revoked before."""
    revoked = transaction.connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.revoked_ms.is_(None))
        .values(revoked_ms=transaction.now_ms)
    )
    return revoked.rowcount > 0
