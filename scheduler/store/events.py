"""Events: what happened, in the order of changes. Written by ``WriteTransaction.event``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from scheduler.store.follow import changed_since
from scheduler.store.rows import all_of
from scheduler.store.tables import events


@dataclass(frozen=True, slots=True)
class Event:
    """A row of ``events``; ``change`` and ``part`` together name it."""

    change: int
    part: int
    at_ms: int
    kind: str
    job_id: int | None
    group_id: int | None
    site_id: int | None
    actor: str
    why: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Events, and where to go on from. Whole changes only."""

    events: list[Event]
    change: int
    more: bool


def of_job(connection: Connection, job_id: int, *, after: tuple[int, int] = (0, 0), limit: int = 1000) -> list[Event]:
    """Return a job's history, oldest first: what comes after the event ``after`` (change, part)."""
    change, part = after
    later = (events.c.change > change) | ((events.c.change == change) & (events.c.part > part))
    statement = select(events).where(events.c.job_id == job_id, later)
    return all_of(Event, connection, statement.order_by(events.c.change, events.c.part).limit(limit))


def after(
    connection: Connection, change: int, *, where: ColumnElement[bool] | None = None, rows_max: int = 1000
) -> EventPage:
    """Return the events after ``change`` that pass ``where``."""
    page = changed_since(connection, events, change, where=where, rows_max=rows_max)
    return EventPage(events=[Event(*tuple(row)) for row in page.rows], change=page.change, more=page.more)
