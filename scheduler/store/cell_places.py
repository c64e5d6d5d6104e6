"""Places of cells as rows: one a domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select

from quota.cell_shape import Level
from quota.cells import Right
from quota.packing import CellKind
from scheduler.store.cell_place_tables import cell_places
from scheduler.store.dialect import upsert
from scheduler.store.rows import chunks
from scheduler.store.transaction import WriteTransaction

_UPDATED = ("group_id", "gpu_class", "level", "nodes")


def every(connection: Connection) -> dict[str, Right]:
    """Return who has a cell in which domain, by name."""
    rows = connection.execute(select(cell_places).order_by(cell_places.c.domain))
    return {row.domain: Right(row.group_id, CellKind(row.gpu_class, Level(row.level), row.nodes)) for row in rows}


def change(transaction: WriteTransaction, found: Mapping[str, Right], gone: Iterable[str]) -> None:
    """Write the places of ``found``, and that there is none in the domains of ``gone``."""
    for part in chunks(sorted(gone)):
        transaction.connection.execute(delete(cell_places).where(cell_places.c.domain.in_(part)))
    rows = [
        {
            "domain": domain,
            "group_id": right.group,
            "gpu_class": right.kind.gpu_class,
            "level": int(right.kind.level),
            "nodes": right.kind.nodes,
        }
        for domain, right in found.items()
    ]
    upsert(transaction.connection, cell_places, rows, keys=("domain",), update=_UPDATED)
