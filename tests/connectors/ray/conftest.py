"""One real Ray cluster for every test of the session, and dashboards without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.ray import connector
from scheduler.demo.ray_cluster import RayCluster
from tests.connectors.ray.fake_ray import FakeRay


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """Two nodes of 8 declared GPUs. A node that is killed is missed after seconds; a busy one is not taken for dead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_health_check_period_ms", "1000")
        with RayCluster(tmp_path_factory.mktemp("ray"), nodes=2, gpus_per_node=8) as cluster:
            yield cluster


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    """A dashboard that is looked at often."""
    monkeypatch.setattr(connector, "LOOK_SECONDS", 0.05)
    made = FakeRay()
    yield made
    made.close()
