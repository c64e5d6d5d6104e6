"""Waiters in memory: whoever may have come to the front is due, by an oracle that looks at everything."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from scheduler.service.waiters import Waiters

STATES = ("queued", "held", "leased", "starting", "running", "preempting", "succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Row:
    """What is read of a changed job."""

    id: int
    state: str
    array_id: int | None = None
    started_ms: int | None = None
    awaits: bool = False


def test_a_waiter_is_due_when_it_is_known_and_then_when_what_it_waits_for_moves() -> None:
    waiters = Waiters()
    waiters.put(9, [1, 2])
    assert waiters.due(10) == [9]
    assert waiters.due(10) == []
    for state in ("queued", "held", "leased", "starting"):
        waiters.note(Row(1, state))
        assert waiters.due(10) == []
    waiters.note(Row(1, "running"))
    assert waiters.due(10) == [9]
    waiters.note(Row(7, "queued", array_id=2, started_ms=5))
    assert waiters.due(10) == [9]
    waiters.note(Row(3, "running"))
    assert waiters.due(10) == []


def test_so_many_at_once_and_the_others_later() -> None:
    waiters = Waiters()
    for waiter in (7, 8, 9):
        waiters.put(waiter, [1])
    assert (waiters.due(2), waiters.due(2), waiters.due(2)) == ([7, 8], [9], [])


def test_who_waits_no_more_is_forgotten() -> None:
    waiters = Waiters()
    waiters.put(8, [1])
    waiters.put(9, [1])
    assert not waiters.is_news(Row(8, "queued", awaits=True))
    waiters.note(Row(8, "queued"))
    waiters.note(Row(9, "cancelled", awaits=True))
    assert (8 in waiters, 9 in waiters, waiters.due(9)) == (False, False, [])
    assert waiters.is_news(Row(8, "held", awaits=True))
    assert waiters.is_news(Row(8, "cancelled", array_id=5, awaits=True))
    assert not waiters.is_news(Row(8, "queued"))


def test_a_task_that_was_cancelled_leaves_the_others_of_its_array_waiting() -> None:
    waiters = Waiters()
    waiters.put(5, [1])
    waiters.note(Row(6, "cancelled", array_id=5, awaits=True))
    assert 5 in waiters


moves = st.one_of(
    st.tuples(st.just("put"), st.integers(10, 15), st.sets(st.integers(1, 6), min_size=1)),
    st.tuples(st.just("drop"), st.integers(10, 15), st.none()),
    st.tuples(st.just("note"), st.integers(1, 9), st.sampled_from(STATES)),
)


@given(st.lists(moves, max_size=40))
def test_who_is_due_is_whoever_waits_for_a_job_that_moved(taken: list[tuple[str, int, object]]) -> None:
    waiters = Waiters()
    on: dict[int, set[int]] = {}
    due: set[int] = set()
    for name, number, value in taken:
        if name == "put":
            assert isinstance(value, set)
            waiters.put(number, value)
            on[number] = value
            due.add(number)
        elif name == "drop":
            waiters.drop(number)
            on.pop(number, None)
            due.discard(number)
        else:
            waiters.note(Row(number, str(value)))
            if value not in ("queued", "held", "leased", "starting"):
                due |= {waiter for waiter, own in on.items() if number in own}
    assert waiters.due(1_000) == sorted(due)
