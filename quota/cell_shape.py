"""What a cell is like: a domain of one level with a number of nodes; and how many of it a quota grants."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

#: The most nodes that a cell may declare, and the most cells of one kind.
NODES_MAX = CELLS_MAX = 100_000
#: The most kinds of cells that one quota may name.
KINDS_MAX = 16


class Level(IntEnum):
    """How wide a domain is; the wider is the greater."""

    NODE = 0
    LEAF = 1
    SPINE = 2
    HALL = 3
    SITE = 4

    __hash__ = int.__hash__  # that of enumerations is slow, and levels are in the keys of everything about cells

    @property
    def word(self) -> str:
        """As people write it."""
        return self.name.lower()

    @staticmethod
    def of_word(word: str) -> Level:
        """The level that people write so."""
        return Level[word.upper()]


class Cells(NamedTuple):
    """A ``number`` of cells, each a domain of ``level`` with at least ``nodes`` healthy nodes."""

    level: Level
    nodes: int
    number: int


def cells_out_of_range(cells: tuple[Cells, ...]) -> tuple[str, int, int] | None:
    """Return (field, value, bound) of the first number of ``cells`` that cannot be, or None.

    ``cells`` stands for their number or order: kinds stand once each, and are no more than ``KINDS_MAX``.
    """
    kinds = {(each.level, each.nodes) for each in cells}
    if len(cells) > KINDS_MAX:
        return "cells", len(cells), KINDS_MAX
    if len(kinds) < len(cells):
        return "cells", len(cells), len(kinds)
    for at, each in enumerate(cells):
        nodes_max = 1 if each.level is Level.NODE else NODES_MAX
        if not 1 <= each.nodes <= nodes_max:
            return f"cells.{at}.nodes", each.nodes, 1 if each.nodes < 1 else nodes_max
        if not 1 <= each.number <= CELLS_MAX:
            return f"cells.{at}.number", each.number, 1 if each.number < 1 else CELLS_MAX
    return None


def nodes_of(cells: tuple[Cells, ...]) -> int:
    """Return how many nodes all these cells declare."""
    return sum(each.nodes * each.number for each in cells)
