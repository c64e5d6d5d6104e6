"""Where jobs go: the allowed moves, and what the end of a run means for its job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.job_state import (
    ACTIVE_STATES,
    ALLOWED_MOVES,
    INFRASTRUCTURE_CAUSES,
    INFRASTRUCTURE_FAILURES_MAX,
    TERMINAL_STATES,
    WAITING_STATES,
    YIELDED_CAUSES,
    EndCause,
    JobState,
    retry_seconds,
    state_after_run,
)


def _after(cause: EndCause, **changes: object) -> JobState:
    arguments: dict[str, object] = {
        "exit_code": None,
        "cancel_requested": False,
        "requeue_requested": False,
        "retries_left": 0,
        "infrastructure_failures": 1,
    }
    return state_after_run(cause=cause, **{**arguments, **changes})  # type: ignore[arg-type]


def test_every_state_is_of_exactly_one_kind() -> None:
    kinds = [TERMINAL_STATES, WAITING_STATES, ACTIVE_STATES]
    assert all(sum(state in kind for kind in kinds) == 1 for state in JobState)
    assert set(ALLOWED_MOVES) == set(JobState)


def test_a_terminal_state_is_never_left() -> None:
    assert all(not ALLOWED_MOVES[state] for state in TERMINAL_STATES)


def test_an_active_job_can_always_end() -> None:
    assert all(ALLOWED_MOVES[state] & TERMINAL_STATES for state in ACTIVE_STATES | WAITING_STATES)


def test_success_wins_over_a_stop_that_came_too_late() -> None:
    assert _after(EndCause.EXITED, exit_code=0, cancel_requested=True) is JobState.SUCCEEDED


def test_a_cancelled_job_does_not_come_back_when_its_node_dies() -> None:
    assert _after(EndCause.NODE_LOST, cancel_requested=True) is JobState.CANCELLED


def test_a_failing_command_is_tried_again_only_while_retries_are_left() -> None:
    assert _after(EndCause.EXITED, exit_code=1, retries_left=1) is JobState.QUEUED
    assert _after(EndCause.EXITED, exit_code=1, retries_left=0) is JobState.FAILED


@pytest.mark.parametrize("cause", sorted(INFRASTRUCTURE_CAUSES))
def test_lost_infrastructure_costs_no_retry_but_has_a_bound(cause: EndCause) -> None:
    assert _after(cause) is JobState.QUEUED
    assert _after(cause, infrastructure_failures=INFRASTRUCTURE_FAILURES_MAX + 1) is JobState.FAILED


@pytest.mark.parametrize("cause", sorted(YIELDED_CAUSES))
def test_a_job_whose_run_made_way_is_queued_again_however_often_unless_it_was_cancelled(cause: EndCause) -> None:
    assert _after(cause, exit_code=1, infrastructure_failures=10**6) is JobState.QUEUED
    assert _after(cause, cancel_requested=True) is JobState.CANCELLED


def test_walltime_fails_the_job_even_with_retries_left() -> None:
    assert _after(EndCause.WALLTIME, retries_left=3) is JobState.FAILED


@given(
    cause=st.sampled_from(list(EndCause)),
    exit_code=st.none() | st.integers(0, 255),
    cancel=st.booleans(),
    requeue=st.booleans(),
    retries=st.integers(0, 3),
    failures=st.integers(0, 30),
)
def test_the_end_of_a_run_is_always_an_allowed_move_of_its_job(
    cause: EndCause, exit_code: int | None, cancel: bool, requeue: bool, retries: int, failures: int
) -> None:
    after = state_after_run(
        cause=cause,
        exit_code=exit_code,
        cancel_requested=cancel,
        requeue_requested=requeue,
        retries_left=retries,
        infrastructure_failures=failures,
    )
    assert after in ALLOWED_MOVES[JobState.RUNNING]
    assert after in TERMINAL_STATES or after is JobState.QUEUED


def test_a_job_waits_twice_as_long_after_each_further_lost_run_up_to_a_bound() -> None:
    assert [retry_seconds(lost) for lost in range(1, 11)] == [0, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert retry_seconds(10**6) == 300
