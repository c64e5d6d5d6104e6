"""Arrays with a bound: rounds see what may start and no more, by an oracle that looks at everything."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.throttle import Throttles

ACTIVE = ("leased", "running", "preempting", "unreachable")


@dataclass(frozen=True)
class Row:
    """What is read of a changed task."""

    id: int
    state: str
    array_id: int = 1
    array_running_max: int = 2
    bound_site_id: int | None = None
    refusals: list[dict[str, int]] | None = None
    earmark: str | None = None


def shown(throttles: Throttles, closed: frozenset[int] = frozenset()) -> tuple[list[int], list[int]]:
    rows, hidden = throttles.choose(closed)
    return [row.id for row in rows], hidden


def test_the_first_are_shown_and_the_next_when_one_has_ended() -> None:
    throttles = Throttles()
    for task in (4, 3, 2):
        throttles.take(Row(task, "queued"), ready=True)
    assert shown(throttles) == ([2, 3], [])
    throttles.take(Row(2, "leased"), ready=False)
    assert shown(throttles) == ([], [2])
    throttles.take(Row(2, "succeeded"), ready=False)
    assert shown(throttles) == ([4], [])


def test_what_is_held_for_comes_first_and_what_no_site_takes_last() -> None:
    throttles = Throttles()
    throttles.take(Row(2, "queued", bound_site_id=7), ready=True)
    throttles.take(Row(3, "queued"), ready=True)
    throttles.take(Row(4, "queued", earmark="nodes"), ready=True)
    assert shown(throttles, frozenset({7})) == ([4, 3], [])
    assert shown(throttles) == ([2], [3])


def test_what_a_site_refused_comes_after_what_none_did() -> None:
    throttles = Throttles()
    throttles.take(Row(2, "queued", array_running_max=1, refusals=[{"site": 1}]), ready=True)
    assert shown(throttles) == ([2], [])
    throttles.take(Row(3, "queued", array_running_max=1), ready=True)
    assert shown(throttles) == ([3], [2])


def test_a_shown_task_that_changed_is_shown_again() -> None:
    throttles = Throttles()
    throttles.take(Row(2, "queued"), ready=True)
    assert shown(throttles) == ([2], [])
    assert shown(throttles) == ([], [])
    throttles.take(Row(2, "queued", earmark="nodes"), ready=True)
    assert shown(throttles) == ([2], [])


changes = st.tuples(
    st.integers(1, 8), st.sampled_from(("queued", "held", "succeeded", *ACTIVE)), st.sampled_from((None, None, 7))
)


@given(st.lists(st.tuples(changes, st.booleans(), st.booleans()), max_size=60))
def test_a_round_sees_the_first_that_the_running_ones_leave_room_for(
    taken: list[tuple[tuple[int, str, int | None], bool, bool]],
) -> None:
    throttles = Throttles()
    tasks: dict[int, Row] = {}
    seen: set[int] = set()
    for (task, state, bound), is_closed, look in taken:
        row = Row(task, state, array_id=1 + task % 2, bound_site_id=bound)
        throttles.take(row, ready=state == "queued")
        tasks[task] = row
        if not look:
            continue
        closed = frozenset({7}) if is_closed else frozenset()
        rows, hidden = throttles.choose(closed)
        seen = (seen - set(hidden)) | {each.id for each in rows}
        expected: set[int] = set()
        for array in (1, 2):
            mine = [each for each in tasks.values() if each.array_id == array]
            room = 2 - sum(each.state in ACTIVE for each in mine)
            queued = sorted(
                (each for each in mine if each.state == "queued"),
                key=lambda each: (each.bound_site_id in closed, each.id),
            )
            expected |= {each.id for each in queued[: max(0, room)]}
        assert seen == expected
