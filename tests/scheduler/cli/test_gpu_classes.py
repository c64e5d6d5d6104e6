"""`dure gpu-class`: the exchange table as it is read and set."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from scheduler.cli.failure import EXIT_USAGE

ROW = {
    "name": "b200",
    "valid_from": "2026-11-24T03:00:00.000Z",
    "credit_numerator": 3,
    "credit_denominator": 2,
    "speed": 1.4,
}

Dure = Callable[..., Any]


@pytest.fixture
def sent() -> list[Any]:
    """What the server was asked: (method and path, body)."""
    return []


@pytest.fixture
def dure(against: Dure, sent: list[Any]) -> Dure:
    """Run it; the server has one row, and takes another."""

    def run(*words: str, lang: str = "en") -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content) if request.content else None
            sent.append((f"{request.method} {request.url.path.removeprefix('/api/v1/')}", body))
            return httpx.Response(200, json={"items": [ROW], "next_cursor": None} if body is None else ROW)

        return against(answer, "gpu-class", *words, lang=lang)

    return run


def test_the_table_is_listed_with_rates_as_fractions_and_dates_and_with_speeds(dure: Dure) -> None:
    done = dure("list")
    assert done.exit_code == 0, done.output
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["CLASS", "CREDITS", "FROM", "SPEED"],
        ["b200", "3/2", "2026-11-24", "12:00:00", "KST", "1.4"],
    ]
    assert dure("list", "-o", "name").stdout == "b200\n"


@pytest.mark.parametrize("text", ["1.5", "3/2", " 6/4 "])
def test_a_rate_is_sent_as_a_fraction_from_when_it_says(dure: Dure, sent: list[Any], text: str) -> None:
    rate = {"credit_numerator": 3, "credit_denominator": 2, "why": "table of 2027"}
    assert dure("set", "b200", text, "--why", "table of 2027").exit_code == 0
    assert dure("set", "b200", text, "--why", "table of 2027", "--from", "2027-01-01T00:00").exit_code == 0
    assert sent == [
        ("PUT gpu-classes/b200", rate),
        ("PUT gpu-classes/b200", rate | {"valid_from": "2027-01-01T00:00:00+09:00"}),
    ]


@pytest.mark.parametrize("text", ["much", "1/0", "-1", "inf", "1e9", "0.0000001", ""])
def test_what_is_no_rate_is_refused_and_never_sent(dure: Dure, sent: list[Any], text: str) -> None:
    for lang, words in (("en", "is no number of credits"), ("ko", "크레딧 수가 아닙니다")):
        done = dure("set", "--", "b200", text, lang=lang)
        assert done.exit_code == EXIT_USAGE and words in done.stderr
    assert sent == []


def test_a_speed_is_sent_alone_or_beside_a_rate_and_taken_back(dure: Dure, sent: list[Any]) -> None:
    for words in (("--speed", "1.4"), ("3/2", "--speed", "1.4"), ("--speed", "none")):
        assert dure("set", "b200", *words, "--why", "measured").exit_code == 0
    rate = {"credit_numerator": 3, "credit_denominator": 2}
    assert [body for _, body in sent] == [
        {"why": "measured", "speed": 1.4},
        {"why": "measured", "speed": 1.4, **rate},
        {"why": "measured", "speed": None},
    ]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "abc", "1e9", "0.0009", "1000.1", "5/4", ""])
def test_what_is_no_speed_is_refused_with_its_field_and_never_sent(dure: Dure, sent: list[Any], text: str) -> None:
    for lang, words in (("en", "is no speed: write a number like 1.4"), ("ko", "속도가 아닙니다")):
        done = dure("set", "b200", "3/2", "--speed", text, lang=lang)
        assert done.exit_code == EXIT_USAGE and f"--speed {text!r}" in done.stderr and words in done.stderr
    assert sent == []


@pytest.mark.parametrize("words", [(), ("--speed", "1.4", "--from", "2h")])
def test_what_sets_nothing_or_dates_a_speed_is_refused(dure: Dure, sent: list[Any], words: tuple[str, ...]) -> None:
    for lang, told in (("en", "credits" if words else "worth"), ("ko", "크레딧")):
        done = dure("set", "b200", *words, lang=lang)
        assert done.exit_code == EXIT_USAGE and told in done.stderr
    assert sent == []
