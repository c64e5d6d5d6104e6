"""`dure certificate`: the sentence, a table of classes, a table of prices; the whole document for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

TOTAL = {
    "jobs": 3,
    "mean_completion_seconds": 11_040.0,
    "mean_completion_lower_bound_seconds": 9_815.0,
    "within_percent": 12.5,
}
MADE: dict[str, Any] = {
    "report": {"code": "CertificateStands", "numbers": {}, "text": "Within 12.5 %.", "text_ko": "12.5 % 이내."},
    "made_at": "2026-11-24T03:00:00.000Z",
    "since": "2026-11-17T03:00:00.000Z",
    "total": TOTAL,
    "classes": [TOTAL | {"gpu_class": "h100"}],
    "left_out": 2,
    "prices": [{"gpu_class": "h100", "site": "site-1", "hours_saved": 4.26}],
    "waiting": 9,
    "waiting_without_time": 1,
    "no_prices": None,
}
NONE_YET = {"text": "Unknown: not yet.", "text_ko": "알 수 없음: 아직."}
NOT_MADE = dict.fromkeys(MADE) | {"report": NONE_YET, "classes": [], "prices": [], "no_prices": NONE_YET}


@pytest.fixture
def dure(against: Callable[..., Any]) -> Callable[..., str]:
    """The command over a server that has one document; what it writes, standard error included."""

    def run(document: Any, *words: str, lang: str = "en") -> str:
        def respond(request: httpx.Request) -> httpx.Response:
            assert request.url.path == "/api/v1/certificate"
            return httpx.Response(200, json=document)

        done = against(respond, "certificate", *words, lang=lang)
        assert done.exit_code == 0, done.output
        return str(done.output)

    return run


def test_the_sentence_stands_above_classes_and_prices(dure: Callable[..., str]) -> None:
    lines = dure(MADE).splitlines()
    assert lines[0] == "Within 12.5 %."
    assert [line.split() for line in lines[1:7]] == [
        [],
        ["CLASS", "JOBS", "MEAN-COMPLETION", "AT-LEAST", "WITHIN"],
        ["h100", "3", "3h04m", "2h43m", "12.5%"],
        [],
        ["CLASS", "SITE", "HOURS-SAVED"],
        ["h100", "site-1", "4.3"],
    ]
    assert "2026-11-24 12:00:00 KST. Left out: 2 jobs that succeeded, 1 that wait." in lines[-1]
    assert dure(MADE, lang="ko").splitlines()[0] == "12.5 % 이내."


def test_what_takes_seconds_is_told_to_a_tenth(dure: Callable[..., str]) -> None:
    quick = MADE["classes"][0] | {"mean_completion_seconds": 2.98, "mean_completion_lower_bound_seconds": 2.49}
    assert ["h100", "3", "3.0s", "2.5s", "12.5%"] in [
        line.split() for line in dure(MADE | {"classes": [quick]}).splitlines()
    ]


def test_what_is_not_known_is_said_and_nothing_else(dure: Callable[..., str]) -> None:
    assert dure(NOT_MADE) == "Unknown: not yet.\n"
    many = {"text": "Unknown: too many wait.", "text_ko": "알 수 없음: 너무 많음."}
    lines = dure(MADE | {"prices": [], "no_prices": many}).splitlines()
    assert "Unknown: too many wait." in lines
    assert not any("HOURS-SAVED" in line for line in lines)


def test_scripts_have_the_document_and_the_names_of_classes(dure: Callable[..., str]) -> None:
    assert json.loads(dure(MADE, "-o", "json")) == MADE
    assert dure(MADE, "-o", "name") == "h100\n"
