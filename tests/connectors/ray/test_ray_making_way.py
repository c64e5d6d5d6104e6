"""A round has a gang on a real Ray cluster make way for another: it saves its state on the signal, and goes on from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from eventually import eventually
from live_federation import SETTINGS, live_federation
from making_way import SAVES, assert_ledger_balances, steps

from connectors.clock import SystemClock
from connectors.ray.connector import RayConnector
from connectors.ray.settings import RaySettings
from scheduler.demo.ray_cluster import RayCluster

pytestmark = pytest.mark.service
GROUP = "research.laboratory.vision"
SECONDS = 120


def test_a_gang_on_ray_saves_its_state_makes_way_and_resumes_from_it(ray_cluster: RayCluster, tmp_path: Path) -> None:
    settings = RaySettings(
        dashboard_url=ray_cluster.dashboard_url,
        state_directory=tmp_path / "ray",
        checkpoint_root=tmp_path / "checkpoints",
    )
    progress, gate = tmp_path / "progress", tmp_path / "gate"
    with live_federation(tmp_path, settings=replace(SETTINGS, minimum_run_seconds=0)) as federation:
        federation.group(GROUP)
        federation.serve("site-1", RayConnector(settings, SystemClock()), 2)
        researcher = federation.person("researcher", {GROUP: "submitter"})
        gang = {"workers": 2, "gpus_per_worker": 8}
        victim = federation.job(researcher, GROUP, steps(progress), checkpoint=SAVES, priority_class="low", **gang)
        federation.wait(researcher, victim, "running", seconds=SECONDS)
        eventually(lambda: progress.exists() and progress.read_text(encoding="utf-8").count("begun") == 2, SECONDS)
        waits = ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"]
        claimant = federation.job(researcher, GROUP, waits, **gang)
        assert federation.wait(researcher, victim, "queued", seconds=SECONDS)["bound_site"] == "site-1"
        federation.wait(researcher, claimant, "running", seconds=SECONDS)
        gate.touch()
        federation.wait(researcher, claimant, "succeeded", seconds=SECONDS)
        ended = federation.wait(researcher, victim, "succeeded", "failed", seconds=SECONDS)
        assert (ended["state"], [run["cause"] for run in ended["runs"]]) == ("succeeded", ["preempted", "exited"])
        assert sorted(progress.read_text(encoding="utf-8").split()) == sorted(["begun", "saved", "resumed"] * 2)
        assert_ledger_balances(federation.runtime, {"preempted": "consumer", "exited": "consumer"})
