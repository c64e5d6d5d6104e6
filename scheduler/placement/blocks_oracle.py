"""``blocks`` as its rule reads: every aligned part, one after the other."""

from __future__ import annotations

from collections.abc import Sequence


def holders(well: Sequence[bool], size: int) -> list[int | None]:
    """By position of a leaf's block the node that holds it."""
    spares = [node for node in range(size, len(well)) if well[node]]
    positions: list[int | None] = []
    for node in range(size):
        if well[node]:
            positions.append(node)
        else:
            positions.append(spares.pop(0) if spares else None)
    return positions


def aligned_part(free: Sequence[bool], nodes: int) -> list[int] | None:
    """The positions that a gang of so many nodes gets."""
    length = 1
    while length < nodes:
        length *= 2
    found = []
    for begin in range(0, len(free) - length + 1, length):
        inside = [position for position in range(begin, begin + length) if free[position]]
        if len(inside) >= nodes:
            around, wider = [], 2 * length
            while wider <= len(free):
                start = begin - begin % wider
                around.append(sum(free[start : start + wider]))
                wider *= 2
            found.append((around, begin, inside[:nodes]))
    return min(found)[2] if found else None
