"""Credits: what an hour is worth, at which rate, and with which sign."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.errors import LedgerError
from quota.exchange import ExchangeTable, Rate

HOUR = 60 * 60 * 1000


def rate(credits_: int | Fraction, valid_from_ms: int = 0, gpu_class: str = "h100") -> Rate:
    return Rate(gpu_class=gpu_class, valid_from_ms=valid_from_ms, credits_per_gpu_hour=Fraction(credits_))


def test_one_gpu_for_one_hour_is_worth_the_rate() -> None:
    table = ExchangeTable.of([rate(1), rate(Fraction(5, 4), gpu_class="h200")])
    assert table.credits("h100", HOUR, 0, HOUR) == 1
    assert table.credits("h200", 8 * HOUR, 0, HOUR) == 10
    assert table.credits("h100", 1, 0, 1) == Fraction(1, 3_600_000)


def test_a_rate_holds_from_its_very_moment_until_the_next() -> None:
    table = ExchangeTable.of([rate(3, 100), rate(2, 10)])
    assert [table.rate("h100", at) for at in (9, 10, 99, 100, 10**12)] == [None, 2, 2, 3, 3]
    assert table.rate("h200", 50) is None


def test_use_across_a_change_is_worth_each_part_s_own_rate() -> None:
    table = ExchangeTable.of([rate(1, 0), rate(4, HOUR)])
    assert table.credits("h100", 2 * HOUR, 0, 2 * HOUR) == 5
    assert table.credits("h100", 8 * HOUR, HOUR // 2, HOUR + HOUR // 2) == 8 * Fraction(1 + 4, 2)
    assert table.credits("h100", HOUR, HOUR, 2 * HOUR) == 4
    assert table.credits("h100", HOUR, 0, HOUR) == 1


def test_what_began_before_there_was_a_rate_has_no_worth_that_anybody_could_tell() -> None:
    table = ExchangeTable.of([rate(1, 10)])
    assert table.credits("h100", 5, 9, 14) is None
    assert table.credits("h100", 5, 10, 15) is not None
    assert table.credits("h200", 5, 10, 15) is None
    assert table.credits("h200", 0, 10, 15) == 0


def test_a_reversal_is_worth_the_negative_of_what_it_reverses() -> None:
    table = ExchangeTable.of([rate(1, 0), rate(4, HOUR)])
    worth = table.credits("h100", 6 * HOUR, 0, 3 * HOUR)
    assert worth is not None and worth > 0
    assert table.credits("h100", -6 * HOUR, 0, 3 * HOUR) == -worth


@pytest.mark.parametrize(("amount", "start_ms", "end_ms"), [(1, 5, 5), (1, 6, 5), (0, 6, 5), (-1, 5, 5)])
def test_use_has_a_time_in_which_it_can_lie(amount: int, start_ms: int, end_ms: int) -> None:
    with pytest.raises(LedgerError):
        ExchangeTable.of([rate(1)]).credits("h100", amount, start_ms, end_ms)


def test_rates_are_positive_and_of_different_moments() -> None:
    for wrong in ([rate(0)], [rate(-1)], [rate(1, 5), rate(2, 5)]):
        with pytest.raises(LedgerError):
            ExchangeTable.of(wrong)
    ExchangeTable.of([rate(1, 5), rate(2, 6), rate(2, 5, "h200")])


@given(
    st.dictionaries(st.integers(0, 30), st.integers(1, 9), max_size=5),
    st.integers(0, 30),
    st.integers(1, 30),
    st.integers(-4, 4).filter(bool),
)
def test_credits_are_those_of_every_millisecond_added_up(
    rates: dict[int, int], start_ms: int, length_ms: int, gpus: int
) -> None:
    table = ExchangeTable.of([rate(credits_, from_ms) for from_ms, credits_ in rates.items()])
    end_ms = start_ms + length_ms
    found = table.credits("h100", gpus * length_ms, start_ms, end_ms)
    total = Fraction(0)
    for moment in range(start_ms, end_ms):
        known = [from_ms for from_ms in rates if from_ms <= moment]
        if not known:
            assert found is None
            return
        total += Fraction(gpus * rates[max(known)], HOUR)
    assert found == total
