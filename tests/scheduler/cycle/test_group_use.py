"""What groups use by position, kept as runs come and go, against counting every run and earmark anew."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from elastic import elastic
from federations import group_facts
from hypothesis import given
from hypothesis import strategies as st
from pressed import GPU_CLASS, NOW_MS, Applied, Pressed, federation_of, pressed
from used_gpus import displaceable_gpus, leaving_gpus, own_gpus

from quota.errors import UnknownGroupError
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.federation import Federation
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId


def assert_counted(snapshot: Snapshot) -> None:
    own: Counter[GroupId] = Counter()
    leaving: Counter[GroupId] = Counter()
    displaceable: Counter[tuple[GroupId, int]] = Counter()
    held = {
        job: each.workers * snapshot.shapes[each.job.shape].gpus_per_worker for job, each in snapshot.earmarks.items()
    }
    for job, earmark in snapshot.earmarks.items():
        own[earmark.job.group] += held[job]
    for run in snapshot.runs.values():
        if run.leaving:
            leaving[run.group] += run.gpus - min(run.gpus, held.get(run.job, 0))
            continue
        own[run.group] += run.gpus
        if run.preemptible:
            displaceable[run.group, run.priority] += run.gpus
    assert own_gpus(snapshot, GPU_CLASS) == +own
    assert leaving_gpus(snapshot, GPU_CLASS) == +leaving
    assert displaceable_gpus(snapshot, GPU_CLASS) == +displaceable
    ending = sum(run.leaves_ms(NOW_MS) is not None for run in snapshot.runs.values())
    assert snapshot.use(GPU_CLASS).ending == ending


@given(pressed() | elastic(), st.lists(st.integers(0, 50), max_size=4), st.booleans())
def test_the_count_follows_runs_earmarks_and_the_tree(facts: Pressed, ends: list[int], is_moved: bool) -> None:
    federation = federation_of(facts)
    assert_counted(federation.snapshot())
    applied = Applied(facts, federation)
    snapshot = federation.snapshot()
    applied.apply(snapshot, decide(snapshot, 0))
    assert_counted(federation.snapshot())
    if is_moved:  # positions are by name
        renamed = [replace(each, path=f"renamed-{99 - each.id}") for each in federation.snapshot().groups.values()]
        federation.set_groups(renamed, facts.quotas)
    for end in ends:
        if federation.live_runs:
            runs = sorted(federation.live_runs)
            federation.end_run(runs[end % len(runs)], NOW_MS)
    assert_counted(federation.snapshot())


@given(pressed())
def test_what_a_snapshot_has_shown_stays(facts: Pressed) -> None:
    federation = federation_of(facts)
    shown = federation.snapshot()
    before = own_gpus(shown, GPU_CLASS)
    for run in list(federation.live_runs):
        federation.drop_run(run)
    federation.snapshot()
    assert own_gpus(shown, GPU_CLASS) == before


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_run_of_a_group_that_is_not_in_the_tree_is_a_fault(is_shown: bool, one_run: LiveRun) -> None:
    federation = Federation()
    federation.set_groups(group_facts(), {})
    federation.put_run(one_run)
    if is_shown:
        federation.snapshot()
    federation.put_run(replace(one_run, id=one_run.id + 1, group=GroupId(999)))
    with pytest.raises(UnknownGroupError):
        federation.snapshot()


@pytest.fixture
def one_run() -> LiveRun:
    return LiveRun(
        id=1,
        job=1,
        group=GroupId(4),
        site=1,
        gpu_class=GPU_CLASS,
        gpus_per_worker=1,
        cpus_per_worker=1,
        memory_mib_per_worker=1,
        gang=((1, 1),),
        preemptible=False,
    )
