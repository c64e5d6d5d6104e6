"""Plain reference schedulers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import check_history, cluster_of, clusters, row, rows

from scheduler.model.ids import JobId
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.conservative import Profile
from scheduler.simulator.free_nodes import FreeNodes
from scheduler.simulator.history import History
from scheduler.simulator.knowledge import Knowledge
from scheduler.simulator.policy import Durations, Order, parse_policy
from scheduler.simulator.queues import Queues, Verdicts
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow
from scheduler.simulator.workload import SimJob, build_workload

PLAIN = ("fifo", "easy", "conservative", "sjf")


def starts(history: History) -> dict[str, int]:
    """First starts in seconds by job."""
    return {each.job.name: each.start_ms // 1000 for each in reversed(history.segments)}


def plain(given_rows: list[TraceRow], cluster: Cluster, baseline: str, **policy: object) -> History:
    """What happens under a baseline."""
    return simulate(given_rows, cluster, parse_policy({"baseline": baseline, **policy})).history


@given(rows(), clusters(), st.sampled_from(PLAIN), st.sampled_from(("known", "walltime", "predicted")), st.booleans())
def test_every_baseline_runs_every_job_once_and_no_device_twice(
    drawn: list[TraceRow], cluster: Cluster, baseline: str, durations: str, fails: bool
) -> None:
    failures = [{"node": 1, "at_seconds": 5, "until_seconds": 15}] if fails else []
    history = plain(drawn, cluster, baseline, durations=durations, failures=failures)
    check_history(history, cluster)
    assert len(history.ends_ms) == len(drawn)


JOBS = [
    row("runs", 0, 100, 3),
    row("wide", 1, 50, 4),
    row("long", 2, 200, 1),
    row("short", 3, 20, 1),
]


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        ("fifo", {"runs": 0, "wide": 100, "long": 150, "short": 150}),
        ("easy", {"runs": 0, "wide": 100, "short": 3, "long": 150}),
        ("conservative", {"runs": 0, "wide": 100, "short": 3, "long": 150}),
        ("sjf", {"runs": 0, "long": 2, "short": 100, "wide": 202}),
    ],
)
def test_each_baseline_does_what_its_name_says(baseline: str, expected: dict[str, int]) -> None:
    assert starts(plain(JOBS, cluster_of(4), baseline)) == expected


def test_easy_puts_a_later_job_off_where_conservative_does_not() -> None:
    jobs = [
        row("runs", 0, 10, 2),
        row("head", 1, 10, 4),
        row("second", 2, 10, 2),
        row("filler", 3, 30, 2),
    ]
    cluster = cluster_of(2, 2, 2)
    assert starts(plain(jobs, cluster, "easy")) == {"runs": 0, "head": 1, "second": 10, "filler": 11}
    assert starts(plain(jobs, cluster_of(4), "easy")) == {"runs": 0, "head": 10, "second": 20, "filler": 20}


@given(rows(), clusters())
def test_easy_starts_the_heads_no_later_than_fifo_where_durations_are_known(
    drawn: list[TraceRow], cluster: Cluster
) -> None:
    """Of all jobs the first that FIFO makes wait is the first head: what is behind it may not put it off."""
    fifo, easy = starts(plain(drawn, cluster, "fifo")), starts(plain(drawn, cluster, "easy"))
    by_order = sorted(drawn, key=lambda each: each.submit_ms)
    waits = [each for each in by_order if fifo[each.job_id] * 1000 > each.submit_ms]
    if waits:
        assert easy[waits[0].job_id] <= fifo[waits[0].job_id]


@given(st.data(), st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20), st.integers(1, 4)), max_size=6))
def test_a_profile_finds_the_earliest_hole(data: st.DataObject, held: list[tuple[int, int, int]]) -> None:
    profile = Profile(0, 8)
    free = [8] * 80
    for begin, length, devices in held:
        profile.take(begin, begin + length, devices)
        for at in range(begin, begin + length):
            free[at] -= devices
    now, devices, length = data.draw(st.integers(0, 20)), data.draw(st.integers(1, 8)), data.draw(st.integers(1, 20))
    profile.forget_before(now)
    slow = next(at for at in range(now, 60) if all(each >= devices for each in free[at : at + length]))
    assert profile.earliest(now, devices, length) == slow


def test_a_hole_that_is_just_long_enough_is_taken() -> None:
    profile = Profile(0, 4)
    profile.take(10, 20, 4)
    assert profile.earliest(0, 1, 10) == 0
    assert profile.earliest(0, 1, 11) == 20


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 20)), max_size=6), st.integers(0, 5))
def test_a_profile_of_runs_is_what_taking_them_one_by_one_makes(runs: list[tuple[int, int]], now: int) -> None:
    at_once, one_by_one = Profile.of_runs(now, 30, runs), Profile(now, 30)
    for devices, end in runs:
        one_by_one.take(now, max(end, now + 1), devices)
    for devices in range(1, 31):
        for length in (1, 5, 100):
            assert at_once.earliest(now, devices, length) == one_by_one.earliest(now, devices, length)


@given(rows(), st.lists(st.integers(0, 11)), st.integers(0, 2), st.integers(0, 20))
def test_a_walk_sees_the_jobs_in_order_less_those_that_cannot_start(
    drawn: list[TraceRow], gone: list[int], failing: int, longest_seconds: int
) -> None:
    workload, longest_ms = build_workload(drawn, cluster_of(8)), longest_seconds * 1000
    knowledge, queues = Knowledge(Durations.KNOWN, Order.SHORTEST, {}), Queues()
    for job in workload.jobs:
        knowledge.tell(job)
        queues.add(job)
    waiting: list[SimJob] = list(workload.jobs)
    for index in gone:
        if index < len(waiting):
            queues.remove(waiting.pop(index))
    assert len(queues) == len(waiting)
    waiting.sort(key=lambda job: (job.order, job.id))
    assert queues.head() == (waiting[0] if waiting else None)
    shapes = sorted(workload.shapes)
    failed, limited = shapes[failing % len(shapes)], shapes[(failing + 1) % len(shapes)]
    expected: list[JobId] = []
    failed_seen = limited_seen = False
    for job in waiting:
        if job.shape == failed and failed_seen:
            continue
        if job.shape == limited != failed and limited_seen and job.duration_ms > longest_ms:
            continue
        expected.append(job.id)
        failed_seen |= job.shape == failed
        limited_seen |= job.shape == limited
    verdicts, seen = Verdicts(), []
    for number, job in enumerate(queues.walk(verdicts)):
        seen.append(job.id)
        if job.shape == failed:
            verdicts.failed.add((job.shape, None))
        elif job.shape == limited:
            verdicts.longest_ms[job.shape, None] = longest_ms
        elif number % 2:
            queues.remove(job)
    assert seen == expected


def test_a_job_exactly_as_long_as_allowed_is_walked_on_to() -> None:
    workload = build_workload([row("first", 0, 9), row("longer", 0, 6), row("fits", 0, 5)], cluster_of(8))
    knowledge, queues, verdicts = Knowledge(Durations.KNOWN, Order.FIFO, {}), Queues(), Verdicts()
    for job in workload.jobs:
        knowledge.tell(job)
        queues.add(job)
    seen = []
    for job in queues.walk(verdicts):
        seen.append(job.name)
        verdicts.longest_ms[job.shape, None] = 5000
    assert seen == ["first", "fits"]


@given(rows(), clusters(), st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_gang_fits_after_so_many_releases_as_trying_each_says(
    drawn: list[TraceRow], cluster: Cluster, open_nodes: list[bool]
) -> None:
    workload = build_workload(drawn, cluster)
    nodes = FreeNodes(cluster)
    nodes.open_where(np.array(open_nodes[: len(cluster.nodes)]))
    placed = []
    for job in workload.jobs:
        shape = workload.shapes[job.shape]
        found = nodes.place(shape, None)
        if found is not None:
            nodes.change(shape, found[1], -1)
            placed.append((shape, found[1]))
            continue
        slow, free = None, nodes.free.copy()
        for number, (released, place) in enumerate(placed, 1):
            nodes.change(released, place, 1, free)
            if nodes.place(shape, None, free) is not None:
                slow = number
                break
        assert nodes.fits_after(shape, None, placed) == slow
