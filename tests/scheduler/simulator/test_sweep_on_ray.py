"""A sweep on a real Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.demo.ray_cluster import RayCluster
from scheduler.model.errors import ConfigurationError
from scheduler.simulator.sweep import run_here, run_on_ray, tasks

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard's address of a cluster of one node."""
    with RayCluster(tmp_path_factory.mktemp("ray"), nodes=1) as cluster:
        yield cluster.dashboard_url


def arguments(folder: Path) -> list[str]:
    """Options of a small simulation, its files written to ``folder``."""
    trace, cluster = folder / "t.csv", folder / "c.json"
    lines = [f"j{number},{number},{5 + number},1" for number in range(10)]
    trace.write_text("job_id,submit_s,duration_s,gpus\n" + "\n".join(lines) + "\n", encoding="utf-8")
    cluster.write_text(json.dumps({"nodes": [{"count": 1, "gpus_per_node": 4, "gpu_type": "x"}]}), encoding="utf-8")
    return ["--trace", str(trace), "--cluster", str(cluster), "--no-bound", "--jitter", "0.01"]


def test_ray_computes_the_figures_that_this_machine_computes(ray: str, tmp_path: Path) -> None:
    todo = tasks([], range(2), arguments(tmp_path))
    far, near = run_on_ray(todo, ray), run_here(todo, 1)
    assert [each["mean_jct_s"] for each in far] == [each["mean_jct_s"] for each in near]
    assert far[0]["mean_jct_s"] != far[1]["mean_jct_s"]


def test_a_task_that_fails_on_ray_is_told_with_its_own_words(ray: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        run_on_ray(tasks([], [0], ["--trace", "no.csv", "--cluster", "no.json"]), ray)
