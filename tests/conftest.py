"""What all tests share: Hypothesis profiles, services that live as long as the session, how many kill rounds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from real_postgresql import PostgreSql

# CI finds what everybody finds, in the same time; by hand, luck may find more.
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("by-hand", max_examples=60, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("ci", max_examples=60, deadline=None, suppress_health_check=_QUIET, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "by-hand")


#: Files whose tests start a Ray cluster of their own.
_ON_RAY = {"test_kill_rounds.py", "test_sweep_on_ray.py"}


@pytest.fixture(autouse=True)
def _logs_apart() -> None:
    """Servers in this very process go on beside other tests: what they log is no output of a command under test, and does not
    go where a command that was tested before had its own written."""
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the kill tests go on: a short version unless told otherwise."""
    parser.addoption("--kill-rounds", type=int, default=0, help="rounds of 200 jobs on each database; 0: one short one")
    parser.addoption("--ray-kill-rounds", type=int, default=0, help="rounds of 20 jobs on Ray; 0: one short one")


@pytest.hookimpl(tryfirst=True)  # the workers' own hook reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side go files, whose tests have fixtures in common; all that needs a Ray cluster goes in a row, and first, since
    it takes the longest."""
    on_ray = [item.path.name in _ON_RAY or "ray_cluster" in getattr(item, "fixturenames", ()) for item in items]
    for item, is_on_ray in zip(items, on_ray, strict=True):
        item.add_marker(pytest.mark.xdist_group("ray" if is_on_ray else str(item.path)))
    first = [item for item, is_on_ray in zip(items, on_ray, strict=True) if is_on_ray]
    items[:] = first + [item for item, is_on_ray in zip(items, on_ray, strict=True) if not is_on_ray]


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
