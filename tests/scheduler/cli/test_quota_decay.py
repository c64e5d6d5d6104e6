"""`dure quota decay`: shown without options, set with them against what was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

RULE = {"half_life_seconds": 604_800, "entry_seconds": 600, "etag": "7"}

Dure = Callable[..., Any]


@pytest.fixture
def sent() -> list[Any]:
    """What the server was asked to set, and against what."""
    return []


@pytest.fixture
def dure(against: Dure, sent: list[Any]) -> Dure:
    """Run it; the server has ``RULE``."""

    def run(*words: str, lang: str = "en") -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            assert request.url.path == "/api/v1/quotas/decay"
            if request.method == "GET":
                return httpx.Response(200, json=RULE)
            body = json.loads(request.content)
            sent.append((request.headers["If-Match"], body))
            return httpx.Response(200, json=RULE | {"half_life_seconds": 86_400, "etag": "8"})

        return against(answer, "quota", "decay", *words, lang=lang)

    return run


def test_without_options_it_shows_the_rule(dure: Dure, sent: list[Any]) -> None:
    done = dure("-o", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["items"] == [RULE] and sent == []


def test_what_is_not_named_stays_as_it_is(dure: Dure, sent: list[Any]) -> None:
    done = dure("--half-life", "1d", "--why", "shorter memory")
    assert done.exit_code == 0, done.output
    assert sent == [('"7"', {"half_life_seconds": "1d", "entry_seconds": 600, "why": "shorter memory"})]
    assert "86400" in done.stdout


@pytest.mark.parametrize(("lang", "text"), [("en", "How past use decays"), ("ko", "과거 사용이 줄어드는 방식")])
def test_its_help_is_in_both_languages(dure: Dure, lang: str, text: str) -> None:
    assert text in dure("--help", lang=lang).stdout
