"""`dure usage` and `dure site owed`: tables, and whole documents for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

ITEM = {"gpu_class": "h100", "gpu_seconds": 5_400.0, "credits": "3.0000", "runs": 2}
OWED = {"site": "company-1", "items": [ITEM], "total_credits": "3.0000"}
USAGE = {"group": "research", "items": [ITEM | {"gpu_seconds_lost": 900.0}], "total_credits": "3.0000"}


@pytest.fixture
def dure(against: Callable[..., Any]) -> Callable[..., str]:
    """A command over a server that has one document."""

    def run(path: str, document: Any, *words: str) -> str:
        def respond(request: httpx.Request) -> httpx.Response:
            assert request.url.path == f"/api/v1/{path}"
            return httpx.Response(200, json=document)

        done = against(respond, *words)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_a_lender_sees_hours_and_credits(dure: Callable[..., str]) -> None:
    shown = dure("sites/company-1/owed", OWED, "site", "owed", "company-1")
    assert [line.split() for line in shown.splitlines()] == [
        ["CLASS", "GPU-HOURS", "CREDITS", "RUNS"], ["h100", "1.50", "3.0000", "2"],
    ]  # fmt: skip
    assert json.loads(dure("sites/company-1/owed", OWED, "site", "owed", "company-1", "-o", "json")) == OWED


def test_a_group_sees_what_it_was_charged_and_what_it_lost(dure: Callable[..., str]) -> None:
    shown = dure("groups/research/usage", USAGE, "usage", "research")
    assert [line.split() for line in shown.splitlines()] == [
        ["CLASS", "GPU-HOURS", "LOST-GPU-HOURS", "CREDITS", "RUNS"], ["h100", "1.50", "0.25", "3.0000", "2"],
    ]  # fmt: skip
