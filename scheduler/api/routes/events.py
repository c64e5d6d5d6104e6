"""The record of who did what and why: for administrators, auditors, and managers of a group."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from scheduler.api.dependencies import Cursor, Limit, Reading, RuntimeHere, cursor_of, read_cursor
from scheduler.api.documents import event_document
from scheduler.api.problem import answered
from scheduler.api.schemas import EventPage, GroupPath, Slug
from scheduler.service.audit import list_events, list_site_events
from scheduler.store.events import EventPage as Found

router = APIRouter(tags=["events"])


@router.get("/events")
def list_all_events(
    runtime: RuntimeHere,
    caller: Reading,
    group: Annotated[GroupPath | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> EventPage:
    """Events, oldest first. A page ends with a whole change, so it may hold a few more than ``limit``."""
    after = read_cursor(cursor, int)
    return _page(answered(list_events(runtime, caller, group, after[0] if after else 0, limit)))


@router.get("/sites/{name}/events")
def list_events_of_site(
    name: Slug, runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100
) -> EventPage:
    """What was done to a site and its nodes, for its operators; oldest first, in pages as of ``/events``."""
    after = read_cursor(cursor, int)
    return _page(answered(list_site_events(runtime, caller, name, after[0] if after else 0, limit)))


def _page(page: Found) -> EventPage:
    following = cursor_of(page.change) if page.more else None
    return EventPage(items=[event_document(event) for event in page.events], next_cursor=following)
