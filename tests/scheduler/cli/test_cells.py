"""Cells on the command line: what is read of them, what is sent with a quota, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from scheduler.cli.failure import EXIT_USAGE

PATH = "/api/v1/groups/public/quota"
LEAVES = {"level": "leaf", "nodes": 4, "number": 2}
QUOTA = {
    "group": "public", "gpu_class": "h100", "guaranteed": 64, "guaranteed_effective": 64, "limit": None,
    "borrowing_limit": None, "lending_limit": None, "weight": 1, "used": 0, "used_borrowed": 0, "fair_share": 0,
    "queued_gpus": 0, "past_use_gpus": 0.0, "standing_gpus": 0.0, "lends_gpus": 0.0,
    "surges_gpus": 0.0, "cells": [LEAVES], "cells_effective": 1, "etag": "7",
}  # fmt: skip
Dure = Callable[..., Any]


@pytest.fixture
def sent() -> list[Any]:
    """The bodies of quotas that are set."""
    return []


@pytest.fixture
def dure(against: Dure, sent: list[Any]) -> Dure:
    """Run it; the server has ``QUOTA``."""

    def run(*words: str, lang: str = "en") -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(200, json={"group": "public", "items": [QUOTA]})
            sent.append(json.loads(request.content))
            return httpx.Response(200, json=QUOTA)

        return against(answer, "quota", *words, lang=lang)

    return run


@pytest.mark.parametrize(
    ("options", "cells"),
    [
        ((), [LEAVES]),
        (("--cell", "leaf:4=2", "--cell", "node=8"), [LEAVES, {"level": "node", "nodes": 1, "number": 8}]),
        (("--cell", "spine:16=1"), [{"level": "spine", "nodes": 16, "number": 1}]),
        (("--cell", "none"), None),
        (("--cell", "leaf:4=0"), None),
    ],
)
def test_cells_are_replaced_as_a_whole_and_stay_where_none_is_named(
    dure: Dure, sent: list[Any], options: tuple[str, ...], cells: list[Any] | None
) -> None:
    done = dure("set", "public", "h100", *options)
    assert done.exit_code == 0, done.output
    assert sent[0].get("cells") == cells


@pytest.mark.parametrize("text", ["leaf=2", "leaf:4", "row:4=2", "leaf:x=2", "4=2"])
def test_what_is_no_cell_is_told_with_its_mend_and_never_sent(dure: Dure, sent: list[Any], text: str) -> None:
    done = dure("set", "public", "h100", "--cell", text)
    assert done.exit_code == EXIT_USAGE and sent == []
    assert "leaf:4=2" in done.stderr


def test_cells_are_shown_with_how_many_of_them_can_be_held(dure: Dure) -> None:
    heading, line = dure("show", "public").stdout.splitlines()
    assert "CELLS-EFFECTIVE" in heading
    assert line.split()[line.split().index("leaf:4=2") + 1] == "1"
