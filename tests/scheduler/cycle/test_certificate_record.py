"""The certificate of a record against every schedule of tiny ones, and against what happened."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from certificate_cases import least_mean_completion
from hypothesis import given
from past_cases import SECOND_MS, TinyPast, tiny_pasts

from scheduler.cycle.certificate_record import PastJob, RecordCertificate, ReportedGpus, certify_record
from scheduler.model.ids import SiteId


def certified(past: TinyPast) -> RecordCertificate | None:
    return certify_record([job for job in past.jobs if job is not None], past.reported(), iterations=12, bins=24)


def job(submitted: int, started: int, ended: int, gpus: int = 8, **values: object) -> PastJob:
    """Seconds; one that succeeded in one run on h100, and could have run on nothing else."""
    told = {"completed_ms": ended, "started_ms": started, "worked_until_ms": ended, "submitted_ms": submitted}
    made = PastJob(
        gpus=gpus, gpu_classes=("h100",), gpu_class="h100", **{name: each * SECOND_MS for name, each in told.items()}
    )
    return replace(made, **values)


def stood(*steps: tuple[int, int], site: int = 1, gpu_class: str = "h100") -> list[ReportedGpus]:
    """(from, GPUs) of a site; seconds."""
    return [ReportedGpus(SiteId(site), gpu_class, at * SECOND_MS, gpus, gpus) for at, gpus in steps]


@given(tiny_pasts())
def test_no_schedule_beats_the_bound_and_what_happened_does_not_either(past: TinyPast) -> None:
    found, counted = certified(past), past.counted()
    assert (found is None) == (not counted)
    if found is None:
        return
    bound = Fraction(found.mean_completion_lower_bound_seconds)
    assert bound <= least_mean_completion(past.of(counted))
    assert found.mean_completion_lower_bound_seconds <= found.mean_completion_seconds
    succeeded = [each for each in past.jobs if each is not None]
    happened = sum(job.completion_ms for each in counted if (job := past.jobs[each]) is not None)
    assert found.mean_completion_seconds == pytest.approx(happened / len(counted) / SECOND_MS)
    assert (found.jobs, found.left_out) == (len(counted), len(succeeded) - len(counted))


def test_jobs_that_took_turns_on_one_node_could_not_have_done_better() -> None:
    found = certify_record([job(0, 10 * each, 10 * each + 10) for each in range(4)], stood((0, 8)))
    assert found is not None
    assert found.mean_completion_seconds == 25.0
    assert found.mean_completion_lower_bound_seconds == pytest.approx(25.0)


def test_gpus_that_came_late_are_no_fault_of_the_schedule() -> None:
    late = certify_record([job(0, 100, 110)], stood((0, 0), (100, 8)))
    always = certify_record([job(0, 100, 110)], stood((0, 8)))
    assert late is not None and always is not None
    assert late.mean_completion_lower_bound_seconds == pytest.approx(110.0)
    assert always.mean_completion_lower_bound_seconds == pytest.approx(10.0)


def test_a_run_that_held_more_than_was_reported_counts_as_capacity() -> None:
    """The site's clock is ahead of ours, or behind."""
    found = certify_record([job(5, 4, 14), job(5, 14, 24)], stood((7, 8), (20, 0)))
    assert found is not None
    assert found.mean_completion_seconds == (10 + 19) / 2
    assert found.mean_completion_lower_bound_seconds <= found.mean_completion_seconds


def test_a_job_that_went_on_from_a_saved_state_needed_what_it_had_when_it_was_told_to_go() -> None:
    found = certify_record([job(0, 0, 100, worked_until_ms=30 * SECOND_MS)], stood((0, 8)))
    assert found is not None
    assert found.mean_completion_seconds == 100.0
    assert found.mean_completion_lower_bound_seconds == pytest.approx(30.0)


def test_jobs_that_might_have_run_on_another_class_are_left_out() -> None:
    two = [*stood((0, 8)), *stood((0, 8), site=2, gpu_class="a100")]
    free = replace(job(0, 0, 10), gpu_classes=())
    found = certify_record([job(0, 10, 20), free, replace(free, gpu_classes=("a100", "h100"))], two)
    assert found is not None
    assert (found.jobs, found.left_out, found.mean_completion_seconds) == (1, 2, 20.0)
    alone = certify_record([free, replace(free, gpu_classes=("b200", "h100"))], stood((0, 8)))
    assert alone is not None
    assert (alone.jobs, alone.left_out) == (2, 0)


def test_each_class_has_its_own_figures_and_the_whole_counts_them_by_their_jobs() -> None:
    two = [*stood((0, 8)), *stood((0, 8), site=2, gpu_class="a100")]
    other = replace(job(0, 0, 40), gpu_classes=("a100",), gpu_class="a100")
    found = certify_record([job(0, 0, 10), job(0, 10, 20), other], two)
    assert found is not None
    assert [(each.gpu_class, each.jobs, each.mean_completion_seconds) for each in found.classes] == [
        ("a100", 1, 40.0),
        ("h100", 2, 15.0),
    ]
    assert found.mean_completion_seconds == pytest.approx(70 / 3)
    assert found.mean_completion_lower_bound_seconds == pytest.approx(70 / 3)


def test_of_nothing_that_has_any_length_nothing_is_said() -> None:
    assert certify_record([], stood((0, 8))) is None
    assert certify_record([job(0, 5, 5)], stood((0, 8))) is None
