"""SQL table of GPU classes' speeds. As in ``tables``."""

from __future__ import annotations

from sqlalchemy import Column, Float, String, Table

from scheduler.store.tables import metadata

class_speeds = Table(
    "class_speeds",
    metadata,
    # How fast a class is in general, relative to the others: for predictions. Few rows, read whole.
    Column("name", String(31), primary_key=True),
    Column("speed", Float, nullable=False),
)
