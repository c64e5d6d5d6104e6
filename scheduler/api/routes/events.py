"""The record of who did what and why: for administrators, auditors, and managers of a group."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from scheduler.api.dependencies import Cursor, Limit, Reading, RuntimeHere, cursor_of, read_cursor
from scheduler.api.documents import event_document
from scheduler.api.problem import answered
from scheduler.api.schemas import EventPage, GroupPath
from scheduler.service.audit import list_events

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
    page = answered(list_events(runtime, caller, group, after[0] if after else 0, limit))
    following = cursor_of(page.change) if page.more else None
    return EventPage(items=[event_document(event) for event in page.events], next_cursor=following)
