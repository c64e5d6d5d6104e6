"""Order inside a group: the plain sort of its rule, and nobody overtaken for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from federations import OPEN_SITE, Facts, build, node_of, plain_shape
from hypothesis import event, given
from hypothesis import strategies as st

from scheduler.cycle.decide import decide
from scheduler.cycle.dry_run import dry_run
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.handicap import HANDICAP_MS_MAX, handicap_ms
from scheduler.cycle.plan import Start
from scheduler.model.group_order import GroupOrder
from scheduler.model.ids import GroupId, JobId, ShapeId

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ORDERS = st.sampled_from(GroupOrder)
#: (GPUs, run time that is thought of, run time had)
WORK = st.tuples(
    st.sampled_from((1, 2, 8, 1024)), st.none() | st.integers(0, 40 * HOUR_MS), st.integers(0, 9 * HOUR_MS)
)
SHAPES = {ShapeId(gpus): plain_shape(gpus) for gpus in (1, 2)}


def handicap(order: GroupOrder, work: tuple[int, int | None, int]) -> int:
    gpus, whole_ms, served_ms = work
    return handicap_ms(order, gpus=gpus, whole_ms=whole_ms, served_ms=served_ms)


@pytest.mark.parametrize(
    ("order", "gpus", "whole_hours", "served_hours", "handicap_hours"),
    [
        (GroupOrder.FIFO, 8, 10, 3, 0),
        (GroupOrder.LEAST_WORK, 8, 10, 3, 56),
        (GroupOrder.LEAST_WORK, 1, 10, 0, 10),
        (GroupOrder.LEAST_WORK, 8, 10, 11, 88),
        (GroupOrder.LEAST_WORK, 8, None, 0, 0),
        (GroupOrder.LEAST_WORK, 8, None, 3, 24),
        (GroupOrder.LEAST_SERVED, 8, 10, 3, 24),
        (GroupOrder.LEAST_SERVED, 8, 10, 0, 0),
        (GroupOrder.LEAST_WORK, 64, 10, 0, 7 * 24),
        (GroupOrder.LEAST_SERVED, 64, None, 10, 7 * 24),
    ],
)
def test_a_handicap_is_the_gpu_time_to_come_or_that_was_had_up_to_a_week(
    order: GroupOrder, gpus: int, whole_hours: int | None, served_hours: int, handicap_hours: int
) -> None:
    whole_ms = None if whole_hours is None else whole_hours * HOUR_MS
    assert handicap(order, (gpus, whole_ms, served_hours * HOUR_MS)) == handicap_hours * HOUR_MS


@given(st.lists(st.tuples(st.integers(0, 30 * DAY_MS), WORK), min_size=2, max_size=8), ORDERS)
def test_a_job_is_overtaken_by_those_alone_that_come_no_later_than_its_handicap(
    drawn: list[tuple[int, tuple[int, int | None, int]]], order: GroupOrder
) -> None:
    jobs = sorted((submitted_ms, number, work) for number, (submitted_ms, work) in enumerate(drawn))
    turns = {number: (submitted_ms + handicap(order, work), number) for submitted_ms, number, work in jobs}
    for at, (early_ms, early, work) in enumerate(jobs):
        for late_ms, late, _ in jobs[at + 1 :]:
            if turns[late] < turns[early]:
                event("overtaken")
                assert late_ms - early_ms <= handicap(order, work) <= HANDICAP_MS_MAX
            if late_ms - early_ms > HANDICAP_MS_MAX:
                event("a week apart")
                assert turns[early] < turns[late]


@given(ORDERS, WORK, st.integers(0, 40 * HOUR_MS))
def test_more_work_is_never_a_smaller_handicap(
    order: GroupOrder, work: tuple[int, int | None, int], more_ms: int
) -> None:
    gpus, whole_ms, served_ms = work
    assert 0 <= handicap(order, work) <= HANDICAP_MS_MAX
    assert handicap(order, (gpus + 1, whole_ms, served_ms)) >= handicap(order, work)
    if whole_ms is not None and served_ms <= whole_ms:
        assert handicap(order, (gpus, whole_ms + more_ms, served_ms)) >= handicap(order, work)


@st.composite
def queued(draw: st.DrawFn) -> tuple[WaitingJob, ...]:
    """Jobs of one group, of two shapes and several stays, so that they are of many classes."""
    return tuple(
        WaitingJob(
            id=JobId(number),
            group=GroupId(4),
            shape=ShapeId(draw(st.sampled_from((1, 2)))),
            priority=draw(st.sampled_from((0, 0, 100))),
            submitted_ms=draw(st.integers(0, 5)),
            walltime_ms=draw(st.sampled_from((None, HOUR_MS, 2 * HOUR_MS))),
            handicap_ms=draw(st.integers(0, 5)),
            expected_ms=draw(st.none() | st.integers(1, 5)),
        )
        for number in range(1, draw(st.integers(1, 12)) + 1)
    )


def order_of_starts(jobs: tuple[WaitingJob, ...], gpus: int) -> list[int]:
    """Who starts, one after the other, on a node from which two GPUs are free at a time."""
    started: list[int] = []
    left = {job.id: job for job in jobs}
    while left:
        facts = Facts({}, (OPEN_SITE,), (node_of(1, gpus),), SHAPES, tuple(left.values()))
        for start in decide(build(facts).snapshot(), 0).starts:
            started.append(start.job)
            del left[start.job]
    return started


@given(queued())
def test_the_jobs_of_a_group_start_in_the_plain_order_of_priority_turn_and_number(jobs: tuple[WaitingJob, ...]) -> None:
    alike = tuple(replace(job, shape=ShapeId(1)) for job in jobs)
    plainly = sorted(alike, key=lambda job: (-job.priority, job.submitted_ms + job.handicap_ms, job.id))
    assert order_of_starts(alike, 1) == [job.id for job in plainly]


@given(queued(), st.integers(0, 13))
def test_who_is_ahead_is_counted_over_the_classes_of_the_group_that_may_run_on_the_same(
    jobs: tuple[WaitingJob, ...], number: int
) -> None:
    others = tuple(replace(job, id=JobId(job.id + 100), group=GroupId(5)) for job in jobs)
    h200 = {ShapeId(at + 10): replace(shape, gpu_classes=("h200",)) for at, shape in SHAPES.items()}
    elsewhere = tuple(replace(job, id=JobId(job.id + 200), shape=ShapeId(job.shape + 10)) for job in jobs)
    nodes = (node_of(1, 1), replace(node_of(2, 1), gpu_class="h200"))
    snapshot = build(Facts({}, (OPEN_SITE,), nodes, SHAPES | h200, (*jobs, *others, *elsewhere))).snapshot()
    for priority, at_ms in ((0, 3), (-100, 3), (0, 20)):
        turn = (priority, at_ms, JobId(number))
        before = [job for job in jobs if (-job.priority, job.submitted_ms + job.handicap_ms, job.id) < turn]
        same = [job for job in elsewhere if (-job.priority, job.submitted_ms + job.handicap_ms, job.id) < turn]
        for gpu_classes, found in ((("h100",), before), (("h200",), same), (("h100", "h200"), [*before, *same])):
            assert snapshot.table.ahead(GroupId(4), turn, snapshot.sharing(gpu_classes)) == len(found)


@given(queued())
def test_a_table_gives_back_the_very_jobs_that_were_put(jobs: tuple[WaitingJob, ...]) -> None:
    table = build(Facts({}, (OPEN_SITE,), (node_of(1, 1),), SHAPES, jobs)).snapshot().table
    assert {job.id: job for job in table.jobs()} == {job.id: job for job in jobs}


def test_a_dry_run_stands_where_the_job_would() -> None:
    waits = WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0, handicap_ms=HOUR_MS)
    federation = build(Facts({}, (OPEN_SITE,), (node_of(1, 1),), SHAPES, (waits,)))
    federation.lend(5)
    snapshot = federation.snapshot()

    def starts(handicap_ms: int) -> bool:
        answer = dry_run(snapshot, GroupId(4), SHAPES[ShapeId(1)], priority=0, bound_site=None, handicap_ms=handicap_ms)
        return isinstance(answer, Start)

    assert starts(HOUR_MS - 6)
    assert not starts(HOUR_MS - 5)
