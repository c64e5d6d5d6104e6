"""The Ray connector keeps the connectors' contract on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.demo.ray_cluster import RayCluster
from tests.connectors.contract import Case, cases_for
from tests.connectors.harness import Harness
from tests.connectors.ray.ray_harness import RayHarness

pytestmark = pytest.mark.service


@pytest.fixture
def harness(ray_cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setenv("DURE_AGENT_TOKEN", "dure_enrol_secret")
    made = RayHarness(ray_cluster, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("case", cases_for(RayHarness), ids=lambda case: case.__name__)
def test_the_ray_connector_keeps_the_contract(case: Case, harness: Harness) -> None:
    case(harness)
