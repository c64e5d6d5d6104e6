"""The sweep of all jobs at once against trying every end of each job alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from certificate_cases import cheapest_completion
from example_count import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.cycle.certificate_completion import cheapest_completions

WIDTHS = st.lists(st.integers(1, 6), min_size=1, max_size=30)
JOBS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(1, 4), st.integers(0, 1)), min_size=1, max_size=12
)


@settings(max_examples=examples(300))
@given(WIDTHS, JOBS, st.sampled_from((0, 30, 45)), st.data())
def test_every_job_completes_at_the_least_cost(
    widths: list[int], jobs: list[tuple[int, int, int, int]], cheapest: int, data: st.DataObject
) -> None:
    edges = np.cumsum([0, *widths, 1_000]).astype(float)
    # Where all time is dear and the free time far, what may be left out of the sweep is a near thing.
    prices = st.lists(st.integers(cheapest, 60), min_size=len(widths), max_size=len(widths))
    price = np.array([[*(each / 8 for each in data.draw(prices)), 0.0] for _ in range(2)])
    release, duration, weight, kind = (np.array(column) for column in zip(*jobs, strict=True))
    found = cheapest_completions(
        release.astype(float), duration.astype(float), weight.astype(float), kind, edges, price
    )
    for job in range(len(jobs)):
        stretches = [
            (Fraction(max(low - release[job], 0)), Fraction(high - release[job]), Fraction(weight[job] * each))
            for low, high, each in zip(edges, edges[1:], price[kind[job]], strict=False)
            if high > release[job]
        ]
        assert found.cost_seconds[job] == float(cheapest_completion(stretches, Fraction(int(duration[job]))))
        mine = found.job == job
        bins, seconds = found.bin[mine], found.seconds[mine]
        assert seconds.sum() == pytest.approx(duration[job])
        begin = np.maximum(edges[bins], release[job])
        assert (seconds >= 0).all()
        assert (np.bincount(bins, seconds) <= np.bincount(bins, edges[bins + 1] - begin) + 1e-9).all()
        last = bins[seconds > 0].max()
        spent = float((seconds * price[kind[job], bins] * weight[job]).sum())
        assert max(edges[last] - release[job], 0) <= found.cost_seconds[job] - spent <= edges[last + 1] - release[job]
