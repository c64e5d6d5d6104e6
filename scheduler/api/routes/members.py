"""Roles of people on groups."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

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
    write,
)
from scheduler.api.problem import answered
from scheduler.api.schemas import GroupPath, MemberIn, MemberOut, MemberPage, PersonName, Why
from scheduler.model.reason import Refusal
from scheduler.service import members as service
from scheduler.service.caller import Role
from scheduler.service.members import Member
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["members"])


def member_document(member: Member) -> MemberOut:
    """A person's role."""
    return MemberOut(person=member.person, role=member.role.value, group=member.group, inherited=member.inherited)


@router.get("/groups/{group}/members")
def list_members(
    group: GroupPath, runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100
) -> MemberPage:
    """Who has a role on the group, inherited ones too."""
    start = read_cursor(cursor, int)
    first = start[0] if start else 0
    found = answered(service.list_members(runtime, caller, group))[first:]
    following = cursor_of(first + limit) if len(found) > limit else None
    return MemberPage(items=[member_document(each) for each in found[:limit]], next_cursor=following)


@router.post("/groups/{group}/members", status_code=201, response_model=MemberOut)
async def add_member(
    request: Request, group: GroupPath, body: MemberIn, runtime: RuntimeHere, caller: Managing, key: IdempotencyHeader
) -> Response:
    """Give a person a role on the group and all below it."""

    def act(transaction: WriteTransaction) -> Member | Refusal:
        return service.add_member(transaction, runtime, caller, group, body.person, Role(body.role), body.why)

    return await perform(request, caller, key, act, member_document, status=201)


@router.delete("/groups/{group}/members/{person}", status_code=204)
async def remove_member(
    request: Request,
    group: GroupPath,
    person: PersonName,
    runtime: RuntimeHere,
    caller: Managing,
    role: Annotated[Role, Query()],
    why: Annotated[Why, Query()] = "",
) -> Response:
    """Take a role away. The person's running jobs go on."""

    def act(transaction: WriteTransaction) -> Member | Refusal:
        return service.remove_member(transaction, runtime, caller, group, person, role, why)

    await write(request, act)
    return Response(status_code=204)
