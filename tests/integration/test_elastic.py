"""Real processes of an elastic gang: it starts wide, shrinks for another job with its state saved, and grows again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from eventually import eventually
from live_federation import SETTINGS, live_federation
from making_way import SAVES, assert_ledger_balances

pytestmark = pytest.mark.slow

GROUP = "research.laboratory.vision"


def counted_steps(progress: Path, done: Path) -> list[str]:
    """Worker 0 tells how many there are, and saves when it is told to; all are done when ``done`` is there."""
    script = (
        f'trap "echo saved >> {progress}; exit 1" USR1;'
        f" [ $RANK = 0 ] && echo $WORLD_SIZE >> {progress};"
        f" while [ ! -e {done} ]; do sleep 0.05; done"
    )
    return ["sh", "-c", script]


def test_a_gang_takes_what_is_free_gives_it_to_another_job_and_takes_it_again(tmp_path: Path) -> None:
    with live_federation(tmp_path, settings=replace(SETTINGS, minimum_run_seconds=0)) as federation:
        federation.group(GROUP)
        researcher = federation.person("researcher", {GROUP: "submitter"})
        federation.site("site-1", "3x8:h100")
        progress, done, gate = tmp_path / "progress", tmp_path / "done", tmp_path / "gate"
        workers = {"workers": {"min": 1, "max": 3}, "gpus_per_worker": 8, "checkpoint": SAVES}
        job = federation.job(researcher, GROUP, counted_steps(progress, done), **workers)
        assert federation.wait(researcher, job, "running")["workers"] == 3
        eventually(progress.exists, 20, "the command has set its trap")
        other = federation.job(
            researcher, GROUP, ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"], gpus_per_worker=8
        )
        federation.wait(researcher, other, "running")
        assert federation.wait(researcher, job, "running")["gpus"] == 16
        eventually(lambda: progress.read_text().splitlines()[-1] == "2", 20, "it goes on with two workers")
        gate.touch()
        federation.wait(researcher, other, "succeeded")
        eventually(lambda: progress.read_text().splitlines()[-1] == "3", 20, "it has grown")
        done.touch()
        ended = federation.wait(researcher, job, "succeeded", "failed")
        assert [(run["cause"], run["workers"]) for run in ended["runs"]] == [("shrunk", 3), ("grown", 2), ("exited", 3)]
        told = [line for line in progress.read_text().split() if line != "saved"]
        assert told == ["3", "2", "3"]
        assert_ledger_balances(federation.runtime, {"shrunk": "consumer", "grown": "consumer", "exited": "consumer"})
