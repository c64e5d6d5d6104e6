"""The price bound in floating point against its theorem in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from certificate_cases import TinyCase, theorem, tiny_cases, tiny_prices
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.certificate import bound_at_prices
from scheduler.cycle.certificate_case import Case, Prices
from scheduler.cycle.certificate_prices import price_bound


@given(tiny_cases(jobs_max=6, durations=(1, 2, 4, 8)), st.data())
def test_the_bound_is_what_the_theorem_says_and_never_above(case: TinyCase, data: st.DataObject) -> None:
    prices = data.draw(tiny_prices(len(case.steps)))
    exact = theorem(case, prices)
    found = bound_at_prices(case.jobs(), case.pools(), prices)
    assert Fraction(found) <= exact
    assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-9)


@given(tiny_cases(jobs_max=6, durations=(3, 5, 7, 11)), st.data(), st.floats(1e-3, 1e3))
def test_rounding_stays_on_the_safe_side(case: TinyCase, data: st.DataObject, scale: float) -> None:
    drawn = data.draw(tiny_prices(len(case.steps)))
    prices = Prices(drawn.edges_seconds * scale, drawn.job_seconds_per_gpu_second / 3)
    assert Fraction(bound_at_prices(case.jobs(), case.pools(), prices)) <= theorem(case, prices)


@given(tiny_cases(), st.data())
def test_the_excess_is_a_supergradient(case: TinyCase, data: st.DataObject) -> None:
    """The bound is concave in the prices, so no other prices lie above the tangent; one pool, where it is exact."""
    alone = TinyCase(case.release, case.gpus, tuple((row[0] or 1,) for row in case.durations), case.steps[:1])
    product = Case.of(alone.jobs(), alone.pools())
    prices = product.checked(data.draw(tiny_prices(1)))
    here = price_bound(product, prices)
    shape = prices.job_seconds_per_gpu_second.shape
    drawn = data.draw(st.lists(st.floats(0, 3), min_size=shape[1], max_size=shape[1]))
    there = price_bound(product, Prices(prices.edges_seconds, np.array([drawn])))
    rise = float((here.excess_gpu_seconds * (np.array([drawn]) - prices.job_seconds_per_gpu_second)).sum())
    assert there.mean_completion_seconds <= here.mean_completion_seconds + rise / len(product) + 1e-9
