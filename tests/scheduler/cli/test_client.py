"""The client over a server that answers what a real one does not do on demand."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import httpx
import pytest

from scheduler.cli.address import path_of
from scheduler.cli.client import Client
from scheduler.cli.failure import (
    EXIT_AUTHENTICATION,
    EXIT_CONFLICT,
    EXIT_NOT_FOUND,
    EXIT_REFUSED,
    EXIT_TIMEOUT,
    EXIT_USAGE,
    CommandFailure,
)
from scheduler.cli.language import choose_language
from scheduler.cli.profile import Profile

PROFILE = Profile(server="http://server", token="dure_x")


def client_over(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client(PROFILE, httpx.MockTransport(answer))


@pytest.fixture(autouse=True)
def english() -> None:
    choose_language("en")


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [
        (400, EXIT_USAGE),
        (401, EXIT_AUTHENTICATION),
        (403, EXIT_AUTHENTICATION),
        (404, EXIT_NOT_FOUND),
        (409, EXIT_CONFLICT),
        (412, EXIT_CONFLICT),
        (422, EXIT_REFUSED),
    ],
)
def test_each_kind_of_no_has_its_exit_code_and_its_words(status: int, exit_code: int) -> None:
    problem = {"detail": "no, because of 3 of 2", "detail_ko": "안 됩니다"}
    with pytest.raises(CommandFailure, match="because of 3 of 2") as failure:
        client_over(lambda _: httpx.Response(status, json=problem)).get("jobs")
    assert failure.value.exit_code == exit_code


def test_the_words_are_korean_for_those_who_read_it() -> None:
    choose_language("ko")
    with pytest.raises(CommandFailure, match="안 됩니다"):
        client_over(lambda _: httpx.Response(422, json={"detail": "no", "detail_ko": "안 됩니다"})).get("jobs")


def test_a_post_is_repeated_under_the_same_key_until_it_is_answered() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) < 3:
            return httpx.Response(503, headers={"Retry-After": "0"})
        return httpx.Response(201, json={"id": 1})

    assert client_over(answer).post("jobs", {}) == {"id": 1}
    assert len(keys) == 3 and len(set(keys)) == 1


def test_a_server_out_of_reach_is_told_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(CommandFailure, match="http://server") as failure:
        client_over(refuse).get("jobs")
    assert failure.value.exit_code == EXIT_TIMEOUT
    assert len(waited) > 1 and all(later == 2 * before for before, later in pairwise(waited))


def test_pages_are_followed_to_the_end_or_the_limit() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("cursor", "0"))
        items = [{"id": number} for number in range(start, start + 2)]
        return httpx.Response(200, json={"items": items, "next_cursor": str(start + 2) if start < 4 else None})

    assert [each["id"] for each in client_over(answer).pages("jobs")] == [0, 1, 2, 3, 4, 5]
    assert [each["id"] for each in client_over(answer).pages("jobs", 3)] == [0, 1, 2]


def test_a_stream_is_read_event_by_event_and_resumed_from_the_last() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Last-Event-ID"] == "7:1:0"
        text = ': heartbeat\n\nevent: state\nid: 8:1:0\ndata: {"state":\ndata: "running"}\n\n'
        return httpx.Response(200, text=text)

    (event,) = client_over(answer).stream("jobs/1/stream", "7:1:0")
    assert (event.name, event.id) == ("state", "8:1:0")
    assert json.loads(event.data) == {"state": "running"}


def test_nobody_is_signed_in_without_a_token() -> None:
    with pytest.raises(CommandFailure, match="dure login") as failure:
        Client(Profile(server="http://server", token=None))
    assert failure.value.exit_code == EXIT_AUTHENTICATION


@pytest.mark.parametrize("name", ["kim#2", "startup?x=1", "a/b", "100%", "김 하나", "a;b&c", "kim%232"])
def test_a_name_stays_one_part_of_the_address_whatever_is_in_it(name: str) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(204)

    client_over(answer).delete(path_of("groups", "research", "members", name), role="viewer")
    assert asked[0].raw_path.decode().count("/") == 6
    assert asked[0].path == f"/api/v1/groups/research/members/{name}"
    assert dict(asked[0].params) == {"role": "viewer"}


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_is_no_name_is_never_asked_for(name: str) -> None:
    with pytest.raises(CommandFailure) as failure:
        path_of("groups", name)
    assert failure.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("status", [301, 304, 307])
def test_a_redirection_is_not_taken_for_done(status: int) -> None:
    redirect = httpx.Response(status, headers={"Location": "http://server/elsewhere"})
    with pytest.raises(CommandFailure) as failure:
        client_over(lambda _: redirect).delete("tokens/1")
    assert failure.value.exit_code == EXIT_TIMEOUT


@pytest.mark.parametrize("token", ["한글", "dure x", "dure_x\n"])
def test_what_is_no_token_is_told_before_it_is_sent(token: str) -> None:
    with pytest.raises(CommandFailure, match="DURE_TOKEN") as failure:
        Client(Profile(server="http://server", token=token))
    assert failure.value.exit_code == EXIT_AUTHENTICATION


@pytest.mark.parametrize("server", ["http://[::1", "http://a:port"])
def test_what_is_no_address_is_told(server: str) -> None:
    with pytest.raises(CommandFailure, match="no address") as failure:
        Client(Profile(server=server, token="dure_x"))
    assert failure.value.exit_code == EXIT_USAGE


def test_another_server_s_page_is_not_taken_for_an_answer() -> None:
    page = httpx.Response(200, html="<html>hello</html>")
    with pytest.raises(CommandFailure, match="http://server") as failure:
        client_over(lambda _: page).get("whoami")
    assert failure.value.exit_code == EXIT_TIMEOUT
