"""What the end of a run means for its job: the state, the count by category, and the wait."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.failure import EXIT_CODE_KILLED, FailureCategory, category_of
from scheduler.model.job_state import (
    ALLOWED_MOVES,
    INFRASTRUCTURE_CAUSES,
    TERMINAL_STATES,
    YIELDED_CAUSES,
    EndCause,
    JobState,
)
from scheduler.model.retry import (
    ALIKE_FAILURES_MAX,
    INFRASTRUCTURE_RETRIES,
    QUICK_SECONDS,
    STEADY_SECONDS,
    Aftermath,
    RetryLimits,
    RunOutcome,
    Tally,
    after_run,
    retry_seconds,
)

NONE = RetryLimits()
FRESH = Tally()
LONG_MS = STEADY_SECONDS * 1000


def after(
    cause: EndCause,
    exit_code: int | None = None,
    *,
    limits: RetryLimits = NONE,
    tally: Tally = FRESH,
    lasted_ms: int | None = 1000,
    cancel: bool = False,
    requeue: bool = False,
) -> Aftermath:
    outcome = RunOutcome(cause=cause, exit_code=exit_code, lasted_ms=lasted_ms)
    return after_run(limits, tally, outcome, cancel_requested=cancel, requeue_requested=requeue)


def test_success_wins_over_a_stop_that_came_too_late() -> None:
    assert after(EndCause.EXITED, 0, cancel=True).state is JobState.SUCCEEDED


def test_a_cancelled_job_does_not_come_back_when_its_node_dies() -> None:
    assert after(EndCause.NODE_LOST, cancel=True).state is JobState.CANCELLED


def test_a_failing_command_is_tried_again_only_while_retries_are_left() -> None:
    once = RetryLimits(program=1)
    assert after(EndCause.EXITED, 1, limits=once).state is JobState.QUEUED
    assert after(EndCause.EXITED, 1, limits=once, tally=Tally(program=1)).state is JobState.FAILED
    assert after(EndCause.EXITED, 1).state is JobState.FAILED


@pytest.mark.parametrize("cause", sorted(INFRASTRUCTURE_CAUSES - {EndCause.REFUSED}))
def test_lost_infrastructure_costs_no_retry_but_has_a_bound(cause: EndCause) -> None:
    assert after(cause).state is JobState.QUEUED
    assert after(cause, tally=Tally(infrastructure=INFRASTRUCTURE_RETRIES)).state is JobState.FAILED
    assert after(cause, limits=RetryLimits(infrastructure=0)).state is JobState.FAILED
    assert after(cause).tally == Tally(infrastructure=1)


def test_a_job_that_its_site_refused_is_queued_again_however_often_unless_it_was_cancelled() -> None:
    often = Tally(infrastructure=10**6, program=10**6, alike=10**6)
    none = RetryLimits(infrastructure=0)
    assert after(EndCause.REFUSED, tally=often, limits=none) == Aftermath(state=JobState.QUEUED, tally=often)
    assert after(EndCause.REFUSED, cancel=True).state is JobState.CANCELLED


@pytest.mark.parametrize("cause", sorted(YIELDED_CAUSES))
def test_a_job_whose_run_made_way_is_queued_again_however_often_unless_it_was_cancelled(cause: EndCause) -> None:
    often = Tally(infrastructure=10**6, program=10**6, alike=10**6)
    assert after(cause, 1, tally=often) == Aftermath(state=JobState.QUEUED, tally=often)
    assert after(cause, cancel=True).state is JobState.CANCELLED


def test_walltime_fails_the_job_even_with_retries_left_unless_they_are_for_just_that() -> None:
    assert after(EndCause.WALLTIME, limits=RetryLimits(program=3)).state is JobState.FAILED
    again = after(EndCause.WALLTIME, limits=RetryLimits(walltime=1))
    assert (again.state, again.wait_seconds, again.tally) == (JobState.QUEUED, 0, Tally(walltime=1))
    assert after(EndCause.WALLTIME, limits=RetryLimits(walltime=1), tally=again.tally).state is JobState.FAILED


def test_a_killed_command_uses_the_program_s_retries_unless_memory_has_its_own() -> None:
    shared = after(EndCause.EXITED, EXIT_CODE_KILLED, limits=RetryLimits(program=1))
    assert (shared.state, shared.tally.program, shared.tally.memory) == (JobState.QUEUED, 1, 0)
    apart = after(EndCause.EXITED, EXIT_CODE_KILLED, limits=RetryLimits(program=1, memory=0))
    assert (apart.state, apart.tally.program, apart.tally.memory) == (JobState.FAILED, 0, 1)


def test_a_run_that_lasted_or_a_command_that_ended_begins_the_row_of_lost_runs_anew() -> None:
    many = Tally(infrastructure=INFRASTRUCTURE_RETRIES)
    lost = after(EndCause.NODE_LOST, tally=many, lasted_ms=LONG_MS)
    assert (lost.state, lost.tally.infrastructure, lost.wait_seconds) == (JobState.QUEUED, 1, 0)
    assert after(EndCause.NODE_LOST, tally=many, lasted_ms=LONG_MS - 1).state is JobState.FAILED
    assert after(EndCause.EXITED, 1, tally=many, limits=RetryLimits(program=1)).tally.infrastructure == 0


def test_what_fails_at_once_and_alike_again_and_again_is_given_up_with_retries_left() -> None:
    limits, tally = RetryLimits(program=100), Tally()
    waits = []
    for _ in range(ALIKE_FAILURES_MAX - 1):
        end = after(EndCause.EXITED, 1, limits=limits, tally=tally)
        assert end.state is JobState.QUEUED
        waits.append(end.wait_seconds)
        tally = end.tally
    assert waits == [0, 2, 4, 8]
    last = after(EndCause.EXITED, 1, limits=limits, tally=tally)
    assert (last.state, last.always_alike) == (JobState.FAILED, True)
    assert after(EndCause.EXITED, 2, limits=limits, tally=tally).state is JobState.QUEUED
    slow = after(EndCause.EXITED, 1, limits=limits, tally=tally, lasted_ms=QUICK_SECONDS * 1000)
    assert (slow.state, slow.wait_seconds, slow.tally.alike) == (JobState.QUEUED, 0, 0)


def test_a_lost_run_in_between_does_not_make_failures_differ() -> None:
    tally = Tally(program=1, alike=1, alike_exit_code=7)
    lost = after(EndCause.NODE_LOST, tally=tally, limits=RetryLimits(program=9)).tally
    assert (lost.alike, lost.alike_exit_code, lost.infrastructure) == (1, 7, 1)


def test_a_job_waits_twice_as_long_after_each_further_lost_run_up_to_a_bound() -> None:
    assert [retry_seconds(lost) for lost in range(1, 11)] == [0, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert retry_seconds(10**6) == 300


@pytest.mark.parametrize("cause", list(EndCause))
def test_every_cause_has_one_category_and_only_a_success_has_none(cause: EndCause) -> None:
    assert isinstance(category_of(cause, 1), FailureCategory)
    assert (category_of(cause, 0) is None) == (cause is EndCause.EXITED)
    infrastructure = category_of(cause, 1) is FailureCategory.INFRASTRUCTURE
    assert infrastructure == (cause in INFRASTRUCTURE_CAUSES)


limit_sets = st.builds(
    RetryLimits,
    program=st.integers(0, 4),
    memory=st.none() | st.integers(0, 3),
    walltime=st.integers(0, 3),
    infrastructure=st.integers(0, 4),
)
outcomes = st.builds(
    RunOutcome,
    cause=st.sampled_from([EndCause.EXITED, EndCause.EXITED, *EndCause]),
    exit_code=st.sampled_from([1, 1, 2, EXIT_CODE_KILLED]),
    lasted_ms=st.sampled_from([None, 0, QUICK_SECONDS * 1000 - 1, QUICK_SECONDS * 1000, LONG_MS - 1, LONG_MS]),
)


@dataclass
class PlainJob:
    """The rule as one would do it by hand: all ends are kept and counted anew each time."""

    limits: RetryLimits
    ends: list[RunOutcome] = field(default_factory=list)

    def state_and_wait(self) -> tuple[JobState, int]:
        last = self.ends[-1]
        category = category_of(last.cause, last.exit_code)
        if last.cause is EndCause.CANCELLED:
            return JobState.CANCELLED, 0
        if category in (FailureCategory.POLICY, FailureCategory.OWNER) or last.cause is EndCause.REFUSED:
            return JobState.QUEUED, 0
        if category is FailureCategory.INFRASTRUCTURE:
            row = self.lost_in_a_row()
            return (JobState.FAILED, 0) if row > self.limits.infrastructure else (JobState.QUEUED, retry_seconds(row))
        kinds = [category_of(each.cause, each.exit_code) for each in self.ends]
        if category is FailureCategory.WALLTIME:
            left = kinds.count(category) <= self.limits.walltime
            return (JobState.QUEUED, 0) if left else (JobState.FAILED, 0)
        both = self.limits.memory is None
        mine = [each for each in kinds if each in (FailureCategory.PROGRAM, FailureCategory.MEMORY)]
        used = len(mine) if both else mine.count(category)
        most = self.limits.program if both or category is FailureCategory.PROGRAM else self.limits.memory or 0
        alike = self.alike_in_a_row()
        if used > most or alike >= ALIKE_FAILURES_MAX:
            return JobState.FAILED, 0
        return JobState.QUEUED, retry_seconds(alike)

    def lost_in_a_row(self) -> int:
        row = 0
        for end in reversed(self.ends):
            if end.cause is EndCause.REFUSED:
                continue
            category = category_of(end.cause, end.exit_code)
            if category in (FailureCategory.PROGRAM, FailureCategory.MEMORY, FailureCategory.WALLTIME):
                break
            row += category is FailureCategory.INFRASTRUCTURE
            if (end.lasted_ms or 0) >= LONG_MS:
                break
        return row

    def alike_in_a_row(self) -> int:
        own = [
            end
            for end in self.ends
            if category_of(end.cause, end.exit_code)
            in (FailureCategory.PROGRAM, FailureCategory.MEMORY, FailureCategory.WALLTIME)
        ]
        row = 0
        for end in reversed(own):
            quick = (end.lasted_ms or 0) < QUICK_SECONDS * 1000
            if end.cause is EndCause.WALLTIME or not quick or end.exit_code != own[-1].exit_code:
                break
            row += 1
        return row


@given(limits=limit_sets, ends=st.lists(outcomes, min_size=1, max_size=14))
def test_any_sequence_of_ends_leads_where_the_plain_rule_says(limits: RetryLimits, ends: list[RunOutcome]) -> None:
    plain, tally = PlainJob(limits), Tally()
    for end in ends:
        plain.ends.append(end)
        reached = after_run(limits, tally, end, cancel_requested=False, requeue_requested=False)
        assert (reached.state, reached.wait_seconds) == plain.state_and_wait()
        if reached.state is not JobState.QUEUED:
            break
        tally = reached.tally


@given(limits=limit_sets, end=outcomes, cancel=st.booleans(), requeue=st.booleans())
def test_the_end_of_a_run_is_always_an_allowed_move_of_its_job(
    limits: RetryLimits, end: RunOutcome, cancel: bool, requeue: bool
) -> None:
    state = after_run(limits, Tally(), end, cancel_requested=cancel, requeue_requested=requeue).state
    assert state in ALLOWED_MOVES[JobState.RUNNING]
    assert state in TERMINAL_STATES or state is JobState.QUEUED
