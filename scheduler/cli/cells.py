"""Cells as they are written on the command line: `leaf:4=2` is two leaves of four nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_CELL = re.compile(r"(node|leaf|spine|hall|site)(?::([0-9]{1,6}))?=([0-9]{1,6})")


def cells_of(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Read ``leaf:4=2`` and the like; ``none`` alone, and a number of 0, is no cell. Refuses anything else."""
    from scheduler.cli.failure import usage_failure

    if list(texts) == ["none"]:
        return []
    cells = []
    for text in texts:
        found = _CELL.fullmatch(text)
        if found is None or (found[2] is None and found[1] != "node"):
            raise usage_failure(
                f"--cell {text!r}: write LEVEL:NODES=NUMBER, as in leaf:4=2 or node=8, or none.",
                f"--cell {text!r}: leaf:4=2나 node=8처럼 LEVEL:NODES=NUMBER로, 또는 none으로 쓰십시오.",
            )
        if int(found[3]):
            cells.append({"level": found[1], "nodes": int(found[2] or 1), "number": int(found[3])})
    return cells


def cells_text(cells: Iterable[Mapping[str, Any]]) -> str:
    """The same the other way round; ``-`` for none."""
    return " ".join(f"{each['level']}:{each['nodes']}={each['number']}" for each in cells) or "-"
