"""Following a job ends with its end, with the server's "no", or with a word about the address: never with a fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from example_count import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.api.problem import problem_json, problem_of
from scheduler.cli.client import Client
from scheduler.cli.failure import EXIT_AUTHENTICATION, EXIT_NOT_FOUND, EXIT_TIMEOUT, CommandFailure
from scheduler.cli.follow import follow_job
from scheduler.cli.language import choose_language
from scheduler.cli.profile import Profile
from scheduler.model.reason import ReasonCode, refuse

END = {"id": 7, "state": "succeeded"}


def told(name: str, document: object) -> str:
    """An event as it comes over the wire."""
    return f"event: {name}\nid: 1:2:3\ndata: {json.dumps(document)}\n\n"


def followed(events: str) -> dict[str, Any]:
    """What following a job answers whose server tells ``events`` and then its end."""
    choose_language("en")
    whole = (events + "\n\n" + told("end", END)).encode("utf-8", "surrogatepass")
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=whole))
    return follow_job(Client(Profile(server="http://server", token="dure_x"), transport), 7, aside=True)


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        (ReasonCode.TOKEN_REVOKED, EXIT_AUTHENTICATION, "revoked"),
        (ReasonCode.TOKEN_EXPIRED, EXIT_AUTHENTICATION, "expired"),
        (ReasonCode.FORBIDDEN, EXIT_AUTHENTICATION, "viewer"),
        (ReasonCode.JOB_NOT_FOUND, EXIT_NOT_FOUND, "7"),
    ],
)
@pytest.mark.parametrize("words_of", [("logs", "7", "-f"), ("logs", "7", "-f", "-o", "json")], ids=str)
def test_whoever_may_see_the_job_no_more_is_told_why_and_by_the_exit_code(
    against: Callable[..., Any], code: ReasonCode, exit_code: int, words: str, words_of: tuple[str, ...]
) -> None:
    problem = problem_of(refuse(code, job=7, needed="viewer", where="research", expired_at="2026-11-26T00:00:00Z"))
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if not request.url.path.endswith("/stream"):
            return httpx.Response(200, json={"id": 7, "workers": 1, "state": "running"})
        data = told("log", {"text": "epoch 1\n"}).encode() + b"event: refused\ndata: " + problem_json(problem) + b"\n\n"
        return httpx.Response(200, content=data)

    done = against(answer, *words_of)
    assert done.exit_code == exit_code, done.output
    assert words in done.stderr
    assert "epoch 1" in done.output
    assert sum(path.endswith("/stream") for path in asked) == 1, "it is not asked again"


def test_what_no_federation_would_tell_is_taken_for_a_wrong_address() -> None:
    for name, document in (("state", []), ("log", {"text": 1}), ("end", {}), ("refused", {"detail": "no"})):
        with pytest.raises(CommandFailure, match="http://server") as failure:
            followed(told(name, document))
        assert failure.value.exit_code == EXIT_TIMEOUT


def test_odd_parts_of_what_is_told_hide_nothing_of_the_rest() -> None:
    assert followed(told("state", {"id": 7, "state": "running", "reason": "none"})) == END
    with pytest.raises(CommandFailure, match="revoked") as failure:
        followed(told("refused", {"status": 401, "detail": "revoked", "errors": 7}))
    assert failure.value.exit_code == EXIT_AUTHENTICATION
    with pytest.raises(CommandFailure, match="revoked"):
        followed(told("refused", {"status": 401, "detail": "revoked", "errors": ["x"]}))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("id", "state", "text", "status", "reason", "detail", "errors", "code")), inner
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(("state", "log", "end", "refused", "", "other"))
LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        NAMES.map("event: {}".format),
        PLAIN.map(lambda document: f"data: {json.dumps(document)}"),
        st.just(""),
    ),
    max_size=12,
)


@settings(max_examples=examples(60))
@given(LINES.map("\n".join) | st.tuples(NAMES, PLAIN).map(lambda each: told(*each)))
def test_whatever_is_told_following_ends_as_it_should(events: str) -> None:
    try:
        assert isinstance(followed(events)["state"], str)
    except CommandFailure as failure:
        assert failure.lines
