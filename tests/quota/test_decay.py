"""Decayed use against real numbers, and that nobody gains by when somebody looks."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.decay import FACTOR_BITS, FRACTION_BITS, HALF_LIFE_MS_MAX, Decay, DecayedUse, factor
from quota.errors import UsageError

DAY_MS = 86_400_000
HALF_LIVES = st.integers(1, 100) | st.integers(1, 60 * DAY_MS)
TIMES = st.integers(0, 100) | st.integers(0, 400 * DAY_MS)
#: (milliseconds, GPUs in use in them)
HISTORIES = st.lists(st.tuples(TIMES, st.integers(0, 50_000)), max_size=8)


def replayed(decay: Decay, history: list[tuple[int, int]]) -> DecayedUse:
    use = DecayedUse(0, 0)
    for elapsed_ms, gpus in history:
        use = decay.after(use, gpus, use.at_ms + elapsed_ms)
    return use


def by_real_numbers(decay: Decay, history: list[tuple[int, int]]) -> Decimal:
    """Every interval's own share of the average at the end, from the definition, in 80 digits."""
    end_ms = sum(elapsed_ms for elapsed_ms, _ in history)
    total, start_ms = Decimal(0), 0
    for elapsed_ms, gpus in history:
        at_start = Decimal("0.5") ** (Decimal(end_ms - start_ms) / decay.half_life_ms)
        at_end = Decimal("0.5") ** (Decimal(end_ms - start_ms - elapsed_ms) / decay.half_life_ms)
        total += gpus * decay.half_life_ms * (at_end - at_start)
        start_ms += elapsed_ms
    return total * 2**FRACTION_BITS


@given(TIMES, HALF_LIVES)
def test_the_factor_is_one_half_to_the_number_of_half_lives(elapsed_ms: int, half_life_ms: int) -> None:
    with localcontext(prec=80):
        exact = Decimal("0.5") ** (Decimal(elapsed_ms) / half_life_ms)
        assert abs(Decimal(factor(elapsed_ms, half_life_ms)) / 2**FACTOR_BITS - exact) <= Decimal(2) ** -88


@given(TIMES, st.integers(1, HALF_LIFE_MS_MAX))
def test_a_longer_time_leaves_no_more(elapsed_ms: int, half_life_ms: int) -> None:
    assert factor(elapsed_ms + 1, half_life_ms) <= factor(elapsed_ms, half_life_ms) <= factor(0, half_life_ms)


@given(HALF_LIVES, HISTORIES)
def test_whole_numbers_come_to_what_real_numbers_do(half_life_ms: int, history: list[tuple[int, int]]) -> None:
    decay = Decay(half_life_ms)
    with localcontext(prec=80):
        exact = by_real_numbers(decay, history)
        largest = max((gpus for _, gpus in history), default=0) * half_life_ms * 2**FRACTION_BITS
        allowed = len(history) * (1 + Decimal(largest) / 2**86)
        assert abs(replayed(decay, history).amount - exact) <= allowed


@given(HALF_LIVES, st.integers(0, 2**80), st.integers(0, 50_000), TIMES, TIMES)
def test_it_makes_no_difference_where_an_interval_is_split(
    half_life_ms: int, amount: int, gpus: int, first_ms: int, second_ms: int
) -> None:
    decay, use = Decay(half_life_ms), DecayedUse(amount, 5)
    once = decay.after(use, gpus, 5 + first_ms + second_ms)
    twice = decay.after(decay.after(use, gpus, 5 + first_ms), gpus, 5 + first_ms + second_ms)
    assert abs(once.amount - twice.amount) <= 3 + (amount + (gpus * half_life_ms << FRACTION_BITS) >> 86)


@given(HALF_LIVES, st.integers(0, 2**80), st.integers(0, 50_000), TIMES, st.integers(1, 2**40), st.integers(1, 9))
def test_who_used_more_never_counts_for_less(
    half_life_ms: int, amount: int, gpus: int, elapsed_ms: int, more: int, more_gpus: int
) -> None:
    decay, use = Decay(half_life_ms), DecayedUse(amount, 0)
    counted = decay.after(use, gpus, elapsed_ms).amount
    assert decay.after(DecayedUse(amount + more, 0), gpus, elapsed_ms).amount >= counted
    assert decay.after(use, gpus + more_gpus, elapsed_ms).amount >= counted


@given(HALF_LIVES, st.integers(0, 50_000), TIMES)
def test_steady_use_comes_to_a_half_life_of_it_and_stays_there(half_life_ms: int, gpus: int, elapsed_ms: int) -> None:
    steady = DecayedUse(gpus * half_life_ms << FRACTION_BITS, 0)
    assert Decay(half_life_ms).after(steady, gpus, elapsed_ms).amount == steady.amount
    assert steady.gpu_milliseconds == gpus * half_life_ms


@given(HALF_LIVES, st.integers(0, 10**7), st.integers(0, 50_000), st.integers(0, 2**80))
def test_a_start_is_charged_at_once_what_its_first_moments_would_add(
    half_life_ms: int, entry_ms: int, gpus: int, amount: int
) -> None:
    decay = Decay(half_life_ms, entry_ms)
    charged = decay.with_entry(DecayedUse(amount, 7), gpus)
    used = decay.after(DecayedUse(0, 0), gpus, entry_ms)
    assert (charged.amount - amount, charged.at_ms) == (used.amount, 7)


def test_htcondor_priority_of_ten_idle_for_two_half_lives_is_two_and_a_half() -> None:
    decay = Decay(DAY_MS)
    use = DecayedUse(10 * DAY_MS << FRACTION_BITS, 0)
    averages = [decay.after(use, 0, days * DAY_MS).gpu_milliseconds / DAY_MS for days in range(3)]
    assert averages == [10, 5, 2.5]


def test_a_burst_between_two_looks_is_not_free() -> None:
    decay = Decay(7 * DAY_MS, entry_ms=300_000)
    idle = DecayedUse(0, 0)
    assert decay.with_entry(idle, 64).gpu_milliseconds > 0
    assert Decay(7 * DAY_MS).with_entry(idle, 64) == idle


@pytest.mark.parametrize(("half_life_ms", "entry_ms"), [(0, 0), (HALF_LIFE_MS_MAX + 1, 0), (1, -1)])
def test_rules_that_cannot_be_are_faults(half_life_ms: int, entry_ms: int) -> None:
    with pytest.raises(UsageError):
        Decay(half_life_ms, entry_ms)


@pytest.mark.parametrize(("gpus", "until_ms"), [(-1, 10), (1, 9)])
def test_use_neither_goes_back_in_time_nor_below_nothing(gpus: int, until_ms: int) -> None:
    with pytest.raises(UsageError):
        Decay(1).after(DecayedUse(0, 10), gpus, until_ms)
    if gpus < 0:
        with pytest.raises(UsageError):
            Decay(1).with_entry(DecayedUse(0, 10), gpus)


#: (GPUs, start, milliseconds)
SPELLS = st.lists(st.tuples(st.integers(1, 50_000), TIMES, TIMES), max_size=6)


@given(HALF_LIVES, TIMES, SPELLS, st.data())
def test_spells_told_once_they_are_over_come_to_what_was_told_as_they_went(
    half_life_ms: int, entry_ms: int, spells: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    decay = Decay(half_life_ms, entry_ms)
    moments = sorted({moment for _, start, lasted in spells for moment in (start, start + lasted)})
    as_it_went = DecayedUse(0, 0)
    for moment in moments:
        running = sum(gpus for gpus, start, lasted in spells if start < moment <= start + lasted)
        as_it_went = decay.after(as_it_went, running, moment)
        for gpus, start, _ in spells:
            if start == moment:
                as_it_went = decay.with_entry(as_it_went, gpus)
    afterwards = DecayedUse(0, as_it_went.at_ms)
    for gpus, start, lasted in data.draw(st.permutations(spells)):
        afterwards = decay.with_spell(afterwards, gpus, start, start + lasted)
    largest = sum(gpus for gpus, _, _ in spells) * half_life_ms << FRACTION_BITS
    assert abs(as_it_went.amount - afterwards.amount) <= (len(spells) + 1) * (len(moments) + 2 + (largest >> 84))


@given(HALF_LIVES, TIMES, st.integers(2**60, 2**80), st.integers(1, 500), TIMES, TIMES, TIMES)
def test_a_spell_that_is_taken_back_leaves_nothing(
    half_life_ms: int, entry_ms: int, before: int, gpus: int, start_ms: int, lasted_ms: int, since_ms: int
) -> None:
    decay, end_ms = Decay(half_life_ms, entry_ms), start_ms + lasted_ms
    told = decay.with_spell(DecayedUse(before, end_ms), gpus, start_ms, end_ms)
    back = decay.with_spell(decay.after(told, 0, end_ms + since_ms), -gpus, start_ms, end_ms)
    without = decay.after(DecayedUse(before, end_ms), 0, end_ms + since_ms)
    assert abs(back.amount - without.amount) <= 4 + (told.amount >> 84)
    assert decay.with_spell(DecayedUse(0, end_ms), -gpus, start_ms, end_ms).amount == 0


def test_what_has_not_come_yet_counts_as_over_now() -> None:
    decay, use = Decay(DAY_MS), DecayedUse(0, DAY_MS)
    assert decay.with_spell(use, 8, 0, 3 * DAY_MS) == decay.with_spell(use, 8, 0, DAY_MS)
    with pytest.raises(UsageError):
        decay.with_spell(use, 8, 2, 1)


def test_a_new_half_life_keeps_the_average() -> None:
    day, week = Decay(DAY_MS), Decay(7 * DAY_MS)
    steady = day.after(DecayedUse(0, 0), 8, 400 * DAY_MS)
    assert week.of_other(steady, day).gpu_milliseconds == pytest.approx(8 * 7 * DAY_MS, rel=1e-9)
