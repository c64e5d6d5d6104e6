"""Spells: stretches of time with a beginning, and an end or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: (start_ms, end_ms): whole milliseconds UTC, the end not included; None has no end.
Spell = tuple[int, int | None]


def merged(spells: Iterable[Spell]) -> Iterator[Spell]:
    """Join spells that overlap or touch. They come in order of their starts, and go out apart from each other.

    It is lazy: one spell is given out as soon as the next one is known to lie apart. Empty spells vanish.
    """
    begin_ms, finish_ms = 0, 0  # empty: none is known yet
    for start_ms, end_ms in spells:
        if end_ms is not None and end_ms <= start_ms:
            continue
        if begin_ms == finish_ms or start_ms > finish_ms:
            if begin_ms < finish_ms:
                yield begin_ms, finish_ms
            begin_ms, finish_ms = start_ms, start_ms
        if end_ms is None:
            yield begin_ms, None
            return
        finish_ms = max(finish_ms, end_ms)
    if begin_ms < finish_ms:
        yield begin_ms, finish_ms


def by_start(spell: Spell) -> int:
    """The key that sorts spells as ``merged`` wants them."""
    return spell[0]
