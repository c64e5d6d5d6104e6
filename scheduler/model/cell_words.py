"""Cells as people write them: `leaf:4=2` is two leaves of four nodes, `node=8` eight nodes."""

from __future__ import annotations

import re
from typing import NamedTuple

_CELL = re.compile(r"(node|leaf|spine|hall|site)(?::([0-9]{1,6}))?=([0-9]{1,6})")


class CellWords(NamedTuple):
    """A ``number`` of cells, each a domain of ``level`` with at least ``nodes`` nodes."""

    level: str
    nodes: int
    number: int

    def __str__(self) -> str:
        return f"{self.level}:{self.nodes}={self.number}"


def read_cell(text: str) -> CellWords | None:
    """What a text says; None where it says nothing of cells. Only a node needs no number of nodes."""
    found = _CELL.fullmatch(text)
    if found is None or (found[2] is None and found[1] != "node"):
        return None
    return CellWords(found[1], int(found[2] or 1), int(found[3]))
