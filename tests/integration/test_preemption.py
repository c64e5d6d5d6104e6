"""Real processes make way: they save their state, go on from it later, and the nodes go to whom they were freed for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clearings import make_way_in
from eventually import eventually
from live_federation import SETTINGS, LiveFederation, Person, live_federation
from making_way import SAVES, assert_ledger_balances, steps
from real_postgresql import PostgreSql

from scheduler.cycle.plan import StopCause

pytestmark = pytest.mark.slow

GROUP = "research.laboratory.vision"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def federation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveFederation]:
    url = None
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = server.create_database()
    with live_federation(tmp_path, database_url=url) as made:
        made.group(GROUP)
        yield made


@pytest.fixture
def researcher(federation: LiveFederation) -> Person:
    return federation.person("researcher", {GROUP: "submitter"})


def test_a_run_saves_its_state_makes_way_and_goes_on_from_there_when_the_nodes_are_free_again(
    federation: LiveFederation, researcher: Person, tmp_path: Path
) -> None:
    federation.site("site-1", "1x8:h100")
    progress, gate = tmp_path / "progress", tmp_path / "gate"
    victim = federation.job(
        researcher, GROUP, steps(progress), gpus_per_worker=8, checkpoint=SAVES, priority_class="low"
    )
    federation.wait(researcher, victim, "running")
    eventually(progress.exists, 20, "the command has set its trap")
    claimant = federation.job(
        researcher, GROUP, ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"], gpus_per_worker=8
    )
    make_way_in(federation.runtime.database, victim, claimant, StopCause.PREEMPTED)
    urgent = federation.job(researcher, GROUP, ["true"], gpus_per_worker=8, priority_class="high")
    federation.wait(researcher, claimant, "running")
    assert federation.wait(researcher, victim, "queued")["bound_site"] == "site-1"
    assert researcher.get(f"jobs/{urgent}")["state"] == "queued", "it came later and the nodes were not held for it"
    gate.touch()
    federation.wait(researcher, claimant, "succeeded")
    ended: dict[str, Any] = federation.wait(researcher, victim, "succeeded", "failed")
    assert (ended["state"], [run["cause"] for run in ended["runs"]]) == ("succeeded", ["preempted", "exited"])
    assert progress.read_text(encoding="utf-8").split() == ["begun", "saved", "resumed"]
    assert_ledger_balances(federation.runtime, {"preempted": "consumer", "exited": "consumer"})


def test_rounds_by_themselves_preempt_a_job_for_one_of_higher_priority_and_resume_it_afterwards(
    tmp_path: Path,
) -> None:
    with live_federation(tmp_path, settings=replace(SETTINGS, minimum_run_seconds=0)) as federation:
        federation.group(GROUP)
        researcher = federation.person("researcher", {GROUP: "submitter"})
        federation.site("site-1", "1x8:h100")
        progress = tmp_path / "progress"
        saves = {"gpus_per_worker": 8, "checkpoint": SAVES, "priority_class": "low"}
        victim = federation.job(researcher, GROUP, steps(progress), **saves)
        federation.wait(researcher, victim, "running")
        eventually(progress.exists, 20, "the command has set its trap")
        claimant = federation.job(researcher, GROUP, ["true"], gpus_per_worker=8, priority_class="high")
        federation.wait(researcher, claimant, "succeeded")
        federation.wait(researcher, victim, "succeeded")
        assert progress.read_text(encoding="utf-8").split() == ["begun", "saved", "resumed"]
        assert_ledger_balances(federation.runtime, {"preempted": "consumer", "exited": "consumer"})


def test_rounds_by_themselves_move_a_run_so_that_a_job_gets_a_whole_node_and_it_goes_on_beside_another(
    tmp_path: Path,
) -> None:
    with live_federation(tmp_path, settings=replace(SETTINGS, minimum_run_seconds=0)) as federation:
        federation.group(GROUP)
        researcher = federation.person("researcher", {GROUP: "submitter"})
        federation.site("site-1", "2x8:h100")
        progress, gates = tmp_path / "progress", [tmp_path / "first", tmp_path / "second"]
        stays, goes = (
            federation.job(
                researcher, GROUP, ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"], gpus_per_worker=4
            )
            for gate in gates
        )
        for job in (stays, goes):
            federation.wait(researcher, job, "running")
        moved = federation.job(researcher, GROUP, steps(progress), gpus_per_worker=4, checkpoint=SAVES)
        federation.wait(researcher, moved, "running")
        eventually(progress.exists, 20, "the command has set its trap")
        gates[1].touch()
        federation.wait(researcher, goes, "succeeded")
        whole = federation.job(researcher, GROUP, ["true"], gpus_per_worker=8)
        federation.wait(researcher, whole, "succeeded")
        ended = federation.wait(researcher, moved, "succeeded", "failed")
        assert researcher.get(f"jobs/{stays}")["state"] == "running", "nobody waited for it"
        assert [run["cause"] for run in ended["runs"]] == ["moved", "exited"]
        before, after, beside = (run["nodes"] for run in (*ended["runs"], researcher.get(f"jobs/{stays}")["runs"][0]))
        assert before != after == beside
        assert progress.read_text(encoding="utf-8").split() == ["begun", "saved", "resumed"]
        gates[0].touch()
        federation.wait(researcher, stays, "succeeded")
        assert_ledger_balances(federation.runtime, {"moved": "consumer", "exited": "consumer"})


def test_a_run_that_saves_nothing_begins_anew_and_its_group_is_not_charged_for_what_was_destroyed(
    federation: LiveFederation, researcher: Person, tmp_path: Path
) -> None:
    federation.site("site-1", "1x8:h100")
    gate = tmp_path / "gate"
    command = ["sh", "-c", f"[ -e {gate} ] || exec sleep 600"]
    victim = federation.job(researcher, GROUP, command, gpus_per_worker=8)
    federation.wait(researcher, victim, "running")
    claimant = federation.job(researcher, GROUP, ["touch", str(gate)], gpus_per_worker=8)
    make_way_in(federation.runtime.database, victim, claimant, StopCause.RECLAIMED)
    why = researcher.get(f"jobs/{victim}/why")["reasons"][0]["code"]
    assert why in ("StoppedForClaim", "NotYetEvaluated", "WaitingForCapacity")
    federation.wait(researcher, claimant, "succeeded")
    ended = federation.wait(researcher, victim, "succeeded", "failed")
    assert (ended["state"], [run["cause"] for run in ended["runs"]]) == ("succeeded", ["reclaimed", "exited"])
    assert_ledger_balances(federation.runtime, {"reclaimed": "lost", "exited": "consumer"})
    (usage,) = researcher.get(f"groups/{GROUP}/usage")["items"]
    assert usage["gpu_seconds_lost"] > 0
    assert usage["gpu_seconds"] == pytest.approx(
        sum(each["gpu_seconds"] for each in (researcher.get(f"jobs/{job}") for job in (victim, claimant)))
    )
