"""Spells are joined as somebody who ticks off every moment would join them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.model.spell import Spell, by_start, merged

END = 16
SPELLS = st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 14)), max_size=6)


def covered(spells: list[Spell]) -> list[bool]:
    return [any(start <= at and (end is None or at < end) for start, end in spells) for at in range(END)]


@given(SPELLS)
@example([(0, 10), (2, 5)])
def test_merged_spells_cover_the_same_moments_and_lie_apart(spells: list[Spell]) -> None:
    found = list(merged(sorted(spells, key=by_start)))
    assert covered(found) == covered(spells)
    ends = [end for _, end in found]
    assert all(end is not None for end in ends[:-1])
    assert all(end is None or start < end for start, end in found)
    assert all(end is not None and end < start for end, (start, _) in zip(ends, found[1:], strict=False))


def test_one_is_given_out_before_all_are_known() -> None:
    endless = ((2 * number, 2 * number + 1) for number in iter(int, 1))
    assert next(merged(pair for pairs in ([(0, 1), (3, 4)], endless) for pair in pairs)) == (0, 1)
