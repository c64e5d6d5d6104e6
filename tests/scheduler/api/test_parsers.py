"""Whatever stands in a header, a query, a cursor or a form: never a fault, and a refusal that names what to mend."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from live_federation import ask_once
from problems import assert_is_a_problem, assert_refuses

from scheduler.portal.session import form_value
from tests.scheduler.api.conftest import Cast

#: Bytes that a header's value may be made of; what else there is no server ever sees.
HEADER = st.binary(max_size=80).map(lambda raw: bytes(each for each in raw if each >= 0x20 and each != 0x7F).strip())
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
NUMBERS = st.one_of(
    st.integers(), st.sampled_from((-1, 0, 2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, 10**18, 10**25))
)
LISTS = (
    ("jobs", int), ("groups", str), ("sites", str), ("tokens", int), ("gpu-classes", int), ("events", int),
    ("sites/site-1/runs", int), ("groups/research.university.vision/members", int),
)  # fmt: skip


def get(cast: Cast, path: str, headers: Mapping[str, bytes], who: str = "administrator") -> httpx.Response:
    secret = cast.people[who].secret.encode()
    with_token = {"Authorization": b"Bearer " + secret, **headers}
    return ask_once("GET", f"{cast.federation.server}/api/v1/{path}", headers=with_token)


@given(st.sampled_from((b"", b"Bearer ", b"bearer ", b"Basic ", b"Bearer dure_", b"Bearer\t")), HEADER)
@example(b"Bearer ", b"")
@example(b"Bearer ", "토큰".encode())
def test_any_token_that_is_nobody_s_is_refused_as_one(cast: Cast, scheme: bytes, rest: bytes) -> None:
    answer = get(cast, "whoami", {"Authorization": (scheme + rest).strip()})
    assert_refuses(answer, 401)
    assert answer.json()["code"] == "Unauthenticated"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@given(HEADER)
def test_a_token_with_anything_around_it_is_not_the_token(cast: Cast, rest: bytes) -> None:
    secret = cast.people["viewer"].secret.encode()
    for given_ in (secret + b"x" + rest, b"x" + rest + secret, secret[:-1], secret.upper()):
        assert get(cast, "whoami", {"Authorization": b"Bearer " + given_}).status_code == 401


@given(HEADER, st.sampled_from(("If-Match", "If-None-Match")))
@example(b'"9999999999999999999"', "If-Match")
@example(b'W/"1"', "If-Match")
@example(b"*", "If-Match")
@example("１".encode(), "If-Match")
def test_any_precondition_is_kept_or_refused_by_its_name(cast: Cast, value: bytes, name: str) -> None:
    if name == "If-None-Match" and value == b"*":
        return
    path = f"{cast.federation.server}/api/v1/groups/{cast.own}/quota/gb200"
    headers = {"Authorization": f"Bearer {cast.federation.administrator.secret}".encode(), name: value}
    answer = ask_once("PUT", path, json={"weight": 2}, headers=headers)
    if answer.status_code == 412:
        assert_is_a_problem(answer.json())
        assert answer.json()["code"] == "EtagMismatch"
    else:
        assert answer.status_code in (400, 428)
        assert [error["field"].lower() for error in answer.json()["errors"]] in (["if-match"], [name.lower()])
        assert_is_a_problem(answer.json())


@given(st.one_of(HEADER, st.lists(NUMBERS, min_size=3, max_size=3).map(lambda each: ":".join(map(str, each)).encode())))
@example("١:٢:٣".encode())
@example(b"1:1:999999999999999999")
def test_a_stream_goes_on_from_any_event_id_to_its_end(cast: Cast, event_id: bytes) -> None:
    answer = get(cast, f"jobs/{cast.job}/stream", {"Last-Event-ID": event_id})
    if len(event_id) > 80:
        assert_refuses(answer, 400, "last-event-id")
        return
    assert answer.status_code == 200
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names[-1] == "end" and names.count("end") == 1
    portal = ask_once(
        "GET",
        f"{cast.federation.server}/jobs/{cast.job}/live",
        headers={"Last-Event-ID": event_id},
        cookies={"dure_session": cast.people["viewer"].secret},
    )
    assert portal.status_code == 200
    assert portal.text.endswith("event: end\ndata: end\n\n")


PARTS = st.one_of(
    NUMBERS, TEXT, st.booleans(), st.none(), st.floats(allow_nan=False), st.lists(st.integers(), max_size=2)
)


@given(st.sampled_from(LISTS), st.one_of(PARTS, st.lists(PARTS, max_size=3), st.dictionaries(TEXT, PARTS, max_size=2)))
@example(("jobs", int), [2**62])
@example(("jobs", int), [True])
@example(("sites", str), ["\0"])
def test_a_cursor_that_no_page_gave_is_refused_and_one_that_could_have_been_is_taken(
    cast: Cast, listed: tuple[str, type], content: Any
) -> None:
    path, kind = listed
    cursor = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    answer = cast.federation.administrator.ask("GET", path, params={"cursor": cursor})
    single = content[0] if isinstance(content, list) and len(content) == 1 else None
    good = type(single) is kind and (kind is str or 0 <= single < 2**62)
    if good and len(cursor) <= 256:
        assert answer.status_code == 200, answer.text
    else:
        assert_refuses(answer, 400, "cursor")


@given(TEXT)
@example("=")
@example("a" * 257)
@example("-_" * 20)
def test_any_text_as_a_cursor_is_taken_or_refused_by_its_name(cast: Cast, cursor: str) -> None:
    for path, _ in LISTS:
        answer = cast.federation.administrator.ask("GET", path, params={"cursor": cursor})
        if answer.status_code != 200:
            assert_refuses(answer, 400, "cursor")


QUERIES = (
    ("jobs", "limit"), ("jobs", "mine"), ("jobs", "state"), ("jobs", "group"), ("tokens", "person"),
    ("events", "group"), ("gpus", "group"), ("jobs/{job}/log", "rank"), ("jobs/{job}/log", "run"),
    ("jobs/{job}/log", "offset"), ("jobs/{job}/log", "limit"), ("jobs/{job}/stream", "rank"), ("jobs/{job}/stream", "log"),
)  # fmt: skip


@pytest.mark.parametrize(("path", "name"), QUERIES)
def test_any_value_of_a_query_is_taken_or_refused_by_its_name(cast: Cast, path: str, name: str) -> None:
    @given(st.one_of(TEXT, NUMBERS.map(str)))
    @example("\0")
    @example("-1")
    @example("１")
    @example("1e3")
    def holds(value: str) -> None:
        answer = cast.federation.administrator.ask("GET", path.format(job=cast.job), params={name: value})
        if answer.status_code == 200:
            return
        assert answer.status_code in (400, 404), answer.text
        assert_is_a_problem(answer.json())
        assert answer.status_code == 404 or {each["field"].split(".")[0] for each in answer.json()["errors"]} == {name}

    holds()


@given(HEADER)
def test_any_idempotency_key_is_taken_or_refused_by_its_name(cast: Cast, key: bytes) -> None:
    headers = {"Authorization": f"Bearer {cast.federation.administrator.secret}".encode(), "Idempotency-Key": key}
    for path, body in (("jobs", {}), ("groups", {"parent": "nobody", "name": "x"})):
        answer = ask_once("POST", f"{cast.federation.server}/api/v1/{path}", json=body, headers=headers)
        assert 400 <= answer.status_code < 500, answer.text
        assert_is_a_problem(answer.json())
        if not key or not all(0x21 <= each <= 0x7E for each in key):
            assert "idempotency-key" in {error["field"].lower() for error in answer.json()["errors"]}


FORMS = st.dictionaries(st.sampled_from(("token", "next", "form", "language", "other")), TEXT, max_size=5)
ROUTES = ("sign-in", "sign-out", "language", "jobs/{job}/cancel", "jobs/{job}/explode", "jobs/x/hold", "jobs/0/hold")


def is_page(answer: httpx.Response) -> None:
    """A page for people, or the way to another one of this server's; no fault and nothing of our insides."""
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    if answer.status_code == 303:
        location = answer.headers["Location"]
        assert location.startswith("/") and not location.startswith(("//", "/\\"))
    else:
        assert answer.status_code >= 400
        assert answer.text


@given(st.sampled_from(ROUTES), FORMS, st.booleans(), st.booleans())
@example("sign-in", {"token": "토큰", "next": "//elsewhere"}, False, False)
@example("sign-in", {"token": "\0" * 3}, False, False)
@example("language", {"language": "ko", "next": "/\\elsewhere"}, True, True)
@example("language", {"language": "ko", "next": "https://elsewhere"}, True, False)
def test_any_form_of_the_portal_is_answered_with_a_page(
    cast: Cast, route: str, form: dict[str, str], signed_in: bool, own: bool
) -> None:
    secret = cast.people["viewer"].secret
    sent = form | ({"form": form_value(secret)} if own else {})
    answer = ask_once(
        "POST",
        f"{cast.federation.server}/{route.format(job=cast.job)}",
        data=sent,
        cookies={"dure_session": secret} if signed_in else {},
    )
    is_page(answer)
    if route.startswith("jobs") and not signed_in and answer.status_code == 303:
        assert answer.headers["Location"].startswith("/sign-in")


FORM = "application/x-www-form-urlencoded"
PARTS_OF_X = "multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="token"; filename="f"\r\n\r\na\r\n--x--\r\n'
KINDS = (FORM, PARTS_OF_X, "multipart/form-data", "text/plain", "")


@given(st.sampled_from(ROUTES), st.binary(max_size=120), st.sampled_from(KINDS))
@example("sign-in", b"token=%ff%00&next=%", FORM)
@example("sign-in", FILE, PARTS_OF_X)
def test_any_bytes_as_a_form_are_answered_with_a_page(cast: Cast, route: str, data: bytes, kind: str) -> None:
    answer = ask_once(
        "POST",
        f"{cast.federation.server}/{route.format(job=cast.job)}",
        content=data,
        headers={"Content-Type": kind} if kind else {},
        cookies={"dure_session": cast.people["viewer"].secret},
    )
    is_page(answer)


@given(HEADER)
def test_any_cookie_is_somebody_s_or_leads_to_signing_in(cast: Cast, value: bytes) -> None:
    for name in (b"dure_session", b"dure_language"):
        answer = ask_once("GET", f"{cast.federation.server}/", headers={"Cookie": name + b"=" + value})
        assert (answer.status_code, answer.headers["Location"][:8]) == (303, "/sign-in")


@given(st.sampled_from(("next", "all", "ended", "before", "other")), TEXT)
def test_any_query_of_a_page_is_answered_with_a_page(cast: Cast, name: str, value: str) -> None:
    for path in ("sign-in", ""):
        cookies = {"dure_session": cast.people["viewer"].secret}
        answer = ask_once("GET", f"{cast.federation.server}/{path}", params={name: value}, cookies=cookies)
        assert answer.status_code < 500 and answer.text and "Traceback" not in answer.text
