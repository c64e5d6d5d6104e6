"""What a job waits for of others: met, open, or never, and the first and the last for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.dependency import Condition, Dependency, Outlook, of_all, outlook
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import ALLOWED_MOVES, TERMINAL_STATES, JobState


def spec(**values: object) -> JobSpec:
    return JobSpec.model_validate({"name": "a", "group": "g", "command": ["true"], **values})


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("has_started", [False, True])
def test_what_is_settled_stays_settled_wherever_the_job_goes(
    condition: Condition, state: JobState, has_started: bool
) -> None:
    now = outlook(condition, state, has_started=has_started)
    for following in ALLOWED_MOVES[state]:
        for starts in {has_started, True}:
            if now is not Outlook.OPEN:
                assert outlook(condition, following, has_started=starts) is now


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
def test_an_end_settles_everything(state: JobState) -> None:
    for condition in Condition:
        assert outlook(condition, state, has_started=False) is not Outlook.OPEN


@given(st.lists(st.sampled_from(Outlook)))
def test_all_together_are_met_where_each_is_and_never_where_one_is(outlooks: list[Outlook]) -> None:
    expected = (
        Outlook.NEVER if any(each is Outlook.NEVER for each in outlooks)
        else Outlook.MET if all(each is Outlook.MET for each in outlooks)
        else Outlook.OPEN
    )  # fmt: skip
    assert of_all(outlooks) is expected


def test_a_job_file_names_what_comes_first() -> None:
    assert spec(after=[3], after_ok=[5, 4]).dependencies == (
        Dependency(3, Condition.START), Dependency(5, Condition.SUCCESS), Dependency(4, Condition.SUCCESS),
    )  # fmt: skip
    assert spec().dependencies == ()
    assert spec().tasks is None


@pytest.mark.parametrize("value", [[1, 1], [0], [-1], ["x"], list(range(1, 66)), 7, [2**53 + 1]])
def test_a_list_that_names_no_jobs_is_refused(value: object) -> None:
    for name in ("after", "after_ok"):
        with pytest.raises(ValueError, match=name):
            spec(**{name: value})
