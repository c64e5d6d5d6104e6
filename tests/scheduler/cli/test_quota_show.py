"""`dure quota show`: what a group may use, what it used before, and what it lent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

ROW = {
    "group": "research", "gpu_class": "h100", "guaranteed": 8, "guaranteed_effective": 8, "limit": None,
    "borrowing_limit": None, "lending_limit": None, "weight": 1, "used": 2, "used_borrowed": 0, "fair_share": 8,
    "queued_gpus": 0, "past_use_gpus": 1.25, "standing_gpu_seconds": 7, "standing_gpus": 3.2501, "lent_gpus": 4.0,
    "surged_gpus": 0.7499, "lends_gpus": 6.0, "surges_gpus": 0.5, "etag": "7",
}  # fmt: skip


@pytest.mark.parametrize(("standing", "told"), [(3.2501, "+3.3"), (-0.8, "-0.8"), (-0.01, "+0.0"), (0.0, "+0.0")])
def test_it_shows_what_was_lent_less_what_was_surged(against: Callable[..., Any], standing: float, told: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [ROW | {"standing_gpus": standing}]})

    heading, line = against(answer, "quota", "show", "research").stdout.splitlines()
    assert dict(zip(heading.split(), line.split(), strict=True))["STANDING"] == told
    heading, line = against(answer, "quota", "show", "research", "-o", "wide").stdout.splitlines()
    wide = dict(zip(heading.split(), line.split(), strict=True))
    assert (wide["LENDS"], wide["SURGES"]) == ("6.0", "0.5")
