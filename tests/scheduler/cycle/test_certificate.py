"""The certificate against every schedule of tiny cases, and what makes it useful."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from certificate_cases import TinyCase, least_mean_completion, tiny_cases, tiny_prices
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.certificate import Bound, bound_at_prices, certify
from scheduler.cycle.certificate_case import CertifiedJobs, PoolCapacity, Prices


def one_pool(gpus: int) -> list[PoolCapacity]:
    return [PoolCapacity(np.array([0.0]), np.array([gpus]))]


def jobs_of(release: list[float], durations: list[float], gpus: list[int]) -> CertifiedJobs:
    return CertifiedJobs(np.array(release), np.array(durations), np.array(gpus))


@given(tiny_cases(), st.data())
def test_at_any_prices_no_schedule_is_better_than_the_bound(case: TinyCase, data: st.DataObject) -> None:
    prices = data.draw(tiny_prices(len(case.steps)))
    assert Fraction(bound_at_prices(case.jobs(), case.pools(), prices)) <= least_mean_completion(case)


@given(tiny_cases())
def test_no_schedule_is_better_than_any_of_the_bounds(case: TinyCase) -> None:
    found = certify(case.jobs(), case.pools(), iterations=12, bins=24)
    least = least_mean_completion(case)
    for bound, seconds in found.bounds_seconds.items():
        assert Fraction(seconds) <= least, bound
    assert found.mean_completion_lower_bound_seconds == found.bounds_seconds[found.won]
    assert found.mean_completion_lower_bound_seconds == max(found.bounds_seconds.values())


@given(tiny_cases(), st.data())
def test_more_capacity_never_raises_the_bound(case: TinyCase, data: st.DataObject) -> None:
    prices = data.draw(tiny_prices(len(case.steps)))
    more = replace(case, steps=tuple(tuple((begin, gpus + 1) for begin, gpus in steps) for steps in case.steps))
    assert bound_at_prices(case.jobs(), more.pools(), prices) <= bound_at_prices(case.jobs(), case.pools(), prices)
    at, above = (certify(case.jobs(), each.pools(), prices=prices, iterations=0) for each in (case, more))
    for bound, seconds in above.bounds_seconds.items():
        assert seconds <= at.bounds_seconds[bound] + 1e-9, bound


@given(tiny_cases(), st.floats(-1e9, 1e9))
def test_the_bound_does_not_ask_where_the_clock_starts(case: TinyCase, moved: float) -> None:
    shift = float(round(moved))
    jobs = replace(case.jobs(), release_seconds=case.jobs().release_seconds + shift)
    pools = [replace(pool, start_seconds=pool.start_seconds + shift) for pool in case.pools()]
    here, there = (certify(*each, iterations=6, bins=16) for each in ((case.jobs(), case.pools()), (jobs, pools)))
    assert there.mean_completion_lower_bound_seconds == here.mean_completion_lower_bound_seconds
    assert there.prices.edges_seconds[0] == here.prices.edges_seconds[0] + shift


@given(tiny_cases())
def test_searching_on_from_prices_is_no_worse_than_they_are(case: TinyCase) -> None:
    first = certify(case.jobs(), case.pools(), iterations=6, bins=16)
    again = certify(case.jobs(), case.pools(), prices=first.prices, iterations=0)
    onward = certify(case.jobs(), case.pools(), prices=first.prices, iterations=6, bins=16)
    before = first.bounds_seconds[Bound.PRICES]
    assert again.bounds_seconds[Bound.PRICES] == pytest.approx(before, rel=1e-9)
    assert onward.bounds_seconds[Bound.PRICES] >= before - 1e-9 * abs(before)


def test_gangs_that_take_turns_are_certified_to_the_end_of_each() -> None:
    alike = certify(jobs_of([0.0] * 4, [10.0] * 4, [8] * 4), one_pool(8), iterations=0)
    assert alike.mean_completion_lower_bound_seconds == pytest.approx(25.0)
    # A day of work, one third done when short jobs come again and again: mean busy time sees half of its delay.
    release = [0.0, *(3_600.0 * each for each in range(8, 24))]
    durations = [8.5 * 3_600.0, *([1_800.0] * 16)]
    interrupted = certify(jobs_of(release, durations, [8] * 17), one_pool(8), iterations=60, bins=192)
    best = (8.5 * 3_600 + 1_800 + 16 * 1_800) / 17
    assert best * 0.97 <= interrupted.bounds_seconds[Bound.PRICES] <= best


def test_prices_see_an_idle_day_and_a_crowded_one_at_once() -> None:
    """While nobody waits only durations bound, in a crowd only busy times: an average of both is beyond either."""
    crowd = [20.0 * each for each in range(1, 11)]
    jobs = jobs_of([40.0 * each for each in range(40)] + [2_000.0] * 10, [100.0] * 40 + crowd, [1] * 40 + [4] * 10)
    found = certify(jobs, one_pool(4), iterations=60, bins=128)
    best = (40 * 100 + sum(np.cumsum(crowd))) / 50
    assert found.won is Bound.PRICES
    assert 0.95 * best <= found.mean_completion_lower_bound_seconds <= best
    assert max(seconds for bound, seconds in found.bounds_seconds.items() if bound is not found.won) < 0.9 * best


def test_only_the_pool_that_is_short_has_a_price_to_speak_of() -> None:
    """Pool 0 is all that the first forty jobs may use; pool 1 has room for whatever is left."""
    durations = np.array([[60.0, np.inf]] * 40 + [[60.0, 60.0]] * 5)
    jobs = CertifiedJobs(np.zeros(45), durations, np.ones(45, dtype=np.int64))
    found = certify(jobs, [*one_pool(4), *one_pool(64)], iterations=60, bins=64)
    spent = (found.prices.job_seconds_per_gpu_second * np.diff(found.prices.edges_seconds)).sum(axis=1)
    assert spent[1] < 0.02 * spent[0]
    waits = np.mean([60.0 * (1 + each // 4) for each in range(40)] + [60.0] * 5)
    assert 0.95 * waits <= found.mean_completion_lower_bound_seconds <= waits


def test_a_window_that_closes_is_a_capacity_that_ends() -> None:
    jobs = jobs_of([0.0] * 8, [100.0] * 8, [8] * 8)
    closing = PoolCapacity(np.array([0.0, 200.0, 1_000.0]), np.array([8, 0, 8]))
    found = certify(jobs, [closing], iterations=0)
    assert found.mean_completion_lower_bound_seconds == pytest.approx((100 + 200 + sum(range(1_100, 1_700, 100))) / 8)


@pytest.mark.parametrize(
    ("jobs", "pools", "fault"),
    [
        (jobs_of([0.0], [1.0, 2.0], [1]), one_pool(1), "shapes"),
        (jobs_of([0.0], [np.inf], [1]), one_pool(1), "finite duration in some pool"),
        (jobs_of([0.0], [1.0], [0]), one_pool(1), "GPUs"),
        (jobs_of([0.0], [1.0], [1]), one_pool(-1), "not negative"),
        (jobs_of([0.0], [1.0], [1]), one_pool(0), "the capacity ends"),
    ],
)
def test_arrays_that_make_no_sense_are_faults(jobs: CertifiedJobs, pools: list[PoolCapacity], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        certify(jobs, pools)


@pytest.mark.parametrize(
    ("edges", "price", "fault"),
    [([0.0, 1.0], [[-0.5]], "not negative"), ([0.0, 0.0], [[0.5]], "do not fit"), ([0.0, 1.0], [[np.nan]], "at most")],
)
def test_what_is_no_price_is_a_fault(edges: list[float], price: list[list[float]], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        bound_at_prices(jobs_of([0.0], [1.0], [1]), one_pool(1), Prices(np.array(edges), np.array(price)))
