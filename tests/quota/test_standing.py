"""Standing against the loop that hands over one slice at a time, and what Karma promises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.errors import UsageError
from quota.standing import STANDING_MAX, Quantum, share_surge
from quota.standing_oracle import share_surge_oracle
from quota.tree import GPUS_MAX

#: (standing, share, demand) of each group
GROUPS = st.lists(
    st.tuples(st.integers(-2, 2) | st.integers(-12, 12), st.integers(0, 9), st.integers(0, 18)), max_size=8
)
SOME_GROUPS = GROUPS.filter(bool)


def shared(groups: Sequence[tuple[int, int, int]]) -> Quantum:
    standing, shares, demand = (np.array([group[part] for group in groups], dtype=np.int64) for part in range(3))
    return share_surge(standing, shares, demand)


@given(GROUPS)
def test_all_at_once_equals_one_slice_at_a_time(groups: list[tuple[int, int, int]]) -> None:
    found = shared(groups)
    expected = share_surge_oracle(*([group[part] for group in groups] for part in range(3)))
    for name in ("held", "borrowed", "lent", "standing"):
        assert getattr(found, name).tolist() == getattr(expected, name)


@given(GROUPS)
def test_credits_are_neither_made_nor_lost(groups: list[tuple[int, int, int]]) -> None:
    found = shared(groups)
    assert found.standing.sum() == sum(standing for standing, _, _ in groups)
    assert found.lent.sum() == found.borrowed.sum()


@given(GROUPS)
def test_nothing_lies_idle_while_somebody_wants_it(groups: list[tuple[int, int, int]]) -> None:
    assert shared(groups).held.sum() == min(
        sum(share for _, share, _ in groups), sum(demand for _, _, demand in groups)
    )


@given(GROUPS)
def test_nobody_gets_less_than_demand_or_share_nor_more_than_demand(groups: list[tuple[int, int, int]]) -> None:
    for held, (_, share, demand) in zip(shared(groups).held, groups, strict=True):
        assert min(share, demand) <= held <= demand


@given(SOME_GROUPS, st.data())
def test_lending_more_never_lowers_the_standing(groups: list[tuple[int, int, int]], data: st.DataObject) -> None:
    who = data.draw(st.integers(0, len(groups) - 1))
    standing, share, demand = groups[who]
    less = data.draw(st.integers(0, demand))
    lends_more = [*groups[:who], (standing, share, less), *groups[who + 1 :]]
    assert shared(lends_more).standing[who] >= shared(groups).standing[who]
    has_more = [*groups[:who], (standing, share + data.draw(st.integers(0, 5)), demand), *groups[who + 1 :]]
    assert shared(has_more).standing[who] >= shared(groups).standing[who]


@given(SOME_GROUPS, st.data())
def test_more_standing_never_borrows_less(groups: list[tuple[int, int, int]], data: st.DataObject) -> None:
    who = data.draw(st.integers(0, len(groups) - 1))
    standing, share, demand = groups[who]
    richer = [*groups[:who], (standing + data.draw(st.integers(0, 9)), share, demand), *groups[who + 1 :]]
    assert shared(richer).held[who] >= shared(groups).held[who]


@given(st.integers(1, 60), st.integers(-STANDING_MAX // 2, STANDING_MAX // 2))
def test_a_constant_added_to_all_standings_changes_nothing_else(seed: int, constant: int) -> None:
    groups = [((seed * place) % 23, place % 5, (seed + 3 * place) % 11) for place in range(12)]
    moved = shared([(standing + constant, share, demand) for standing, share, demand in groups])
    assert moved.held.tolist() == shared(groups).held.tolist()


def test_who_lent_before_surges_first_and_the_poorest_lender_is_used_first() -> None:
    lent_before, borrowed_before = 5, -5
    found = shared([(lent_before, 4, 8), (borrowed_before, 4, 8), (2, 4, 1), (0, 4, 2)])
    assert found.held.tolist() == [8, 5, 1, 2]
    assert found.lent.tolist() == [0, 0, 3, 2]
    assert found.standing.tolist() == [1, -6, 5, 2]


def test_who_has_all_that_it_wanted_is_passed_over_where_others_are_as_rich() -> None:
    found = shared([(5, 0, 2), (3, 0, 2), (3, 0, 2), (0, 3, 0)])
    assert found.borrowed.tolist() == [2, 1, 0, 0]


def test_two_that_take_turns_in_surging_end_where_they_began() -> None:
    standing = np.zeros(2, dtype=np.int64)
    for quantum in range(10):
        demand = np.array([8, 0] if quantum % 2 else [0, 8])
        standing = share_surge(standing, np.array([4, 4]), demand).standing
    assert standing.tolist() == [0, 0]


@pytest.mark.parametrize(
    "groups",
    [[(0, -1, 0)], [(0, 0, GPUS_MAX + 1)], [(STANDING_MAX, 0, 0)], [(-STANDING_MAX, 0, 0)]],
)
def test_amounts_that_cannot_be_are_faults(groups: list[tuple[int, int, int]]) -> None:
    with pytest.raises(UsageError):
        shared(groups)


def test_arrays_of_different_groups_are_a_fault() -> None:
    with pytest.raises(UsageError):
        share_surge(np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64))
