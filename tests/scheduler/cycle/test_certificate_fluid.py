"""The machine that all pools are melted into."""

from __future__ import annotations

import numpy as np
import pytest
from certificate_cases import TinyCase, tiny_cases
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.certificate_case import Case, PoolCapacity
from scheduler.cycle.certificate_fluid import fluid_prices, run_fluid


@given(tiny_cases(jobs_max=6), st.booleans())
def test_the_machine_gives_every_job_its_work_at_full_speed_and_never_idles_while_one_waits(
    tiny: TinyCase, by_remaining: bool
) -> None:
    case = Case.of(tiny.jobs(), tiny.pools())
    run = run_fluid(case.release_seconds, case.gpu_seconds, case.pools, by_remaining=by_remaining)
    assert np.bincount(run.job, run.gpu_seconds) == pytest.approx(case.gpu_seconds)
    offered = sum(pool.integral(run.end_seconds) - pool.integral(run.start_seconds) for pool in case.pools)
    assert run.gpu_seconds == pytest.approx(offered)
    assert (run.start_seconds >= case.release_seconds[run.job] - 1e-9).all()
    for begin, end in zip(run.end_seconds, run.start_seconds[1:], strict=False):
        waits = (case.release_seconds < end) & (run.completion_seconds > begin + 1e-9)
        assert end == begin or not waits.any()


def test_a_job_that_was_pushed_aside_goes_on_when_the_smaller_one_is_done() -> None:
    pool = [PoolCapacity(np.array([0.0]), np.array([2]))]
    release, sizes = np.array([0.0, 5.0, 6.0]), np.array([20.0, 8.0, 2.0])
    by_size = run_fluid(release, sizes, pool, by_remaining=False)
    assert by_size.completion_seconds.tolist() == [15.0, 10.0, 7.0]
    assert by_size.job.tolist() == [0, 1, 2, 1, 0]
    # What remained at 5 (10 of 20) is more than 8, at 6 it would be 8 against 6 and 2.
    assert run_fluid(release, sizes, pool, by_remaining=True).completion_seconds.tolist() == [15.0, 10.0, 7.0]
    late = np.array([0.0, 7.0, 8.0])
    assert run_fluid(late, sizes, pool, by_remaining=True).completion_seconds.tolist() == [11.0, 15.0, 9.0]


def test_the_price_falls_by_one_over_the_size_of_the_job_that_is_served() -> None:
    pool = [PoolCapacity(np.array([0.0]), np.array([1]))]
    sizes = np.array([4.0, 10.0])
    run = run_fluid(np.zeros(2), sizes, pool, by_remaining=False)
    price = fluid_prices(sizes, run, np.array([0.0, 4.0, 14.0, 20.0]))
    assert price == pytest.approx([(2.0 + 1.0) / 2, (1.0 + 0.0) / 2, 0.0])
