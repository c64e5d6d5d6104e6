"""Tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from scheduler.api.dependencies import (
    Cursor,
    IdempotencyHeader,
    Limit,
    Managing,
    Reading,
    RuntimeHere,
    cursor_of,
    perform,
    read_cursor,
    with_body,
    write,
)
from scheduler.api.documents import token_document
from scheduler.api.problem import answered
from scheduler.api.schemas import DatabaseId, NewTokenOut, PersonName, TokenIn, TokenOut, TokenPage, Why
from scheduler.model.reason import Refusal
from scheduler.service import tokens as service
from scheduler.service.caller import Scope
from scheduler.service.tokens import TokenInput, TokenView
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["tokens"])


class KeptToken(BaseModel):
    """What is stored of the answer to a new token: everything but the secret, which only the caller can have made."""

    token: TokenOut
    nonce: str


def _kept(view: TokenView) -> KeptToken:
    return KeptToken(token=token_document(view), nonce=view.nonce)


@router.post("/tokens", status_code=201, response_model=NewTokenOut)
async def create_token(request: Request, body: TokenIn, caller: Managing, key: IdempotencyHeader) -> Response:
    """Make a token, within the scopes of the one in hand. Its secret is shown to whoever sent this very request."""
    presented = request.headers["Authorization"].split(" ", 1)[1]
    scopes = tuple(Scope(each) for each in body.scopes)
    new = TokenInput(name=body.name, person=body.person, scopes=scopes, lifetime_seconds=body.expires_in_seconds)

    def act(transaction: WriteTransaction) -> TokenView | Refusal:
        return service.create_token(transaction, caller, presented, new, body.why)

    answer = await perform(request, caller, key, act, _kept, status=201)
    kept = KeptToken.model_validate_json(bytes(answer.body))
    secret = service.token_secret(presented, kept.nonce)
    return with_body(answer, NewTokenOut(**kept.token.model_dump(), secret=secret))


@router.get("/tokens")
def list_tokens(
    runtime: RuntimeHere,
    caller: Reading,
    person: Annotated[PersonName | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TokenPage:
    """One's own tokens, newest first; somebody else's for administrators."""
    before = read_cursor(cursor, int)
    found = answered(service.list_tokens(runtime, caller, person))
    views = [view for view in found if before is None or view.token.id < before[0]]
    following = cursor_of(views[limit - 1].token.id) if len(views) > limit else None
    return TokenPage(items=[token_document(view) for view in views[:limit]], next_cursor=following)


@router.delete("/tokens/{token}", status_code=204)
async def revoke_token(
    request: Request, token: DatabaseId, runtime: RuntimeHere, caller: Reading, why: Annotated[Why, Query()] = ""
) -> Response:
    """Make a token useless at once: one's own with any token, somebody else's with one that manages."""

    def act(transaction: WriteTransaction) -> TokenView | Refusal:
        return service.revoke_token(transaction, runtime, caller, token, why)

    await write(request, act)
    return Response(status_code=204)
