"""What all tests share: Hypothesis profiles, services that live as long as the session, how many kill rounds."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
from example_count import USUAL
from hypothesis import HealthCheck, settings
from real_postgresql import PostgreSql
from typer.main import get_command
from xdist.scheduler import LoadScopeScheduling

from scheduler.cli.bilingual import translate

# CI finds what everybody finds, in the same time; by hand, luck may find more. The inner loop looks whether properties hold
# at all: `make check` asks for it, and nothing else does.
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("by-hand", max_examples=USUAL, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("ci", max_examples=USUAL, deadline=None, suppress_health_check=_QUIET, derandomize=True)
settings.register_profile("inner-loop", max_examples=6, deadline=None, suppress_health_check=_QUIET)
settings.load_profile("ci" if os.environ.get("CI") else "by-hand")


#: Files whose tests need a Ray cluster.
_ON_RAY = {"test_ray_contract.py", "test_ray_making_way.py", "test_kill_rounds.py", "test_sweep_on_ray.py"}
#: Fixtures that are server and scheduler over one record: in turns, and listening.
_WHOLE_FEDERATIONS = {"stage", "cast"}


@pytest.fixture(autouse=True)
def _logs_apart() -> None:
    """Servers in this very process go on beside other tests: what they log is no output of a command under test, and does not
    go where a command that was tested before had its own written."""
    structlog.reset_defaults()
    # Tracebacks with every local in colour would take seconds each.
    shown = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[*structlog.get_config()["processors"][:-1], shown],
        logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
    )


@pytest.fixture(scope="session", autouse=True)
def _one_tree_of_commands() -> Iterator[None]:
    """A program makes its commands once; typer's runner would make them all anew for every line that a test runs. Those that
    were put into Korean are not used again."""
    trees = cache(get_command)

    def put_into_korean(command: Any) -> None:
        trees.cache_clear()
        translate(command)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", trees)
        patch.setattr("scheduler.cli.bilingual.translate", put_into_korean)
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the kill tests go on: a short version unless told otherwise."""
    parser.addoption("--kill-rounds", type=int, default=0, help="rounds of 200 jobs on each database; 0: one short one")
    parser.addoption("--ray-kill-rounds", type=int, default=0, help="rounds of 20 jobs on Ray; 0: one short one")


class _ByFile(LoadScopeScheduling):
    """Side by side go files, whose tests have fixtures in common; all that needs a Ray cluster goes in a row."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "ray" if Path(file).name in _ON_RAY else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """How tests are given to workers."""
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes the longest comes first; a test of a whole federation is a slow one."""
    for item in items:
        if _WHOLE_FEDERATIONS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.name not in _ON_RAY)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: no collection of garbage looks through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of every round."""
    for fixture, option in (("kill_round", "--kill-rounds"), ("ray_kill_round", "--ray-kill-rounds")):
        if fixture in metafunc.fixturenames:
            rounds: int = metafunc.config.getoption(option)
            metafunc.parametrize(fixture, range(max(1, rounds)))


@pytest.fixture
def kill_jobs(request: pytest.FixtureRequest) -> int:
    """Jobs of a kill round."""
    return 200 if request.config.getoption("--kill-rounds") else 40


@pytest.fixture
def ray_kill_jobs(request: pytest.FixtureRequest) -> int:
    """Jobs of a kill round on Ray."""
    return 20 if request.config.getoption("--ray-kill-rounds") else 6


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """A PostgreSQL server that lives as long as the session."""
    server = PostgreSql()
    yield server
    server.close()
