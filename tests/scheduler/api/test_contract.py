"""The whole API against its own document: whatever is sent, no fault, and every answer as documented."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from live_federation import Person, ask_once
from problems import assert_is_a_problem
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.scheduler.api.conftest import Cast, make_cast

#: These do not end by themselves, or wait for news: only that they are judged is looked at.
NEVER_ENDING = re.compile("(/stream|/agent/sync)$")


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """A federation of its own: whoever walks through it as an administrator leaves nothing as it was."""
    with make_cast(tmp_path_factory.mktemp("contract")) as made:
        yield made


@pytest.mark.parametrize("name", ["administrator", "submitter", "operator"])
def test_every_operation_answers_as_documented(cast: Cast, name: str) -> None:
    administrator = cast.federation.administrator
    # A token of its own, made anew where the walk took it or its role away: one token lost must not hush the rest.
    spared = range(newest_token(cast) + 1)
    mine = fresh_person(cast, name)
    schema = schemathesis.openapi.from_url(f"{cast.federation.server}/api/v1/openapi.json")
    walked = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if NEVER_ENDING.search(operation.path):
            continue
        walked += 1
        if mine.ask("GET", "whoami").status_code != httpx.codes.OK:
            mine = fresh_person(cast, name)
        walk(operation, mine.secret, spared)
    assert walked > 40
    assert administrator.ask("GET", "whoami").status_code == httpx.codes.OK, "the walk spared who watches it"


def newest_token(cast: Cast) -> int:
    """The number of a token that is made now: every other one has a lower."""
    return int(cast.federation.administrator.post("tokens", {"name": "mark", "scopes": ["read"]})["id"])


def walk(operation: Any, secret: str, spared: range) -> None:
    """Send an operation whatever its document allows, and what it does not; but revoke none of the ``spared`` tokens."""
    headers = {"Authorization": f"Bearer {secret}"}
    checks = [not_a_server_error, status_code_conformance, content_type_conformance]

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def answers(case: schemathesis.Case) -> None:
        named = str(case.path_parameters.get("token", ""))
        assume(not (case.method == "DELETE" and named.isdecimal() and int(named) in spared))
        response = case.call(headers=headers, timeout=30)
        case.validate_response(response, checks=checks)
        if response.status_code >= 400 and response.content:
            assert_is_a_problem(response.json())

    answers()


def fresh_person(cast: Cast, name: str) -> Person:
    """Somebody new of that role, with a token of their own."""
    person = f"walker-{name}-{secrets.token_hex(4)}"
    roles = {"administrator": {"federation": "administrator"}, "submitter": {cast.own: "submitter"}, "operator": {}}
    if name == "operator":
        cast.federation.administrator.post("sites/site-1/operators", {"person": person})
    return cast.federation.person(person, roles[name])


TIMES = st.sampled_from(["", "0", "-1", "x", "9" * 30, "\x00"])


@given(st.sampled_from(["0", "x", "1", "999999", "9" * 30]), st.dictionaries(st.sampled_from(["rank", "log"]), TIMES))
def test_what_a_stream_cannot_be_of_is_refused(cast: Cast, job: str, query: dict[str, str]) -> None:
    viewer = cast.people["foreigner"]
    answer = viewer.ask("GET", f"jobs/{job}/stream", params=query, headers={"Last-Event-ID": "x"})
    assert 400 <= answer.status_code < 500, answer.text
    assert_is_a_problem(answer.json())


@given(st.data())
def test_a_sync_that_is_no_agent_s_or_no_request_is_refused(cast: Cast, data: st.DataObject) -> None:
    document = data.draw(st.dictionaries(st.sampled_from(["protocol", "agent", "runs", "capacity"]), JSON) | JSON)
    answer = cast.people["administrator"].ask("POST", "agent/sync", json=document)
    assert 400 <= answer.status_code < 500, answer.text
    assert_is_a_problem(answer.json())


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


@pytest.mark.parametrize("path", ["jobs", "groups", "tokens"])
def test_a_body_without_a_length_that_goes_on_too_long_is_refused_as_too_large(cast: Cast, path: str) -> None:
    parts = (b"x" * (1 << 20) for _ in range(17))
    answer = cast.people["submitter"].ask("POST", path, content=parts, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "BodyTooLarge")


def test_the_api_and_a_page_beside_it_are_counted_apart(cast: Cast) -> None:
    server, reader = cast.federation.server, cast.people["reader"]
    reader.get(f"jobs/{cast.job}")
    ask_once("GET", f"{server}/jobs/{cast.job}", cookies={"dure_session": reader.secret})
    counted = ask_once("GET", f"{server}/metrics").text
    for route in ("/api/v1/jobs/{job}", "/jobs/{job}"):
        assert f'dure_http_requests_total{{method="GET",route="{route}",status="200"}}' in counted


def test_health_readiness_and_metrics_answer(cast: Cast) -> None:
    server = cast.federation.server
    assert ask_once("GET", f"{server}/healthz").json() == {"status": "ok"}
    assert ask_once("GET", f"{server}/readyz").json() == {"status": "ready"}
    text = ask_once("GET", f"{server}/metrics").text
    assert "dure_http_requests_total" in text and 'dure_jobs{state="succeeded"}' in text


def test_a_post_without_a_key_is_refused_by_the_header_s_name(cast: Cast) -> None:
    headers = {"Authorization": f"Bearer {cast.people['submitter'].secret}"}
    answer = ask_once("POST", f"{cast.federation.server}/api/v1/jobs", json={}, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
