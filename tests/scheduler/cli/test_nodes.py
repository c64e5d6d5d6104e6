"""`dure site node` and `dure site show`: what is set aside since when and why, and the words that change it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

REASON = {"code": "NodeSetAside", "numbers": {}, "text": "Two runs failed there.", "text_ko": "실행 둘이 실패했습니다."}
ASIDE = {"since": "2026-11-25T19:12:00.000Z", "by": "scheduler", "reason": REASON}
NODE = {"name": "rack7-2", "pool": "p", "gpu_class": "h100", "gpus": 8, "healthy": True, "failures": 2, "incidents": 2}
BAD = NODE | {"people": 2, "set_aside": ASIDE}
SITE = {
    "name": "company-1", "state": "active", "reachable": True, "gpu_classes": [], "nodes": 2, "owner": "o",
    "csap": "none", "trust_domain": None, "heard_at": None, "state_reason": "", "lease_seconds": 30, "nodes_set_aside": 1,
}  # fmt: skip
EVENT = {
    "id": "7.0",
    "at": "2026-11-25T19:12:00.000Z",
    "kind": "node.set_aside",
    "actor": "scheduler",
    "why": "",
    "data": {},
}


@pytest.fixture
def asked() -> list[tuple[str, str, Any]]:
    """Method, address and body of every request."""
    return []


@pytest.fixture
def dure(against: Callable[..., Any], asked: list[tuple[str, str, Any]]) -> Callable[..., str]:
    """A command over a server with one site, one bad node and one event."""
    documents: dict[str, Any] = {
        "sites/company-1": SITE,
        "sites/company-1/runs": {"items": [], "next_cursor": None},
        "sites/company-1/nodes": {"items": [BAD], "next_cursor": None},
        "sites/company-1/events": {"items": [EVENT], "next_cursor": None},
        "sites/company-1/nodes/rack7-2/set-aside": BAD,
        "sites/company-1/nodes/rack7-2/return": BAD | {"set_aside": None},
    }

    def respond(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        asked.append((request.method, f"{path}?{request.url.query.decode()}", request.content))
        return httpx.Response(200, json=documents[path])

    def run(*words: str, korean: bool = False) -> str:
        done = against(respond, "site", *words, lang="ko" if korean else "en")
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_a_site_s_page_lists_what_is_set_aside_since_when_and_why(dure: Callable[..., str]) -> None:
    shown = dure("show", "company-1")
    assert "ASIDE-SINCE" in shown and "rack7-2" in shown and "Two runs failed there." in shown
    assert "실행 둘이 실패했습니다." in dure("show", "company-1", korean=True)
    assert json.loads(dure("show", "company-1", "-o", "json"))["set_aside"] == [BAD]


def test_nodes_are_listed_set_aside_and_given_back_with_a_reason(
    dure: Callable[..., str], asked: list[tuple[str, str, Any]]
) -> None:
    assert "11-26 04:12" in dure("node", "list", "company-1", "--aside")
    assert "aside=true" in asked[-1][1]
    dure("node", "set-aside", "company-1", "rack7-2", "--why", "fans")
    given_back = dure("node", "return", "company-1", "rack7-2", "--why", "new fans")
    assert given_back.splitlines()[1].split()[-2:] == ["-", "-"]
    method, path, body = asked[-1]
    assert (method, path.rstrip("?"), json.loads(body)["why"]) == (
        "POST", "sites/company-1/nodes/rack7-2/return", "new fans",
    )  # fmt: skip


def test_an_operator_reads_what_was_done_to_the_site(dure: Callable[..., str]) -> None:
    assert "node.set_aside" in dure("events", "company-1")
