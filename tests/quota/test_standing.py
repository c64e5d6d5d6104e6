"""Standing against real numbers, and whose turn it makes it against paths compared one by one."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, id_of, tree_of

from quota.decay import FRACTION_BITS, Decay, DecayedUse
from quota.errors import UsageError
from quota.standing import PARTS, Standing, gpu_seconds_of, standing_ranks
from quota.standing_oracle import standing_turns_oracle

HOUR_MS = 3_600_000
DECAYS = st.sampled_from((Decay(HOUR_MS), Decay(168 * HOUR_MS, entry_ms=600_000), Decay(7)))
RATES = st.integers(0, 3) | st.integers(0, 50_000 * PARTS)
#: (milliseconds, thousandths of GPUs lent in them, thousandths held above the share)
HISTORIES = st.lists(st.tuples(st.integers(0, 40 * HOUR_MS), RATES, RATES), max_size=8)
SECONDS = st.integers(-2, 2) | st.integers(-(2**58), 2**58)


def after(decay: Decay, history: list[tuple[int, int, int]]) -> Standing:
    found = Standing.none(0)
    for elapsed_ms, lends, surges in history:
        found = Standing(found.lent, found.surged, lends, surges).at(decay, found.at_ms + elapsed_ms)
    return found


@given(DECAYS, HISTORIES)
def test_what_is_kept_is_what_was_lent_less_what_was_held_above_the_share(
    decay: Decay, history: list[tuple[int, int, int]]
) -> None:
    found = after(decay, history)
    with localcontext(prec=80):
        end_ms, kept, at_ms = sum(elapsed_ms for elapsed_ms, _, _ in history), Decimal(0), 0
        for elapsed_ms, lends, surges in history:
            at_start = Decimal("0.5") ** (Decimal(end_ms - at_ms) / decay.half_life_ms)
            at_end = Decimal("0.5") ** (Decimal(end_ms - at_ms - elapsed_ms) / decay.half_life_ms)
            kept += (lends - surges) * decay.half_life_ms * (at_end - at_start)
            at_ms += elapsed_ms
        assert abs(found.gpu_seconds - kept / (PARTS * 1000)) <= 1


@given(DECAYS, HISTORIES, st.data())
def test_looking_in_between_makes_no_difference(
    decay: Decay, history: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    split = []
    for elapsed_ms, lends, surges in history:
        first_ms = data.draw(st.integers(0, elapsed_ms))
        split += [(first_ms, lends, surges), (elapsed_ms - first_ms, lends, surges)]
    found, looked = after(decay, history), after(decay, split)
    most = max((max(lends, surges) for _, lends, surges in history), default=0) * decay.half_life_ms << FRACTION_BITS
    for one, other in ((found.lent, looked.lent), (found.surged, looked.surged)):
        assert abs(one.amount - other.amount) <= 4 * (len(history) + 1) + (most >> 80)


def test_who_lends_as_long_as_it_surges_ends_where_it_began() -> None:
    decay = Decay(168 * HOUR_MS)
    lent = after(decay, [(HOUR_MS, 8 * PARTS, 0)])
    assert lent.gpu_seconds > 0
    even = after(Decay(2**50), [(HOUR_MS, 8 * PARTS, 0), (HOUR_MS, 0, 8 * PARTS)])
    assert even.gpu_seconds in (-1, 0)


def test_what_was_lent_counts_half_as_much_after_a_half_life() -> None:
    lent = Standing(DecayedUse(1000 * PARTS * 1000 << FRACTION_BITS, 0), DecayedUse(0, 0))
    assert lent.gpu_seconds == gpu_seconds_of(lent.lent) == 1000
    assert lent.at(Decay(HOUR_MS), HOUR_MS).gpu_seconds == 500


def test_another_half_life_keeps_the_average() -> None:
    before, afterwards = Decay(HOUR_MS), Decay(3 * HOUR_MS)
    forever = Standing(DecayedUse(8 * PARTS * HOUR_MS << FRACTION_BITS, 0), DecayedUse(0, 0), 8 * PARTS)
    anew = forever.counted_anew(before, afterwards)
    assert anew.at(afterwards, 5 * HOUR_MS).lent.amount == pytest.approx(anew.lent.amount)
    assert anew.gpu_seconds == 3 * forever.gpu_seconds


def test_amounts_of_two_moments_are_a_fault() -> None:
    with pytest.raises(UsageError):
        Standing(DecayedUse(0, 0), DecayedUse(0, 1))


@given(cases(), st.data())
def test_turns_by_arrays_are_those_by_paths(case: Case, data: st.DataObject) -> None:
    tree = case.tree.of_class(GPU_CLASS)
    seconds = data.draw(st.lists(SECONDS, min_size=len(tree), max_size=len(tree)))
    found = standing_ranks(tree, np.array(seconds, np.int64))
    assert found.tolist() == standing_turns_oracle(tree, seconds)


def test_when_a_group_stands_above_its_sibling_everybody_in_it_does() -> None:
    tree = tree_of({"all": None, "a": "all", "b": "all", "a1": "a", "b1": "b", "b2": "b", "c": "all"})
    compiled = tree.of_class(GPU_CLASS)
    kept = {"a": 10, "a1": -500, "b": 9, "b1": 1000, "b2": 0}
    ranks = standing_ranks(compiled, compiled.array({id_of(tree, name): each for name, each in kept.items()}))
    turns = {name: int(ranks[compiled.position(id_of(tree, name))]) for name in ("a", "a1", "b", "b1", "b2", "c")}
    assert turns == {"a": 0, "a1": 1, "b1": 2, "b": 3, "b2": 3, "c": 4}


def test_one_standing_a_group_is_asked_for() -> None:
    with pytest.raises(UsageError):
        standing_ranks(tree_of({"all": None, "a": "all"}).of_class(GPU_CLASS), np.zeros(1, np.int64))
