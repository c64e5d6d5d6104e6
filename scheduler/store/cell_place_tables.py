"""SQL table of cells' places. As in ``tables``."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text

from scheduler.store.tables import Id, metadata

cell_places = Table(
    "cell_places",
    metadata,
    # Where the scheduler that leads has each cell: the nodes of a class in a domain, which is called as in
    # cycle.cell_topology. The kind of the cell is that of the right to it: packing.CellKind.
    Column("gpu_class", String(31), primary_key=True),
    Column("domain", Text, primary_key=True),
    Column("group_id", Id, ForeignKey("groups.id"), nullable=False),
    Column("level", Integer, nullable=False),
    Column("nodes", Integer, nullable=False),
)
