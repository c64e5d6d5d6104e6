"""Estimates over HTTP: asked for, and null where nobody asked or nothing waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from application import application_over
from runtime import Stage, make_runtime, runs_now

from scheduler.bootstrap import first_administrator
from scheduler.clock import ManualClock
from scheduler.service.time_text import time_text


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    clock = ManualClock()
    with make_runtime(tmp_path, clock) as runtime:
        yield Stage(runtime, clock)


@pytest.fixture
def waits(stage: Stage) -> tuple[int, int]:
    """A job that runs for an hour, and one that waits for it."""
    agent = stage.agent(gpus=2)
    first, second = stage.submit(stage.group(), 2, gpus_per_worker=2, walltime="1h")
    stage.turn()
    agent.sync(runs_now(stage.run(first), stage.clock.now_ms()))
    return first, second


@pytest.fixture
def ask(stage: Stage) -> Any:
    """GET, as an administrator."""
    app = application_over(stage.runtime)
    headers = {"Authorization": f"Bearer {first_administrator(stage.runtime, 'administrator')}"}

    async def answer_to(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dure/api/v1/", headers=headers) as client:
            return await client.get(path)

    def get(path: str) -> Any:
        answer = asyncio.run(answer_to(path))
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


def test_a_list_with_estimates_tells_them_of_what_waits_and_a_list_without_tells_none(
    stage: Stage, waits: tuple[int, int], ask: Any
) -> None:
    running, waiting = waits
    told = {job["id"]: job["eta"] for job in ask("jobs?eta=true")["items"]}
    assert told[running] is None
    assert told[waiting]["start_at"] == time_text(stage.clock.now_ms() + 3_600_000)
    assert told[waiting]["made_at"] == time_text(stage.clock.now_ms())
    assert told[waiting]["reason"]["code"] == "EtaByWalltimes"
    assert told[waiting]["reason"]["numbers"] == {"runs": 1}
    assert told[waiting]["reason"]["text"].startswith("An estimate by the walltimes of 1 run(s)")
    assert [job["eta"] for job in ask("jobs")["items"]] == [None, None]


def test_a_job_is_shown_with_an_estimate_when_asked_for_and_why_always_has_one(
    waits: tuple[int, int], ask: Any
) -> None:
    running, waiting = waits
    assert ask(f"jobs/{waiting}")["eta"] is None
    shown = ask(f"jobs/{waiting}?eta=true")["eta"]
    assert shown is not None
    assert shown == ask(f"jobs/{waiting}/why")["eta"]
    assert ask(f"jobs/{running}/why")["eta"] is None
