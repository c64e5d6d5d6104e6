"""The fencing number of a leader, and the check that every commit of a leader makes with it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from scheduler.model.errors import LeadershipLost
from scheduler.store.tables import leadership


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Proof of having led: ``number`` grows with every change of leader of ``name``."""

    name: str
    holder: str
    number: int


def check(connection: Connection, fence: Fence) -> None:
    """Raise ``LeadershipLost`` unless ``fence`` is still the highest.

    On PostgreSQL the row stays locked until the transaction ends, so that no takeover slips between this
    check and the commit; on SQLite the transaction is the only writer anyway. An expired lease that nobody
    took over passes: no other leader can have decided anything.
    """
    row = connection.execute(
        select(leadership.c.fence).where(leadership.c.name == fence.name).with_for_update(read=True)
    ).one_or_none()
    if row is None or row.fence != fence.number:
        highest = "none" if row is None else row.fence
        raise LeadershipLost(f"{fence.holder} held fence {fence.number} of {fence.name}; the highest is {highest}")
