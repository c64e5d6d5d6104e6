"""A company lends, recalls and lends again, with real processes: who runs there saves its state and goes on from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from eventually import eventually
from live_federation import SETTINGS, LiveFederation, Person, live_federation
from making_way import SAVES, steps

pytestmark = pytest.mark.slow

GROUP = "research.laboratory.vision"


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[LiveFederation]:
    with live_federation(tmp_path, settings=replace(SETTINGS, minimum_run_seconds=0)) as made:
        made.group(GROUP)
        yield made


@pytest.fixture
def researcher(federation: LiveFederation) -> Person:
    return federation.person("researcher", {GROUP: "submitter"})


def test_what_is_lent_is_recalled_in_time_and_what_ran_there_goes_on_when_it_is_lent_again(
    federation: LiveFederation, researcher: Person, tmp_path: Path
) -> None:
    federation.site("site-1", "3x8:h100")
    lender = federation.administrator
    lender.post("offers", {"site": "site-1", "gpu_class": "h100", "nodes": 2, "notice": 0})
    progress, gate = tmp_path / "progress", tmp_path / "gate"
    saver = federation.job(researcher, GROUP, steps(progress), gpus_per_worker=8, checkpoint=SAVES | {"grace": "10s"})
    federation.wait(researcher, saver, "running")
    eventually(progress.exists, 20, "the command has set its trap")
    waits = ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"]
    stays = federation.job(researcher, GROUP, waits, gpus_per_worker=8, preemptible=True)
    federation.wait(researcher, stays, "running")
    third = federation.job(researcher, GROUP, ["true"], gpus_per_worker=8)
    assert researcher.get(f"jobs/{third}")["state"] == "queued", "two of three nodes are lent"

    by = (datetime.now(UTC) + timedelta(seconds=14)).isoformat()
    plan = lender.post("sites/site-1/recalls", {"gpu_class": "h100", "nodes": 2, "by": by, "why": "our own launch"})
    assert [(each["job"], each["checkpoints"]) for each in plan["runs"]] == [(saver, True), (stays, False)]
    assert federation.wait(researcher, saver, "queued")["bound_site"] == "site-1"
    assert federation.wait(researcher, stays, "queued")["bound_site"] is None
    assert researcher.get(f"jobs/{third}")["state"] == "queued", "the third node was never lent"

    lender.post(f"recalls/{plan['id']}/withdraw", {})
    ended = federation.wait(researcher, saver, "succeeded", "failed")
    assert (ended["state"], [run["cause"] for run in ended["runs"]]) == ("succeeded", ["recalled", "exited"])
    assert progress.read_text(encoding="utf-8").split() == ["begun", "saved", "resumed"]
    gate.touch()
    federation.wait(researcher, stays, "succeeded")
    federation.wait(researcher, third, "succeeded")
    owed = lender.get("sites/site-1/owed")
    assert [(each["gpu_class"], each["runs"]) for each in owed["items"]] == [("h100", 5)]
