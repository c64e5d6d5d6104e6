"""Roles of people on groups: who has which, given and taken."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import group_for, holds
from scheduler.service.caller import Caller, Role
from scheduler.service.directory import GroupView, read_directory
from scheduler.service.runtime import Runtime, access_changed
from scheduler.store import memberships, people
from scheduler.store.transaction import WriteTransaction

FEDERATION_ROLES = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person's role; ``inherited`` when it stands on a group above."""

    person: str
    role: Role
    group: str
    inherited: bool


def list_members(runtime: Runtime, caller: Caller, path: str) -> list[Member] | Refusal:
    """Everybody who has a role on the group, by name; for those who view it."""
    directory = runtime.directories.newest()
    group = group_for(directory, caller, path, Role.VIEWER)
    if isinstance(group, Refusal):
        return group
    found: list[Member] = []
    with runtime.database.read() as connection:
        for ancestor in group.ancestors:
            at = directory.by_id[ancestor]
            for each in memberships.of_group(connection, ancestor):
                person = people.by_id(connection, each.person_id)
                name = person.name if person is not None else "?"
                found.append(Member(person=name, role=Role(each.role), group=at.path, inherited=ancestor != group.id))
    return sorted(found, key=lambda each: (each.person, each.group, each.role))


def _managed(transaction: WriteTransaction, caller: Caller, path: str, role: Role) -> GroupView | Refusal:
    """The group, if the caller may give and take ``role`` there."""
    _ = transaction.change
    group = group_for(read_directory(transaction.connection), caller, path, Role.MANAGER)
    if isinstance(group, Refusal):
        return group
    if role in FEDERATION_ROLES:
        if group.row.parent_id is not None:
            problem = f"{role.value} is a role on federation alone"
            problem_ko = f"{role.value}은(는) federation에만 줄 수 있는 권한입니다"
            return refuse(ReasonCode.INVALID_FIELD, field="role", problem=problem, problem_ko=problem_ko)
        if not holds(caller, group, Role.ADMINISTRATOR):
            return refuse(ReasonCode.FORBIDDEN, needed=Role.ADMINISTRATOR.value, where=path)
    return group


def add_member(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, path: str, person: str, role: Role, why: str
) -> Member | Refusal:
    """Give a person a role on a group and all below it. Managers of the group."""
    group = _managed(transaction, caller, path, role)
    if isinstance(group, Refusal):
        return group
    member = people.ensure(transaction, person)
    if memberships.add(transaction, person_id=member.id, group_id=group.id, role=role.value):
        data = {"person": person, "role": role.value}
        transaction.event("member.added", actor=caller.person, why=why, group_id=group.id, data=data)
        access_changed(transaction, runtime)
    return Member(person=person, role=role, group=path, inherited=False)


def remove_member(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, path: str, person: str, role: Role, why: str
) -> Member | Refusal:
    """Take a role away. Running jobs of the person go on; the group's manager may cancel them."""
    group = _managed(transaction, caller, path, role)
    if isinstance(group, Refusal):
        return group
    known = people.by_name(transaction.connection, person)
    if known is None:
        return refuse(ReasonCode.PERSON_NOT_FOUND, field="person", person=person)
    if role is Role.ADMINISTRATOR and _administrators(transaction.connection, group.id) == {known.id}:
        return refuse(ReasonCode.STATE_CONFLICT, state="last administrator", action="member remove")
    if not memberships.remove(transaction, person_id=known.id, group_id=group.id, role=role.value):
        return refuse(ReasonCode.ROLE_NOT_HELD, field="role", person=person, role=role.value, where=path)
    data = {"person": person, "role": role.value}
    transaction.event("member.removed", actor=caller.person, why=why, group_id=group.id, data=data)
    access_changed(transaction, runtime)
    return Member(person=person, role=role, group=path, inherited=False)


def _administrators(connection: Connection, root_id: int) -> set[int]:
    found = memberships.of_group(connection, root_id)
    return {each.person_id for each in found if each.role == Role.ADMINISTRATOR.value}
