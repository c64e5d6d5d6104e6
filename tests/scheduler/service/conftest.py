"""A runtime of the test's own for each test of a use case, with a clock that stands still until it is turned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from real_postgresql import PostgreSql
from runtime import ScriptedAgent, Stage, administrator_of, make_runtime

from scheduler.clock import ManualClock
from scheduler.service.caller import Caller
from scheduler.service.runtime import Runtime


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test turns."""
    return ManualClock()


@pytest.fixture
def runtime(tmp_path: Path, clock: ManualClock) -> Iterator[Runtime]:
    """The parts of one process over an empty record."""
    with make_runtime(tmp_path, clock) as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def on_both(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Runtime]:
    """The parts of one process over each database: tests that need both have it as their ``runtime``."""
    url = None
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = server.create_database()
    with make_runtime(tmp_path, clock, database_url=url) as made:
        yield made


@pytest.fixture
def stage(runtime: Runtime, clock: ManualClock) -> Stage:
    """Server and scheduler in turns."""
    return Stage(runtime, clock)


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """The agent of a site of one node with eight GPUs."""
    return stage.agent()


@pytest.fixture
def administrator(runtime: Runtime) -> Caller:
    """Somebody who administers the federation."""
    return administrator_of(runtime)
