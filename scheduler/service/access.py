"""Who may what. Every query of a person goes through here, so that it is scoped by construction.

What a caller may not see does not exist for them: they get "not found", the same answer as for what is not there.
"""

from __future__ import annotations

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.caller import Caller, Role
from scheduler.service.directory import Directory, GroupView

_CONTAINS: dict[Role, frozenset[Role]] = {
    Role.VIEWER: frozenset({Role.VIEWER, Role.SUBMITTER, Role.MANAGER, Role.AUDITOR, Role.ADMINISTRATOR}),
    Role.SUBMITTER: frozenset({Role.SUBMITTER, Role.MANAGER, Role.ADMINISTRATOR}),
    Role.MANAGER: frozenset({Role.MANAGER, Role.ADMINISTRATOR}),
    Role.AUDITOR: frozenset({Role.AUDITOR, Role.ADMINISTRATOR}),
    Role.ADMINISTRATOR: frozenset({Role.ADMINISTRATOR}),
}


def holds(caller: Caller, group: GroupView, role: Role) -> bool:
    """Whether ``caller`` has ``role``, or one that contains it, on ``group`` or above it."""
    wanted = _CONTAINS[role]
    return any(not wanted.isdisjoint(caller.roles.get(ancestor, ())) for ancestor in group.ancestors)


def group_for(directory: Directory, caller: Caller, path: str, role: Role) -> GroupView | Refusal:
    """The group at ``path``, if ``caller`` has ``role`` there. Unseen: not found. Seen without the role: forbidden."""
    group = directory.by_path.get(path)
    if group is None or not sees(directory, caller, group):
        return refuse(ReasonCode.GROUP_NOT_FOUND, field="group", group=path)
    if not holds(caller, group, role):
        return refuse(ReasonCode.FORBIDDEN, needed=role.value, where=path)
    return group


def sees(directory: Directory, caller: Caller, group: GroupView) -> bool:
    """Whether a group exists for ``caller``: they view it, or it lies above one they have a role on (its name only)."""
    if holds(caller, group, Role.VIEWER):
        return True
    below = frozenset(directory.subtree_ids[group.id])
    return not below.isdisjoint(caller.roles)


def visible_group_ids(directory: Directory, caller: Caller) -> frozenset[int] | None:
    """Ids of the groups whose jobs ``caller`` may see; None for all."""
    if caller.administrator or caller.auditor:
        return None
    ids: set[int] = set()
    for group, roles in caller.roles.items():
        if roles and group in directory.subtree_ids:
            ids.update(directory.subtree_ids[group])
    return frozenset(ids)


def require_administrator(caller: Caller) -> Refusal | None:
    """A refusal unless ``caller`` administers the federation."""
    if caller.administrator:
        return None
    return refuse(ReasonCode.FORBIDDEN, needed=Role.ADMINISTRATOR.value, where="federation")


def operates(caller: Caller, site_id: int) -> bool:
    """Whether ``caller`` acts for the site: its operators and the federation's administrators."""
    return caller.administrator or site_id in caller.sites


def inspects(caller: Caller, site_id: int) -> bool:
    """Whether ``caller`` sees the site's contract and what runs there."""
    return caller.auditor or operates(caller, site_id)
