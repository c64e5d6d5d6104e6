"""The portal over a runtime of the test's own, with a clock that stands still until it is turned, and who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from application import application_over
from page_reader import PageReader
from runtime import SETTINGS, Stage, make_runtime

from scheduler.bootstrap import first_administrator
from scheduler.clock import ManualClock
from scheduler.portal.session import COOKIE
from scheduler.service.runtime import Runtime


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test turns."""
    return ManualClock()


@pytest.fixture
def runtime(tmp_path: Path, clock: ManualClock) -> Iterator[Runtime]:
    """The parts of one process, in which a token may ask twenty times at once."""
    with make_runtime(tmp_path, clock, settings=replace(SETTINGS, rate_per_second=1.0, rate_burst=20)) as made:
        yield made


@pytest.fixture
def stage(runtime: Runtime, clock: ManualClock) -> Stage:
    """Server and scheduler in turns."""
    return Stage(runtime, clock)


@pytest.fixture
def stranger(runtime: Runtime) -> PageReader:
    """Nobody who is signed in."""
    return PageReader(application_over(runtime))


@pytest.fixture
def secret(runtime: Runtime) -> str:
    """The token of an administrator."""
    return first_administrator(runtime, "administrator")


@pytest.fixture
def reader(stranger: PageReader, secret: str) -> PageReader:
    """The administrator, signed in."""
    stranger.cookies[COOKIE] = secret
    return stranger
