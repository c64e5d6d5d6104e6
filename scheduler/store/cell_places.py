"""Places of cells as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select, tuple_

from quota.cell_shape import Level
from quota.cells import Right
from quota.packing import CellKind
from quota.topology import Place
from scheduler.store.cell_place_tables import cell_places
from scheduler.store.dialect import upsert
from scheduler.store.rows import chunks
from scheduler.store.transaction import WriteTransaction

_UPDATED = ("group_id", "level", "nodes")


def every(connection: Connection) -> dict[Place, Right]:
    """Return whose cell is in which place, in the places' order."""
    rows = connection.execute(select(cell_places).order_by(cell_places.c.gpu_class, cell_places.c.domain))
    return {
        Place(row.gpu_class, row.domain): Right(row.group_id, CellKind(row.gpu_class, Level(row.level), row.nodes))
        for row in rows
    }


def change(transaction: WriteTransaction, found: Mapping[Place, Right], gone: Iterable[Place]) -> None:
    """Write whose the places of ``found`` are, and that no cell is in those of ``gone``."""
    for part in chunks(sorted(gone)):
        there = tuple_(cell_places.c.gpu_class, cell_places.c.domain).in_(part)
        transaction.connection.execute(delete(cell_places).where(there))
    rows = [
        {
            "gpu_class": place.gpu_class,
            "domain": place.domain,
            "group_id": right.group,
            "level": int(right.kind.level),
            "nodes": right.kind.nodes,
        }
        for place, right in found.items()
    ]
    upsert(transaction.connection, cell_places, rows, keys=("gpu_class", "domain"), update=_UPDATED)
