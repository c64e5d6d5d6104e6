"""What one run leaves behind never keeps another's from being delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually

from connectors.agent.delivery import TRIES_MAX, Delivery
from connectors.agent.settings import AgentSettings
from connectors.clock import SystemClock
from connectors.errors import ServerUnavailable
from connectors.protocol import LogPart, Outputs

SETTINGS = AgentSettings(
    server="http://127.0.0.1:9", state_directory=Path("agent"), name="agent-1", retry_seconds_min=1e-5
)


class Site:
    """Engine and server of the tests: each run has one worker's log and outputs. ``judge`` may raise for a run."""

    def __init__(self) -> None:
        self.judge: Callable[[int], None] = lambda _: None
        self.engine: Callable[[int], None] = lambda _: None
        self.tries = 0
        self.logs: set[int] = set()
        self.outputs_taken: set[int] = set()

    def read_log(self, run_id: int, rank: int, offset: int, bytes_max: int) -> LogPart:
        return LogPart(data=b"line\n"[offset:], offset=offset, ended=True)

    def outputs(self, run_id: int) -> Outputs:
        self.engine(run_id)
        return Outputs(archive=Path("outputs.tar.gz"))

    def post_log(self, run_id: int, epoch: int, rank: int, offset: int, data: bytes, *, ended: bool) -> int:
        self.logs.add(run_id)
        return offset + len(data)

    def put_outputs(self, run_id: int, epoch: int, archive: Path) -> None:
        self.tries += 1
        self.judge(run_id)
        self.outputs_taken.add(run_id)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def delivery(site: Site) -> Iterator[Delivery]:
    engine: Any = site
    made = Delivery(engine, engine, SystemClock(), SETTINGS, on_delivered=lambda: None)
    yield made
    made.close()


def refuse_the_first(run_id: int) -> None:
    if run_id == 1:
        raise ServerUnavailable("500")


def break_the_first(run_id: int) -> None:
    if run_id == 1:
        raise RuntimeError("the file went away")


@pytest.mark.parametrize("where", ["server", "engine"])
def test_a_run_that_cannot_be_delivered_holds_up_no_other_and_is_given_up(
    where: str, site: Site, delivery: Delivery
) -> None:
    if where == "server":
        site.judge = refuse_the_first
    else:
        site.engine = break_the_first
    delivery.finish(1, 1, 1)
    run_id = 1
    while not delivery.is_delivered(1):
        run_id += 1
        delivery.finish(run_id, 1, 1)
        eventually(lambda other=run_id: delivery.is_delivered(other))
    eventually(lambda: site.outputs_taken == set(range(2, run_id + 1)))
    assert 1 in site.logs


def test_a_server_that_takes_nothing_for_long_loses_nothing(site: Site, delivery: Delivery) -> None:
    def away(_: int) -> None:
        raise ServerUnavailable("503")

    site.judge = away
    for run_id in (1, 2, 3):
        delivery.finish(run_id, 1, 1)
    eventually(lambda: site.tries > 5 * TRIES_MAX)
    assert not any(delivery.is_delivered(run_id) for run_id in (1, 2, 3))
    site.judge = lambda _: None
    eventually(lambda: site.outputs_taken == {1, 2, 3})
