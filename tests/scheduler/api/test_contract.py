"""The whole API against its own document: whatever is sent, no fault, and every answer as documented."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import assert_is_a_problem
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.scheduler.api.conftest import Cast

#: Streams do not end by themselves.
NEVER_ENDING = "(/stream|/agent/sync)$"


def test_every_operation_answers_as_documented(cast: Cast) -> None:
    headers = {"Authorization": f"Bearer {cast.federation.administrator.secret}"}
    schema = schemathesis.openapi.from_url(f"{cast.federation.server}/api/v1/openapi.json", headers=headers)
    checks = [not_a_server_error, status_code_conformance, content_type_conformance]
    walked = 0
    for result in schema.exclude(path_regex=NEVER_ENDING).get_all_operations():
        operation = result.ok()
        walked += 1

        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def answers(case: schemathesis.Case) -> None:
            response = case.call(headers=headers, timeout=30)
            case.validate_response(response, checks=checks)
            if response.status_code >= 400 and response.content:
                assert_is_a_problem(response.json())

        answers()
    assert walked > 40


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["name", "group", "workers", "gpus_per_worker", "command", "walltime", "checkpoint", "environment", "outputs"]
)


@given(st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_job_document_is_taken_or_refused_by_name(cast: Cast, document: dict[str, Any]) -> None:
    answer = cast.people["submitter"].ask("POST", "jobs", json=document)
    assert answer.status_code in (201, 400, 404, 422), answer.text
    if answer.status_code != 201:
        assert_is_a_problem(answer.json())


@given(st.binary(max_size=200))
def test_any_bytes_as_a_body_are_refused(cast: Cast, data: bytes) -> None:
    for path in ("jobs", "jobs/batch", "groups", "agent/enrol"):
        answer = cast.people["submitter"].ask(
            "POST", path, content=data, headers={"Content-Type": "application/json", "Idempotency-Key": "any"}
        )
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert_is_a_problem(answer.json())


@pytest.mark.parametrize("path", ["jobs/0", "jobs/99999999999999999999", "jobs/x", "groups/%00", "nothing", "sites/UP"])
def test_an_address_that_cannot_be_is_refused(cast: Cast, path: str) -> None:
    answer = cast.people["viewer"].ask("GET", path)
    assert answer.status_code in (400, 404)
    assert_is_a_problem(answer.json())


@given(st.text(max_size=40))
def test_any_cursor_is_taken_or_refused(cast: Cast, cursor: str) -> None:
    answer = cast.people["viewer"].ask("GET", "jobs", params={"cursor": cursor})
    assert answer.status_code in (200, 400)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(cast: Cast) -> None:
    answer = cast.people["submitter"].ask("POST", "jobs", content=b"x" * (17 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, "BodyTooLarge")


def test_health_readiness_and_metrics_answer(cast: Cast) -> None:
    server = cast.federation.server
    assert httpx.get(f"{server}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{server}/readyz").json() == {"status": "ready"}
    text = httpx.get(f"{server}/metrics").text
    assert "dure_http_requests_total" in text and 'dure_jobs{state="succeeded"}' in text


def test_a_post_without_a_key_is_refused_by_the_header_s_name(cast: Cast) -> None:
    headers = {"Authorization": f"Bearer {cast.people['submitter'].secret}"}
    answer = httpx.post(f"{cast.federation.server}/api/v1/jobs", json={}, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
