"""Where jobs may go."""

from __future__ import annotations

from scheduler.model.job_state import ACTIVE_STATES, ALLOWED_MOVES, TERMINAL_STATES, WAITING_STATES, JobState


def test_every_state_is_of_exactly_one_kind() -> None:
    kinds = [TERMINAL_STATES, WAITING_STATES, ACTIVE_STATES]
    assert all(sum(state in kind for kind in kinds) == 1 for state in JobState)
    assert set(ALLOWED_MOVES) == set(JobState)


def test_a_terminal_state_is_never_left() -> None:
    assert all(not ALLOWED_MOVES[state] for state in TERMINAL_STATES)


def test_an_active_job_can_always_end() -> None:
    assert all(ALLOWED_MOVES[state] & TERMINAL_STATES for state in ACTIVE_STATES | WAITING_STATES)
