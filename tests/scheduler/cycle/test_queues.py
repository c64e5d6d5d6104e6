"""Waiting jobs in columns say what a plain dictionary of them would, and what was shown never changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.facts import ClassKey, WaitingJob
from scheduler.cycle.queues import Queues
from scheduler.cycle.stay import NEVER_MS
from scheduler.cycle.waiting import Venue, WaitingClass, WaitingTable
from scheduler.model.data_class import Clearance
from scheduler.model.ids import GroupId, JobId, ShapeId, SiteId
from scheduler.model.shape import DataClass
from scheduler.model.site_refusal import SiteRefusal


def refusal_of(site: int) -> st.SearchStrategy[SiteRefusal]:
    """Of a site, until one of the first moments."""
    return st.builds(SiteRefusal, site=st.just(SiteId(site)), times=st.just(1), until_ms=st.integers(1, 5))


JOBS = st.builds(
    WaitingJob,
    id=st.integers(1, 12).map(JobId),
    group=st.integers(1, 2).map(GroupId),
    shape=st.integers(1, 2).map(ShapeId),
    priority=st.sampled_from((0, 0, 100)),
    submitted_ms=st.integers(0, 5),
    bound_site=st.sampled_from((None, None, SiteId(3))),
    walltime_ms=st.sampled_from((None, 60_000, 600_000)),
    save_ms=st.sampled_from((None, 10_000)),
    handicap_ms=st.integers(0, 3),
    expected_ms=st.sampled_from((None, 7_000)),
    refusals=st.sampled_from(((), (), (3,), (3, 4))).flatmap(lambda sites: st.tuples(*map(refusal_of, sites))),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(JOBS, min_size=1, max_size=8)),
        st.tuples(st.just("drop"), st.integers(1, 12).map(JobId)),
        st.tuples(st.just("drop the first"), st.none()),
        st.tuples(st.just("show"), st.none()),
        st.tuples(st.just("groups change"), st.none()),
        st.tuples(st.just("the clock says"), st.integers(0, 5)),
    ),
    max_size=40,
)


class Together(Queues):
    """Never looks at classes one by one where it need not."""

    singly_max = 0


KINDS = st.sampled_from((Queues, Together))


def venue_of(key: ClassKey) -> Venue:
    group, _, bound_site, _, refused_by = key
    clearance = Clearance(data_class=DataClass.OPEN, public_sector=False, trust_domain=f"domain-{group}")
    return Venue(clearance, None, bound_site, refused_by)


def classes(table: WaitingTable) -> set[WaitingClass]:
    return set(table.classes())


def plainly(jobs: dict[JobId, WaitingJob]) -> set[WaitingClass]:
    """What a table of ``jobs`` has to say."""
    keys = {job.key for job in jobs.values()}
    return {
        WaitingClass(
            key,
            turns=tuple(
                sorted(
                    (-job.priority, job.submitted_ms + job.handicap_ms, job.id)
                    for job in jobs.values()
                    if job.key == key
                )
            ),
        )
        for key in keys
    }


@given(STEPS, KINDS)
def test_columns_say_what_a_dictionary_says_and_never_change_what_they_showed(
    steps: list[tuple[str, object]], kind: type[Queues]
) -> None:
    queues, known = kind(), dict[JobId, WaitingJob]()
    told = dict[JobId, WaitingJob]()
    shown: list[tuple[WaitingTable, set[WaitingClass]]] = []
    for what, value in steps:
        if what == "put":
            assert isinstance(value, list)
            queues.put(value)
            for job in value:
                known[job.id] = told[job.id] = job
        elif what == "drop":
            assert isinstance(value, int)
            queues.drop(JobId(value))
            known.pop(JobId(value), None)
        elif what == "drop the first":
            for waiting in classes(queues.table(venue_of)):
                queues.drop(waiting.turns[0][2])
                known.pop(waiting.turns[0][2])
        elif what == "groups change":
            queues.forget_venues()
        elif what == "the clock says":
            assert isinstance(value, int)
            queues.let_ask(value)
            for job_id in known:
                left = tuple(each for each in told[job_id].refusals if each.until_ms > value)
                known[job_id] = replace(told[job_id], refusals=left)
        refused_until = [each.until_ms for job in known.values() for each in job.refusals]
        assert queues.asks_ms == min(refused_until, default=NEVER_MS)
        table = queues.table(venue_of)
        assert classes(table) == plainly(known)
        assert {job.id: job for job in table.jobs()} == known
        assert {job for job in range(1, 13) if JobId(job) in queues} == set(known)
        for row in table.rows.tolist():
            assert table.venues[table.venue[row]] == venue_of(table.key(row))
            assert table.row_of(table.key(row)) == row
        for number in range(1, 13):
            job = known.get(JobId(number))
            turn = None if job is None else (-job.priority, job.submitted_ms + job.handicap_ms, job.id)
            assert table.turn_of(JobId(number)) == turn
        shown.append((table, plainly(known)))
        for earlier, said in shown:
            assert classes(earlier) == said


@given(
    st.lists(JOBS, min_size=1, max_size=6, unique_by=lambda job: job.id),
    st.lists(st.integers(0, 6), min_size=2, max_size=6),
)
def test_a_clock_that_went_back_and_forth_leaves_what_one_look_at_the_newest_moment_shows(
    jobs: list[WaitingJob], moments: list[int]
) -> None:
    queues, looked_once = Queues(), Queues()
    queues.put(jobs)
    looked_once.put(jobs)
    for now_ms in moments:
        queues.let_ask(now_ms)
    looked_once.let_ask(moments[-1])
    for each in (queues, queues.copy()):
        assert classes(each.table(venue_of)) == classes(looked_once.table(venue_of))
        assert each.asks_ms == looked_once.asks_ms
    queues.drop(jobs[0].id)
    queues.let_ask(0)
    assert jobs[0].id not in queues


@given(st.lists(JOBS, min_size=2, max_size=12, unique_by=lambda job: job.id), st.integers(1, 11), KINDS)
def test_jobs_of_one_class_are_sorted_whenever_they_come(
    jobs: list[WaitingJob], first: int, kind: type[Queues]
) -> None:
    alike = [
        replace(job, group=GroupId(1), shape=ShapeId(1), bound_site=None, walltime_ms=None, save_ms=None, refusals=())
        for job in jobs
    ]
    queues = kind()
    for part in (alike[:first], alike[first:]):
        queues.put(part)
        table = queues.table(venue_of)
    assert list(classes(table)) == list(plainly({job.id: job for job in alike}))


@pytest.mark.parametrize(("kind", "at_once"), [(Queues, 1), (Together, 1), (Queues, 50)])
def test_many_jobs_of_many_classes_survive_the_array_s_growth(kind: type[Queues], at_once: int) -> None:
    queues = kind()
    jobs = {
        JobId(number): WaitingJob(
            id=JobId(number), group=GroupId(1), shape=ShapeId(1 + number % 17), priority=0, submitted_ms=number
        )
        for number in range(1, 500)
    }
    everything = list(jobs.values())
    for begin in range(0, len(everything), at_once):
        queues.put(everything[begin : begin + at_once])
        queues.table(venue_of)
    assert classes(queues.table(venue_of)) == plainly(jobs)
    table = queues.table(venue_of)
    assert int((table.stop - table.start).sum()) == len(jobs)
    assert np.all(np.diff(table.turns[1, table.start[table.rows[0]] : table.stop[table.rows[0]]]) > 0)
