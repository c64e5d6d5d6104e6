"""What the parts of a policy file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from quota.cell_shape import CELLS_MAX, NODES_MAX
from scheduler.model.cell_words import CellWords, read_cell
from scheduler.model.duration import parse_duration_seconds

Seconds = Annotated[int, BeforeValidator(parse_duration_seconds), Field(ge=0)]


def _cell_of(text: object) -> CellWords:
    cell = read_cell(text) if isinstance(text, str) else None
    if (
        cell is None
        or not 1 <= cell.nodes <= (1 if cell.level == "node" else NODES_MAX)
        or not 1 <= cell.number <= CELLS_MAX
    ):
        raise ValueError("write LEVEL:NODES=NUMBER, as in leaf:4=2 or node=8")
    return cell


CellText = Annotated[CellWords, BeforeValidator(_cell_of)]


class Part(BaseModel):
    """Base of the file's parts: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
