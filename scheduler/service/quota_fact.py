"""Rows of quotas as the tree knows them, and the cells of one as they are written."""

from __future__ import annotations

from typing import Any

from quota.cell_shape import Cells, Level
from quota.tree import Quota
from scheduler.store import quotas


def quota_fact(row: quotas.Quota) -> Quota:
    """A stored quota."""
    return Quota(
        guaranteed=row.guaranteed,
        limit=row.limit,
        borrowing_limit=row.borrowing_limit,
        lending_limit=row.lending_limit,
        weight=row.weight,
        cells=tuple(Cells(Level.of_word(level), nodes, number) for level, nodes, number in row.cells or ()),
    )


def written_cells(cells: tuple[Cells, ...]) -> list[list[Any]] | None:
    """What ``quota_fact`` reads; None for no cells."""
    return [[each.level.word, each.nodes, each.number] for each in cells] or None


def in_order(cells: tuple[Cells, ...]) -> tuple[Cells, ...]:
    """The same cells, wide before narrow and large before small: one way to write what is the same."""
    return tuple(sorted(cells, key=lambda each: (-each.level, -each.nodes)))
