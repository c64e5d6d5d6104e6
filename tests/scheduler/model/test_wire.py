"""The agent's messages: what partners of another version send is read, and digests tell sets apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scheduler.model.wire import NodeReport, SyncRequest, digest_of_runs

runs = st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 1000)), unique=True, max_size=50)


@given(runs, st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_order(some: list[tuple[int, int]], random: object) -> None:
    shuffled = sorted(some, key=lambda run: hash((run, 7)))
    assert digest_of_runs(shuffled) == digest_of_runs(some)


@given(runs, runs)
def test_different_sets_of_runs_have_different_digests(
    some: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    assert (digest_of_runs(some) == digest_of_runs(other)) == (set(some) == set(other))


def test_fields_of_a_later_version_are_ignored() -> None:
    request = SyncRequest.model_validate(
        {"protocol": 2, "agent": "a", "sequence": 0, "complete": True, "weather": "fine"}
    )
    assert request.runs == ()


def test_a_node_name_that_could_leave_its_place_is_refused() -> None:
    with pytest.raises(ValidationError):
        NodeReport(name="../n", pool="p", gpu_class="h100", gpus=8, cpus=1, memory_mib=1)
