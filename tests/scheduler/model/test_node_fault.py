"""When a node is set aside, against the rule done by hand."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from node_faults import is_bad_by_hand

from scheduler.model.job_state import EndCause
from scheduler.model.node_fault import (
    NODE_CAUSES,
    SUSPECTS_MAX,
    WHOLE,
    WINDOW_MS,
    Failure,
    asides_max,
    standing,
    suspects_of,
)

NOW = 10 * WINDOW_MS
MINUTE = 60_000


def failed(*each: tuple[int, int, int]) -> list[Failure]:
    """Failures by minutes ago, person and suspects."""
    return [Failure(NOW - minutes * MINUTE, person, suspects) for minutes, person, suspects in each]


def test_two_people_s_runs_in_two_incidents_set_a_node_aside() -> None:
    how = standing(failed((60, 1, 1), (0, 2, 1)), NOW)
    assert (how.is_bad, how.failures, how.incidents, how.people) == (True, 2, 2, 2)


def test_one_person_s_programs_never_do_however_many_and_whomever_they_take_along() -> None:
    alone = failed(*((minutes, 1, 1) for minutes in range(0, 1400, 11)))
    assert not standing(alone, NOW).is_bad
    beside = alone + failed(*((minutes, 2 + minutes, 1) for minutes in range(0, 1400, 11)))
    assert not standing(beside, NOW).is_bad
    assert standing(failed((700, 1, 1), (690, 2, 1), (300, 1, 1)), NOW).is_bad


def test_a_node_that_is_lost_once_with_everybody_on_it_is_one_incident() -> None:
    assert not standing(failed(*((9, person, 1) for person in range(8)), (0, 9, 1)), NOW).is_bad
    assert standing(failed(*((10, person, 1) for person in range(8)), (0, 9, 1)), NOW).is_bad


def test_an_incident_counts_as_its_heaviest_failure_and_not_as_their_sum() -> None:
    assert not standing(failed((30, 1, 2), (29, 2, 2), (0, 3, 1)), NOW).is_bad
    assert standing(failed((30, 1, 2), (29, 2, 1), (0, 3, 1)), NOW).is_bad


def test_what_is_a_day_old_or_was_before_the_node_was_returned_counts_no_more() -> None:
    assert not standing(failed((24 * 60, 1, 1), (0, 2, 1)), NOW).is_bad
    two = failed((60, 1, 1), (0, 2, 1))
    assert not standing(two, NOW, trusted_ms=NOW - 60 * MINUTE).is_bad
    assert standing(two, NOW, trusted_ms=NOW - 60 * MINUTE - 1).is_bad


def test_what_is_shared_among_many_counts_little() -> None:
    assert not standing(failed(*((20 * place, place, 3) for place in range(5))), NOW).is_bad
    assert standing(failed(*((20 * place, place, 3) for place in range(6))), NOW).is_bad


@given(
    failures=st.lists(
        st.builds(
            Failure,
            at_ms=st.integers(0, 150).map(lambda tens: NOW - tens * 10 * MINUTE + tens % 3 - 1),
            person=st.integers(1, 3),
            suspects=st.sampled_from([1, 1, 2, 2, 3, SUSPECTS_MAX]),
        ),
        max_size=10,
    ),
    trusted=st.none() | st.integers(0, 150).map(lambda tens: NOW - tens * 10 * MINUTE),
)
@example(failures=failed((0, 1, 1)), trusted=None)
def test_a_node_is_set_aside_just_when_the_rule_by_hand_says_so(failures: list[Failure], trusted: int | None) -> None:
    assert standing(failures, NOW, trusted).is_bad == is_bad_by_hand(failures, NOW, trusted)


GANG = [(1, "a"), (2, "b"), (3, "c")]


@given(cause=st.sampled_from(list(EndCause)), named=st.sampled_from(["a", "c", "elsewhere", None]), told=st.booleans())
def test_an_end_speaks_against_the_node_that_is_named_else_against_all_and_the_site(
    cause: EndCause, named: str | None, told: bool
) -> None:
    suspected, suspects = suspects_of(cause, GANG, named, told_to_stop=told)
    if told or cause not in NODE_CAUSES:
        assert suspected == ()
    elif named in ("a", "c"):
        assert (suspected, suspects) == (((1,) if named == "a" else (3,)), 1)
    else:
        assert (suspected, suspects) == ((1, 2, 3), 4)


def test_no_program_s_end_and_no_site_s_silence_speaks_against_a_node() -> None:
    for cause in (EndCause.EXITED, EndCause.WALLTIME, EndCause.LEASE_EXPIRED, EndCause.VANISHED, EndCause.REFUSED):
        assert suspects_of(cause, GANG, "a", told_to_stop=False) == ((), 0)


def test_a_gang_of_too_many_speaks_against_nobody_and_every_share_is_whole() -> None:
    gang = [(place, str(place)) for place in range(SUSPECTS_MAX)]
    assert suspects_of(EndCause.START_FAILED, gang, None, told_to_stop=False) == ((), 0)
    assert suspects_of(EndCause.START_FAILED, gang[1:], None, told_to_stop=False)[1] == SUSPECTS_MAX
    assert all(WHOLE % suspects == 0 for suspects in range(1, SUSPECTS_MAX + 1))


def test_a_tenth_of_a_site_rounded_up_is_the_most() -> None:
    assert [asides_max(nodes) for nodes in (1, 9, 10, 11, 400)] == [1, 1, 1, 2, 40]
