"""How often one token may ask: exactly as often as is set, and again as soon as it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from application import application_over
from problems import assert_refuses
from runtime import SETTINGS, make_runtime

from scheduler.bootstrap import first_administrator
from scheduler.clock import ManualClock
from scheduler.service.runtime import Runtime

#: One request in two and a half seconds, four at once.
SLOW = replace(SETTINGS, rate_per_second=0.4, rate_burst=4)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test turns."""
    return ManualClock()


@pytest.fixture
def runtime(tmp_path: Path, clock: ManualClock) -> Iterator[Runtime]:
    """A process that lets nobody hurry."""
    with make_runtime(tmp_path, clock, settings=SLOW) as made:
        yield made


class Asker:
    """Somebody with a token of their own."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self._headers = {"Authorization": f"Bearer {first_administrator(runtime, name)}"}
        self._transport = httpx.ASGITransport(application_over(runtime))

    def ask(self) -> httpx.Response:
        """One request."""

        async def answer() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://server") as client:
                return await client.get("/api/v1/whoami", headers=self._headers)

        return asyncio.run(answer())


def test_as_many_pass_as_are_set_and_the_next_is_told_when_to_come_back(runtime: Runtime) -> None:
    asker = Asker(runtime, "administrator")
    assert [asker.ask().status_code for _ in range(4)] == [200] * 4
    refused = asker.ask()
    assert_refuses(refused, 429)
    assert (refused.json()["code"], refused.json()["numbers"]["retry_after_seconds"]) == ("RateLimited", 2.5)
    assert refused.headers["Retry-After"] == "3"


def test_who_waits_as_long_as_told_is_served_once_and_who_does_not_is_refused_at_no_cost(
    runtime: Runtime, clock: ManualClock
) -> None:
    asker = Asker(runtime, "administrator")
    for _ in range(4):
        asker.ask()
    waited = int(asker.ask().headers["Retry-After"])
    clock.advance(waited - 1)
    assert asker.ask().status_code == 429
    clock.advance(1)
    assert [asker.ask().status_code for _ in range(2)] == [200, 429]
    clock.advance(3600)
    assert [asker.ask().status_code for _ in range(5)] == [200] * 4 + [429]


def test_one_token_s_hurry_is_nobody_else_s_wait(runtime: Runtime) -> None:
    hasty, calm = Asker(runtime, "administrator"), Asker(runtime, "another")
    for _ in range(5):
        last = hasty.ask()
    assert last.status_code == 429
    assert calm.ask().status_code == 200
