"""What the parts of a policy file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from quota.cell_shape import Cells, Level, cells_out_of_range
from scheduler.model.cell_words import read_cell
from scheduler.model.duration import parse_duration_seconds

Seconds = Annotated[int, BeforeValidator(parse_duration_seconds), Field(ge=0)]


def _cells_of(text: object) -> Cells:
    read = read_cell(text) if isinstance(text, str) else None
    cells = None if read is None else Cells(Level.of_word(read.level), read.nodes, read.number)
    if cells is None or cells_out_of_range((cells,)) is not None:
        raise ValueError("write LEVEL:NODES=NUMBER, as in leaf:4=2 or node=8")
    return cells


CellText = Annotated[Cells, BeforeValidator(_cells_of)]


class Part(BaseModel):
    """Base of the file's parts: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
