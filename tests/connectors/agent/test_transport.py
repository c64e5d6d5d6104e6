"""Whatever a server answers: the agent takes it, tries again, or is told "no"; it never falls over it."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import httpx
import pytest
from example_count import examples
from fake_server import CREDENTIAL, FakeServer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.agent.transport import HttpTransport
from connectors.errors import ServerRefused, ServerUnavailable
from scheduler.model.wire import PROTOCOL_VERSION, SyncRequest, SyncResponse

REQUEST = SyncRequest(protocol=PROTOCOL_VERSION, agent="agent-1", sequence=1, complete=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("title", "detail", "lease_seconds", "start", "stop", "forget", "change", "contract")),
            inner,
        )
    ),
    max_leaves=10,
)
CONTENTS = st.one_of(st.binary(max_size=60), JSON.map(lambda each: json.dumps(each).encode()))
DEEP = b"[" * 200_000


@settings(max_examples=examples(80))
@given(st.sampled_from((200, 201, 302, 400, 401, 404, 409, 413, 422, 429, 500, 503)), CONTENTS)
@example(422, DEEP)
@example(503, b'["title"]')
@example(200, DEEP)
def test_any_answer_is_taken_or_told_as_no_or_as_not_now(status: int, content: bytes) -> None:
    transport = HttpTransport("http://server", verify=False)
    answers = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    transport._client = httpx.Client(base_url="http://server/api/v1/agent", transport=answers)
    try:
        answer = transport.sync(REQUEST, timeout_seconds=1)
    except (ServerUnavailable, ServerRefused) as told:
        assert str(told)
        assert status >= 300 or isinstance(told, ServerUnavailable)
    else:
        assert status < 300 and isinstance(answer, SyncResponse)
    finally:
        transport.close()


def test_a_no_is_told_in_the_server_s_words_in_both_languages() -> None:
    problem = {
        "title": "Not signed in",
        "detail": "It has expired.",
        "title_ko": "로그인",
        "detail_ko": "만료되었습니다.",
    }
    answers = httpx.MockTransport(lambda _: httpx.Response(401, json=problem))
    transport = HttpTransport("http://server", verify=False)
    transport._client = httpx.Client(base_url="http://server/api/v1/agent", transport=answers)
    with pytest.raises(ServerRefused) as told:
        transport.sync(REQUEST, timeout_seconds=1)
    transport.close()
    assert str(told.value) == "the server answered 401 to /api/v1/agent/sync: Not signed in It has expired."
    assert told.value.korean == "서버가 /api/v1/agent/sync에 401(으)로 답했습니다: 로그인 만료되었습니다."


def test_a_connection_that_comes_up_after_the_others_were_closed_is_closed_once_it_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, closed = threading.Event(), threading.Event()
    made: list[socket.socket] = []
    connect = socket.create_connection

    def connect_late(*args: Any, **values: Any) -> socket.socket:
        asked.set()
        assert closed.wait(20)
        made.append(connect(*args, **values))
        return made[0]

    monkeypatch.setattr(socket, "create_connection", connect_late)
    with FakeServer() as server:
        transport = HttpTransport(server.url)
        transport.use_credential(CREDENTIAL)
        answers: list[SyncResponse] = []
        thread = threading.Thread(target=lambda: answers.append(transport.sync(REQUEST, timeout_seconds=20)))
        thread.start()
        assert asked.wait(20)
        transport.close()
        closed.set()
        thread.join(20)
    assert len(answers) == 1
    assert made[0].fileno() == -1


@pytest.mark.parametrize("status", [429, 503])
def test_not_now_is_never_taken_for_no(status: int) -> None:
    transport = HttpTransport("http://server", verify=False)
    answers = httpx.MockTransport(lambda _: httpx.Response(status, json={"title": "later", "detail": "in a minute"}))
    transport._client = httpx.Client(base_url="http://server/api/v1/agent", transport=answers)
    with pytest.raises(ServerUnavailable, match="later in a minute"):
        transport.sync(REQUEST, timeout_seconds=1)
