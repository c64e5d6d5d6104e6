"""The documents of cells: the parts of a guarantee that have a shape."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from quota.cell_shape import CELLS_MAX, KINDS_MAX, NODES_MAX, Cells, Level


class CellLevel(StrEnum):
    """How wide a cell is."""

    NODE = "node"
    LEAF = "leaf"
    SPINE = "spine"
    HALL = "hall"
    SITE = "site"


class CellsIn(BaseModel):
    """So many cells, each a domain of a level with at least so many nodes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: CellLevel
    nodes: Annotated[int, Field(ge=1, le=NODES_MAX)]
    number: Annotated[int, Field(ge=1, le=CELLS_MAX)]


class CellsOut(BaseModel):
    """So many cells, each a domain of a level with at least so many nodes."""

    level: CellLevel
    nodes: int
    number: int


CellsInList = Annotated[list[CellsIn], Field(max_length=KINDS_MAX)]


def cells_of(documents: Iterable[CellsIn]) -> tuple[Cells, ...]:
    """What the use case is asked."""
    return tuple(Cells(Level.of_word(each.level), each.nodes, each.number) for each in documents)


def cell_documents(cells: Iterable[Cells]) -> list[CellsOut]:
    """Cells as they are answered."""
    return [CellsOut(level=CellLevel(each.level.word), nodes=each.nodes, number=each.number) for each in cells]
