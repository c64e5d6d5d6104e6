"""Cells as options and as a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def cells_of(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Read ``leaf:4=2`` and the like; ``none`` alone, and a number of 0, is no cell. Refuses anything else."""
    from scheduler.cli.failure import usage_failure
    from scheduler.model.cell_words import read_cell

    if list(texts) == ["none"]:
        return []
    cells = []
    for text in texts:
        cell = read_cell(text)
        if cell is None:
            raise usage_failure(
                f"--cell {text!r}: write LEVEL:NODES=NUMBER, as in leaf:4=2 or node=8, or none.",
                f"--cell {text!r}: leaf:4=2나 node=8처럼 LEVEL:NODES=NUMBER로, 또는 none으로 쓰십시오.",
            )
        if cell.number:
            cells.append(cell._asdict())
    return cells


def cells_text(cells: Iterable[Mapping[str, Any]]) -> str:
    """The same the other way round; ``-`` for none."""
    return " ".join(f"{each['level']}:{each['nodes']}={each['number']}" for each in cells) or "-"
