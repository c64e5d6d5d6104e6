"""A copy of a federation: alike at first, and then each goes its own way."""

from __future__ import annotations

from dataclasses import replace

from elastic import elastic
from hypothesis import given
from hypothesis import strategies as st
from pressed import NOW_MS, Applied, Pressed, federation_of, pressed
from used_gpus import displaceable_gpus, leaving_gpus, own_gpus

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Plan
from scheduler.model.ids import GroupId, JobId, ShapeId


def _rounds(given_: Pressed, federation: Federation, count: int) -> list[Plan]:
    """Rounds, applied, with what they stopped gone in between."""
    applied, plans = Applied(given_, federation), []
    for number in range(count):
        federation.lend(NOW_MS + number)
        snapshot = federation.snapshot()
        plan = decide(snapshot, 0)
        applied.apply(snapshot, plan)
        applied.end_leaving()
        federation.remove_node(given_.nodes[number % len(given_.nodes)].id)
        plans.append(plan)
    return plans


@given(pressed() | elastic(), st.integers(0, 2), st.integers(1, 3))
def test_what_happens_to_a_copy_never_happens_to_what_it_was_made_of_and_would_happen_there_alike(
    facts: Pressed, before: int, after: int
) -> None:
    federation, fresh = federation_of(facts), federation_of(facts)
    _rounds(facts, federation, before)
    _rounds(facts, fresh, before)
    twin = federation.copy()
    of_twin = _rounds(facts, twin, after)
    of_original = _rounds(facts, federation, after)
    assert of_twin == of_original == _rounds(facts, fresh, after)


@given(pressed())
def test_what_happens_to_the_original_never_happens_to_its_copy(facts: Pressed) -> None:
    federation = federation_of(facts)
    twin = federation.copy()
    _rounds(facts, federation, 2)
    assert _rounds(facts, twin, 2) == _rounds(facts, federation_of(facts), 2)


@given(pressed() | elastic())
def test_a_copy_of_a_shown_federation_shows_what_it_would_have_shown_itself(facts: Pressed) -> None:
    federation = federation_of(facts)
    federation.snapshot()
    shown, own = federation.copy().snapshot(), federation_of(facts).snapshot()
    assert shown.waiting == own.waiting
    assert list(shown.table.jobs()) == list(own.table.jobs())
    assert sorted(shown.table.jobs(), key=lambda job: job.id) == sorted(facts.jobs, key=lambda job: job.id)
    for gpu_class in own.gpu_classes:
        for gpus_of in (own_gpus, leaving_gpus, displaceable_gpus):
            assert gpus_of(shown, gpu_class) == gpus_of(own, gpu_class)
    assert (shown.site_use, shown.runs, shown.earmarks) == (own.site_use, own.runs, own.earmarks)
    assert shown.elastic == own.elastic


@given(pressed(), st.booleans())
def test_different_jobs_and_runs_of_a_copy_and_its_original_do_not_mix(facts: Pressed, is_shown: bool) -> None:
    federation = federation_of(facts)
    if is_shown:
        federation.snapshot()
    twin = federation.copy()
    shown = []
    for number, each in enumerate((twin, federation)):
        job = WaitingJob(
            id=JobId(900 + number), group=GroupId(4), shape=ShapeId(1), priority=number, submitted_ms=5 - number
        )
        each.put_waiting([job])
        for run in facts.runs[number :: len(facts.runs) or 1]:
            each.drop_run(run.id)
        fresh = federation_of(replace(facts, jobs=(*facts.jobs, job), runs=tuple(each.live_runs.values())))
        shown.append((each.snapshot(), fresh.snapshot()))
    for own, fresh_one in shown:
        assert sorted(own.table.jobs(), key=lambda job: job.id) == sorted(
            fresh_one.table.jobs(), key=lambda job: job.id
        )
        for key, pool in own.pools.items():
            assert pool.pool.gpus.tolist() == fresh_one.pools[key].pool.gpus.tolist()
