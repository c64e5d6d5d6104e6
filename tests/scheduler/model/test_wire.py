"""The agent's messages: what partners of another version send is read, and digests tell sets apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from scheduler.model.wire import NodeReport, RunReport, SyncRequest, digest_of_runs

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


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(("run_id", "epoch", "phase", "exit_code", "message")), inner)
    ),
    max_leaves=6,
)
_GOOD = {
    "protocol": 2, "agent": "a", "sequence": 7, "complete": True,
    "runs": [{"run_id": 1, "epoch": 1, "phase": "running"}],
    "capacity": {"version": 1, "complete": True, "nodes": []},
}  # fmt: skip


@given(st.binary(max_size=60) | st.dictionaries(st.sampled_from(sorted(_GOOD)), _VALUES, min_size=1, max_size=2))
@example(b"[" * 100_000)
@example(b'{"protocol": 1e999}')
@example({"runs": [{"run_id": 1, "epoch": 1, "phase": "running", "exit_code": "x", "message": 7}]})
def test_any_request_is_read_or_refused_by_the_names_of_its_fields(odd: bytes | dict[str, object]) -> None:
    content = odd if isinstance(odd, bytes) else json.dumps(_GOOD | odd).encode()
    try:
        request = SyncRequest.model_validate_json(content)
    except ValidationError as refused:
        places = [error["loc"] for error in refused.errors(include_url=False)]
        if isinstance(odd, dict) and all(places):
            assert {place[0] for place in places} <= set(odd)
    else:
        assert SyncRequest.model_validate_json(request.model_dump_json()) == request


def test_a_node_name_that_could_leave_its_place_is_refused() -> None:
    with pytest.raises(ValidationError):
        NodeReport(name="../n", pool="p", gpu_class="h100", gpus=8, cpus=1, memory_mib=1)


@given(
    st.sampled_from(("exit_code", "started_ms", "ended_ms")),
    st.integers(-(10**30), 10**30),
    st.text(st.characters(categories=None), max_size=3000),
)
def test_whatever_a_report_holds_can_be_stored(field: str, number: int, message: str) -> None:
    told = {"run_id": 1, "epoch": 1, "phase": "ended", field: number, "message": message}
    report = RunReport.model_validate(told)
    stored = getattr(report, field)
    assert stored == number or abs(stored) >= 2**31 - 1 or stored == 0
    assert abs(stored) < 2**63
    assert "\0" not in report.message
    assert len(report.message) <= 2000
    assert RunReport.model_validate_json(report.model_dump_json()) == report


def test_a_text_that_can_be_stored_stays_as_it_is() -> None:
    told = {"run_id": 1, "epoch": 1, "phase": "ended", "exit_code": 137, "message": "메모리 부족\n"}
    report = RunReport.model_validate(told)
    assert (report.exit_code, report.message) == (137, "메모리 부족\n")
