"""An agent as a process of its own, started as its operator starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from eventually import eventually
from live_federation import live_federation

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DURE = [sys.executable, "-m", "scheduler.main"]


def test_an_agent_s_folder_may_be_named_as_seen_from_where_it_is_started(tmp_path: Path) -> None:
    with live_federation(tmp_path) as federation:
        federation.group("research")
        body = {"name": "site-1", "owner": "o", "operator": "o", "facility": "f", "isolates_users": True}
        token = federation.administrator.post("sites", body)["enrolment_token"]
        command = [*DURE, "agent", "--server", federation.server, "--connector", "local", "--nodes", "1x1:h100"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "DURE_ENROLMENT_TOKEN": token}
        with subprocess.Popen([*command, "--state", "agent"], cwd=tmp_path, env=environment) as agent:
            try:
                eventually(lambda: federation.administrator.get("sites/site-1")["nodes"] == 1, 60, "the site reports")
                job = federation.job(federation.administrator, "research", ["true"])
                ended = federation.wait(federation.administrator, job, "succeeded", "failed")
                assert (ended["state"], len(ended["runs"])) == ("succeeded", 1)
            finally:
                agent.terminate()
