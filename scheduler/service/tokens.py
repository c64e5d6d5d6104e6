"""Tokens: made, listed, revoked. Each acts for one person, within the scopes it was given."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import require_administrator
from scheduler.service.caller import Caller, Scope
from scheduler.service.runtime import Runtime, access_changed
from scheduler.service.secret import PERSON_PREFIX, SHOWN_CHARACTERS, derived_secret, hash_of
from scheduler.store import people, tokens
from scheduler.store.tokens import Token
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token and whom it acts for. ``nonce`` of a new one gives its secret back to who made it."""

    token: Token
    person: str
    nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInput:
    """A token to make; for oneself where no person is named."""

    name: str
    person: str | None
    scopes: tuple[Scope, ...]
    lifetime_seconds: int


def token_secret(presented: str, nonce: str) -> str:
    """The secret of a token that was made with ``presented``."""
    return derived_secret(PERSON_PREFIX, presented, nonce)


def create_token(
    transaction: WriteTransaction, caller: Caller, presented: str, new: TokenInput, why: str = ""
) -> TokenView | Refusal:
    """Make a token: one's own within the scopes in hand; somebody else's, who is known here, as an administrator.

    Only who manages makes tokens: one that may do less could live on for ever through its successors.
    """
    if not caller.may(Scope.MANAGE):
        return refuse(ReasonCode.SCOPE_MISSING, needed=Scope.MANAGE.value)
    if new.person is not None and new.person != caller.person:
        refusal = require_administrator(caller)
        if refusal is not None:
            return refusal
    for scope in new.scopes:
        if not caller.may(scope):
            return refuse(ReasonCode.SCOPE_MISSING, field="scopes", needed=scope.value)
    _ = transaction.change
    name = new.person or caller.person
    person = people.by_name(transaction.connection, name)
    if person is None:
        return refuse(ReasonCode.PERSON_NOT_FOUND, field="person", person=name)
    nonce = secrets.token_urlsafe(16)
    secret = token_secret(presented, nonce)
    token = tokens.add(
        transaction,
        person_id=person.id,
        name=new.name,
        prefix=secret[:SHOWN_CHARACTERS],
        hash_=hash_of(secret),
        scopes=[scope.value for scope in new.scopes],
        expires_ms=transaction.now_ms + new.lifetime_seconds * 1000,
    )
    data = {"token": token.id, "person": person.name, "name": new.name, "scopes": token.scopes}
    transaction.event("token.created", actor=caller.person, why=why, data=data)
    return TokenView(token=token, person=person.name, nonce=nonce)


def list_tokens(runtime: Runtime, caller: Caller, person: str | None) -> list[TokenView] | Refusal:
    """One's own tokens, newest first; as an administrator those of ``person``."""
    with runtime.database.read() as connection:
        if person is None or person == caller.person:
            found = tokens.of_person(connection, caller.person_id)
            return [TokenView(token=each, person=caller.person) for each in reversed(found)]
        refusal = require_administrator(caller)
        if refusal is not None:
            return refusal
        known = people.by_name(connection, person)
        if known is None:
            return refuse(ReasonCode.PERSON_NOT_FOUND, field="person", person=person)
        return [TokenView(token=each, person=known.name) for each in reversed(tokens.of_person(connection, known.id))]


def revoke_token(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, token_id: int, why: str
) -> TokenView | Refusal:
    """Make a token useless at once: one's own, or anybody's as an administrator. Revoking twice is no error."""
    _ = transaction.change
    token = tokens.by_id(transaction.connection, token_id)
    if token is None or (token.person_id != caller.person_id and not caller.administrator):
        return refuse(ReasonCode.TOKEN_NOT_FOUND, field="token", token=token_id)
    if token.person_id != caller.person_id and not caller.may(Scope.MANAGE):
        return refuse(ReasonCode.SCOPE_MISSING, needed=Scope.MANAGE.value)
    if tokens.revoke(transaction, token_id):
        transaction.event("token.revoked", actor=caller.person, why=why, data={"token": token_id})
        access_changed(transaction, runtime)
    return TokenView(token=token, person=caller.person)
