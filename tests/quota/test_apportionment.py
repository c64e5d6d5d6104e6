"""Sainte-Laguë with caps against the sentence that defines it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.apportionment import apportion
from quota.tree import GPUS_MAX

Sibling = tuple[int, int]  # weight, cap
siblings = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12)), max_size=7)
large_siblings = st.lists(st.tuples(st.integers(1, GPUS_MAX), st.integers(0, GPUS_MAX)), min_size=1, max_size=8)


def divide(amount: int, family: Sequence[Sibling]) -> list[int]:
    return divide_all([(amount, family)])[0]


def divide_all(families: Sequence[tuple[int, Sequence[Sibling]]]) -> list[list[int]]:
    owners = [number for number, (_, family) in enumerate(families) for _ in family]
    weights = [weight for _, family in families for weight, _ in family]
    caps = [cap for _, family in families for _, cap in family]
    amounts = np.array([amount for amount, _ in families], dtype=np.int64)
    shares = apportion(amounts, *(np.array(each, dtype=np.int64) for each in (owners, weights, caps)))
    return [[int(x) for x, o in zip(shares, owners, strict=True) if o == n] for n in range(len(families))]


def one_at_a_time(amount: int, family: Sequence[Sibling]) -> list[int]:
    shares = [0] * len(family)
    for _ in range(amount):
        hungry = [i for i, (_, cap) in enumerate(family) if shares[i] < cap]
        if not hungry:
            break
        first = hungry[0]
        for each in hungry[1:]:
            if (2 * shares[each] + 1) * family[first][0] < (2 * shares[first] + 1) * family[each][0]:
                first = each
        shares[first] += 1
    return shares


@given(st.lists(st.tuples(st.integers(0, 60), siblings), max_size=4))
def test_many_families_at_once_equal_handing_out_one_at_a_time(
    families: list[tuple[int, list[Sibling]]],
) -> None:
    assert divide_all(families) == [one_at_a_time(amount, family) for amount, family in families]


@given(st.integers(0, GPUS_MAX), large_siblings)
def test_the_largest_numbers_are_divided_exactly(amount: int, family: list[Sibling]) -> None:
    shares = divide(amount, family)
    assert sum(shares) == min(amount, sum(cap for _, cap in family))
    assert all(0 <= share <= cap for share, (_, cap) in zip(shares, family, strict=True))
    # The last unit of each came no later than the next unit of any that is still hungry.
    for given_to, (weight, _) in enumerate(family):
        for waiting, (other, cap) in enumerate(family):
            if shares[given_to] and shares[waiting] < cap and given_to != waiting:
                last = (2 * shares[given_to] - 1) * other
                following = (2 * shares[waiting] + 1) * weight
                assert last < following or (last == following and given_to < waiting)


@given(st.integers(0, 60), siblings.filter(len), st.data())
def test_more_to_divide_a_bigger_weight_or_a_bigger_cap_never_lowers_a_share(
    amount: int, family: list[Sibling], data: st.DataObject
) -> None:
    before = divide(amount, family)
    assert all(x <= y for x, y in zip(before, divide(amount + 1, family), strict=True))
    each = data.draw(st.integers(0, len(family) - 1))
    weight, cap = family[each]
    for bigger in ((weight + 1, cap), (weight, cap + 1)):
        assert divide(amount, [*family[:each], bigger, *family[each + 1 :]])[each] >= before[each]


@pytest.mark.parametrize(("amount", "shares"), [(10, [5, 4, 1]), (11, [5, 5, 1]), (12, [5, 5, 2])])
def test_the_smallest_of_weights_6_6_2_loses_nothing_as_there_is_more(amount: int, shares: list[int]) -> None:
    # Largest remainder would give it 2 of 10 (remainders .29, .29, .43) and 1 of 11 (.71, .71, .57).
    # Keys: 1/12 3/12 5/12 7/12 9/12 for each 6 and 1/4 3/4 for the 2; 3/4 is shared by all three.
    assert divide(amount, [(6, 99), (6, 99), (2, 99)]) == shares


def test_ties_go_to_the_first_listed() -> None:
    assert divide(2, [(1, 9), (1, 9), (1, 9)]) == [1, 1, 0]
