"""How fast GPU classes are in general, relative to one another, as administrators say."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from scheduler.store.dialect import upsert
from scheduler.store.speed_tables import class_speeds
from scheduler.store.transaction import WriteTransaction


def every(connection: Connection) -> dict[str, float]:
    """Return the speed of each class that has one, above 0, by name."""
    return {row.name: row.speed for row in connection.execute(select(class_speeds).order_by(class_speeds.c.name))}


def put(transaction: WriteTransaction, name: str, speed: float | None) -> None:
    """Write the speed of a class; None: nobody says how fast it is any more."""
    if speed is None:
        transaction.connection.execute(delete(class_speeds).where(class_speeds.c.name == name))
    else:
        row = {"name": name, "speed": speed}
        upsert(transaction.connection, class_speeds, [row], keys=["name"], update=["speed"])
