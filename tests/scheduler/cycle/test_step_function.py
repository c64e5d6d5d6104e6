"""Step functions, against numbers that are added up anew at every moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.step_function import Change, StepFunction
from scheduler.model.errors import InvariantBroken

END = 14
CHANGES = st.lists(st.tuples(st.integers(-2, 12), st.integers(-3, 3)), max_size=8)
STEPS = st.tuples(st.integers(0, 3), st.integers(-2, 6), CHANGES)
Steps = tuple[int, int, list[Change]]


def slowly(steps: Steps, at: int) -> int:
    return steps[1] + sum(by for when, by in steps[2] if when <= at)


@given(STEPS)
def test_at_every_moment_it_is_what_has_changed_so_far(steps: Steps) -> None:
    function = StepFunction.of(*steps)
    moments = range(steps[0], END)
    assert [function.at(each) for each in moments] == [slowly(steps, each) for each in moments]
    assert function.over(np.array(moments)).tolist() == [slowly(steps, each) for each in moments]
    assert (np.diff(function.times_ms) > 0).all()
    assert function.start_ms == steps[0]


@given(STEPS, st.integers(3, END - 1), st.integers(1, END))
def test_the_minimum_is_the_smallest_number_of_any_moment_inside(steps: Steps, begin: int, length: int) -> None:
    function = StepFunction.of(*steps)
    assert function.minimum(begin, begin + length) == min(slowly(steps, at) for at in range(begin, begin + length))
    assert function.minimum(begin, None) == min(slowly(steps, at) for at in range(begin, END + 1))


@given(STEPS, st.integers(3, END - 1), st.integers(-3, 8))
def test_the_first_moment_below_and_the_next_drop_are_found_by_walking(steps: Steps, now: int, nodes: int) -> None:
    function = StepFunction.of(*steps)
    below = [at for at in range(now, END) if slowly(steps, at) < nodes]
    assert function.first_below(nodes, now) == (below[0] if below else None)
    drops = [(at, slowly(steps, at)) for at in range(now + 1, END) if slowly(steps, at) < slowly(steps, at - 1)]
    assert function.next_drop(now) == (drops[0] if drops else None)


@given(st.lists(STEPS, min_size=1, max_size=4))
def test_a_total_and_a_difference_are_those_of_every_moment(each_steps: list[Steps]) -> None:
    functions = [StepFunction.of(*steps) for steps in each_steps]
    total, difference = StepFunction.total(functions), functions[0].less(functions[-1])
    assert total.start_ms == max(steps[0] for steps in each_steps)
    for at in range(total.start_ms, END):
        assert total.at(at) == sum(slowly(steps, at) for steps in each_steps)
        assert difference.at(at) == slowly(each_steps[0], at) - slowly(each_steps[-1], at)


@given(STEPS)
def test_what_lies_before_the_beginning_is_not_guessed(steps: Steps) -> None:
    with pytest.raises(InvariantBroken):
        StepFunction.of(*steps).at(steps[0] - 1)
