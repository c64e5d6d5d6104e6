"""The record of changes, for those who answer for them."""

from __future__ import annotations

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import group_for
from scheduler.service.caller import Caller, Role
from scheduler.service.runtime import Runtime
from scheduler.service.sites import inspected_site
from scheduler.store import events
from scheduler.store.events import EventPage
from scheduler.store.tables import events as event_table


def list_events(
    runtime: Runtime, caller: Caller, path: str | None, after_change: int, limit: int
) -> EventPage | Refusal:
    """Events after a change: all for administrators and auditors, those of a group's subtree for its managers."""
    where = None
    if path is not None:
        directory = runtime.directories.newest()
        group = group_for(directory, caller, path, Role.VIEWER)
        if isinstance(group, Refusal):
            return group
        if not caller.auditor:
            managed = group_for(directory, caller, path, Role.MANAGER)
            if isinstance(managed, Refusal):
                return managed
        where = event_table.c.group_id.in_(directory.subtree_ids[group.id])
    elif not (caller.auditor or caller.administrator):
        return refuse(ReasonCode.FORBIDDEN, needed=Role.AUDITOR.value, where="federation")
    with runtime.database.read() as connection:
        return events.after(connection, after_change, where=where, rows_max=limit)


def list_site_events(runtime: Runtime, caller: Caller, name: str, after_change: int, limit: int) -> EventPage | Refusal:
    """Events of a site after a change, for those who may inspect it; what happened to jobs there is not for them."""
    with runtime.database.read() as connection:
        site = inspected_site(connection, caller, name)
        if isinstance(site, Refusal):
            return site
        where = (event_table.c.site_id == site.id) & event_table.c.job_id.is_(None)
        return events.after(connection, after_change, where=where, rows_max=limit)
