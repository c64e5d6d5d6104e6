"""Law 5 at the start of a run, against a walk through every hour of its stay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.capacity import DropCause, EffectiveCapacity, Lending, effective_capacity
from scheduler.cycle.stay import Blocked, BlockedCause, Room, Stay, Stays, may_run
from scheduler.cycle.step_function import StepFunction
from scheduler.model.calendar import Calendar
from scheduler.model.ids import NodeId, OfferId, SiteId
from scheduler.model.offer import Offer
from scheduler.model.recall import Recall, Reservation

HOUR_MS = 3_600_000
NOW_MS = int(datetime(2026, 11, 2, 10, tzinfo=UTC).timestamp()) * 1000  # Monday 19:00 in Seoul
HOURS = 40
SITE = SiteId(1)
NIGHT = Calendar.model_validate({"time_zone": "Asia/Seoul", "windows": [{"from": "19:00", "to": "08:00"}]})
OPEN_ENDED = Calendar(time_zone="UTC")


def offer(nodes: int, calendar: Calendar, notice_seconds: int | None, hold_seconds: int = 0) -> Offer:
    return Offer(
        id=OfferId(1), site=SITE, gpu_class="h100", nodes=nodes, calendar=calendar,
        notice_seconds=notice_seconds, minimum_hold_seconds=hold_seconds,
    )  # fmt: skip


def capacity(
    offers: list[Offer], recalls: list[Recall] | None = None, reservations: list[Reservation] | None = None
) -> EffectiveCapacity:
    lendings = [Lending.of(each, NOW_MS, NOW_MS + HOURS * HOUR_MS) for each in offers]
    return effective_capacity(
        SITE, "h100", [NodeId(each) for each in range(20)], lendings, recalls or [], reservations or [],
        borrower=None, now_ms=NOW_MS,
    )  # fmt: skip


def stay(nodes: int, hours: int | None, checkpoint_ms: int | None = None, *, preemptible: bool = True) -> Stay:
    end_ms = None if hours is None else NOW_MS + hours * HOUR_MS
    return Stay(nodes=nodes, now_ms=NOW_MS, end_ms=end_ms, checkpoint_ms=checkpoint_ms, preemptible=preemptible)


def maintenance(hour: int) -> Reservation:
    return Reservation(site=SITE, from_ms=NOW_MS + hour * HOUR_MS, to_ms=None, reason="new cables")


@st.composite
def rooms(draw: st.DrawFn) -> tuple[EffectiveCapacity, Room]:
    """A site with two offers and a recall, and others' runs that hold some of it for some hours."""
    offers = [
        offer(
            draw(st.integers(1, 6)), NIGHT, draw(st.sampled_from([None, 0, 3600])), draw(st.sampled_from([0, 9 * 3600]))
        ),
        offer(
            draw(st.integers(1, 6)),
            OPEN_ENDED,
            draw(st.sampled_from([None, 3600])),
            draw(st.sampled_from([0, 5 * 3600])),
        ),
    ]
    by_ms = NOW_MS + draw(st.integers(1, 30)) * HOUR_MS
    recall = Recall(site=SITE, gpu_class="h100", nodes=draw(st.integers(1, 4)), by_ms=by_ms, asked_ms=NOW_MS)
    known = capacity(offers, draw(st.sampled_from([[], [recall]])), draw(st.sampled_from([[], [maintenance(25)]])))
    held = draw(
        st.lists(
            st.tuples(st.integers(0, 20).map(lambda hour: NOW_MS + hour * HOUR_MS), st.integers(-2, 2)), max_size=3
        )
    )
    held_firm = draw(st.integers(0, 2))
    return known, Room(
        known.nodes.less(StepFunction.of(NOW_MS, 0, held)), known.firm.less(StepFunction.of(NOW_MS, held_firm))
    )


def may_stay(known: EffectiveCapacity, asked: Stay, room: Room) -> bool:
    """The oracle. Past ``HOURS`` nothing changes but that the night's offer closes, which the hours tell often enough."""
    hours = range(HOURS if asked.end_ms is None else (asked.end_ms - NOW_MS) // HOUR_MS)
    moments = [NOW_MS, *(NOW_MS + hour * HOUR_MS for hour in hours)]
    if not asked.preemptible:
        return all(min(room.free.at(at), room.firm.at(at)) >= asked.nodes for at in moments)
    if room.free.at(NOW_MS) < asked.nodes:
        return False
    short = [at for at in moments if room.free.at(at) < asked.nodes]
    if not short or asked.checkpoint_ms is None:
        return not short
    holds = [each.offer.minimum_hold_seconds * 1000 for each in known.lendings]  # both are open now
    return short[0] - NOW_MS >= max(asked.checkpoint_ms, *holds)


@given(
    rooms(), st.integers(0, 8), st.none() | st.integers(1, 30),
    st.sampled_from([None, 0, 60_000, 6 * HOUR_MS]), st.booleans(),
)  # fmt: skip
def test_a_run_starts_when_it_keeps_its_nodes_to_its_end_or_long_enough_to_save_its_state(
    drawn: tuple[EffectiveCapacity, Room], nodes: int, hours: int | None, checkpoint_ms: int | None, preemptible: bool
) -> None:
    known, room = drawn
    asked = stay(nodes, hours, checkpoint_ms, preemptible=preemptible)
    answer = may_run(known, asked, room)
    assert isinstance(answer, Stays) == may_stay(known, asked, room)
    if isinstance(answer, Stays) and answer.leaves_ms is not None:
        assert room.free.at(answer.leaves_ms) < nodes <= room.free.minimum(NOW_MS, answer.leaves_ms)
    if isinstance(answer, Blocked):
        assert min(answer.free, answer.free_after) < answer.needed or answer.least_ms is not None
        assert answer.free_after < answer.needed


def test_a_run_that_ends_with_the_window_starts_and_one_that_ends_later_hears_when_it_closes() -> None:
    known = capacity([offer(8, NIGHT, 0)])
    assert may_run(known, stay(8, 13)) == Stays(leaves_ms=None)
    answer = may_run(known, stay(8, 14))
    assert isinstance(answer, Blocked) and answer.drop is not None
    assert (answer.cause, answer.drop.cause, answer.drop.nodes_after) == (
        BlockedCause.DROP_BEFORE_END, DropCause.WINDOW_ENDS, 0,
    )  # fmt: skip
    assert answer.numbers == {
        "needed": 8, "free": 8, "free_after": 0, "at_ms": NOW_MS + 13 * HOUR_MS,
        "seconds_left": 13 * 3600, "seconds_least": None, "cause": "window_ends",
    }  # fmt: skip


def test_a_run_that_can_save_its_state_starts_and_hears_by_when_it_leaves() -> None:
    assert may_run(capacity([offer(8, NIGHT, 0)]), stay(8, None, 60_000)) == Stays(leaves_ms=NOW_MS + 13 * HOUR_MS)


@pytest.mark.parametrize(("hold_hours", "starts"), [(13, True), (14, False)])
def test_nothing_that_would_be_sent_away_within_the_minimum_hold_starts(hold_hours: int, starts: bool) -> None:
    known = capacity([offer(8, NIGHT, 0, hold_hours * 3600)])
    answer = may_run(known, stay(8, None, 60_000))
    assert isinstance(answer, Stays) == starts
    if isinstance(answer, Blocked):
        assert (answer.cause, answer.numbers["seconds_least"]) == (BlockedCause.DROP_TOO_SOON, 14 * 3600)


@pytest.mark.parametrize(
    ("offers", "starts"),
    [
        ([], True),
        ([offer(4, OPEN_ENDED, None)], True),
        ([offer(4, OPEN_ENDED, 86_400)], False),
        ([offer(4, NIGHT, None)], False),
        ([offer(3, OPEN_ENDED, None), offer(4, OPEN_ENDED, 3600)], False),
    ],
)
def test_work_that_may_not_be_preempted_starts_only_where_nobody_recalls_and_no_window_ends(
    offers: list[Offer], starts: bool
) -> None:
    answer = may_run(capacity(offers), stay(4, 1, preemptible=False))
    assert isinstance(answer, Stays) == starts
    if isinstance(answer, Blocked):
        assert answer.cause is BlockedCause.NOT_FIRM


def test_work_that_may_not_be_preempted_starts_before_a_maintenance_when_its_walltime_is_over_by_then() -> None:
    known = capacity([], reservations=[maintenance(5)])
    assert isinstance(may_run(known, stay(4, 5, preemptible=False)), Stays)
    late = may_run(known, stay(4, 6, preemptible=False))
    assert isinstance(late, Blocked) and late.drop is not None
    assert (late.cause, late.drop.cause) == (BlockedCause.DROP_BEFORE_END, DropCause.MAINTENANCE)


@pytest.mark.parametrize("asked", [stay(4, 3), stay(4, 3, 60_000, preemptible=False)])
def test_nodes_that_others_will_take_stop_a_run_and_are_no_drop_of_the_site(asked: Stay) -> None:
    known = capacity([])
    promised = StepFunction.of(NOW_MS, 0, [(NOW_MS + 2 * HOUR_MS, 18)])
    answer = may_run(known, asked, Room(known.nodes.less(promised), known.firm))
    assert isinstance(answer, Blocked)
    assert (answer.drop, answer.free, answer.free_after) == (None, 20, 2)
