"""The command line as each kind of user types it, as a program of its own against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from eventually import eventually
from live_federation import LiveFederation, Person, live_federation

pytestmark = pytest.mark.slow

GROUP = "research.laboratory.vision"


@dataclass(frozen=True)
class Terminal:
    """One person's shell."""

    person: Person
    folder: Path

    def environment(self) -> dict[str, str]:
        """Signed in, in English."""
        own = {"DURE_SERVER": self.person.server, "DURE_TOKEN": self.person.secret, "LC_ALL": "C.UTF-8"}
        return {**os.environ, **own, "XDG_CONFIG_HOME": str(self.folder)}

    def dure(self, *words: str, exits: int = 0, stdin: str = "") -> str:
        """Run a command; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "scheduler.main", *words],
            env=self.environment(),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == exits, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + (done.stderr if exits else "")


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveFederation]:
    with live_federation(tmp_path_factory.mktemp("cli")) as made:
        made.site("site-1", "1x8:h100")
        yield made


@pytest.fixture
def administrator(federation: LiveFederation, tmp_path: Path) -> Terminal:
    return Terminal(federation.administrator, tmp_path)


@pytest.fixture
def researcher(federation: LiveFederation, tmp_path: Path) -> Terminal:
    federation.group(GROUP)
    return Terminal(federation.person("researcher", {GROUP: "submitter"}, scope="submit"), tmp_path)


def test_a_researcher_submits_follows_pulls_and_asks_why(researcher: Terminal) -> None:
    (researcher.folder / "code").mkdir()
    (researcher.folder / "code" / "train.sh").write_text(
        "echo training $RANK; echo 42 > answer.txt\n", encoding="utf-8"
    )
    job_file = f"name: train\ngroup: {GROUP}\nworking_directory: code\ncommand: sh train.sh\noutputs: [answer.txt]\n"
    (researcher.folder / "job.yaml").write_text(job_file, encoding="utf-8")
    assert "would start now on site-1" in researcher.dure("submit", "job.yaml", "--dry-run")
    assert "training 0" in researcher.dure("submit", "job.yaml", "--follow")
    (job,) = json.loads(researcher.dure("queue", "--ended", "-o", "json", "--limit", "1"))["items"]
    number = str(job["id"])
    assert job["state"] == "succeeded"
    assert "training 0" in researcher.dure("logs", number)
    eventually(lambda: json.loads(researcher.dure("show", number, "-o", "json"))["has_outputs"], 20)
    researcher.dure("pull", number, "-d", "out")
    assert any(path.read_text() == "42\n" for path in (researcher.folder / "out").rglob("answer.txt"))
    assert f"Job {number}: succeeded" in researcher.dure("why", number)
    for shape in ("table", "wide", "yaml", "name"):
        assert researcher.dure("queue", "--ended", "-o", shape)
    assert "h100" in researcher.dure("gpus")
    assert "researcher" in researcher.dure("whoami")
    researcher.dure("quota", "show", GROUP)


def test_exit_codes_tell_scripts_what_happened(researcher: Terminal) -> None:
    submit = ("submit", "--group", GROUP, "--gpus", "1")
    researcher.dure(*submit, "--follow", "--", "sh", "-c", "exit 3", exits=1)
    researcher.dure("submit", exits=2)
    researcher.dure("submit", "missing.yaml", exits=2)
    assert "workers" in researcher.dure(
        "submit", "--group", GROUP, "--gpus", "9", "--workers", "2", "--", "true", exits=2
    )
    Terminal(Person(researcher.person.server, "dure_wrong"), researcher.folder).dure("whoami", exits=3)
    researcher.dure("show", "999999", exits=4)
    assert "16 GPUs were asked for" in researcher.dure(
        "submit", "--group", GROUP, "--gpus", "16", "--", "true", exits=5
    )
    number = researcher.dure(*submit, "-o", "name", "--", "true").strip()
    eventually(lambda: "succeeded" in researcher.dure("show", number), 30)
    researcher.dure("cancel", number, exits=6)
    Terminal(Person("http://127.0.0.1:9", "dure_x"), researcher.folder).dure("whoami", exits=7)


def test_ctrl_c_while_following_leaves_the_job_running_and_says_so(
    researcher: Terminal, federation: LiveFederation
) -> None:
    words = ["submit", "--group", GROUP, "--gpus", "1", "--follow", "--", "sh", "-c", "echo up; exec sleep 600"]
    process = subprocess.Popen(
        [sys.executable, "-m", "scheduler.main", *words],
        env=researcher.environment(),
        cwd=researcher.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    (job,) = eventually(lambda: researcher.person.get("jobs", state="live", mine=True)["items"], 30)
    federation.wait(researcher.person, job["id"], "running")
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"Job {job['id']} goes on" in complaints
    assert researcher.person.get(f"jobs/{job['id']}")["state"] == "running"
    researcher.dure("cancel", str(job["id"]), "--why", "done")
    federation.wait(researcher.person, job["id"], "cancelled")


def test_an_administrator_grows_the_tree_and_sets_quotas(administrator: Terminal) -> None:
    administrator.dure("group", "create", "startup", "--sector", "startup", "--why", "call 3")
    administrator.dure("group", "create", "startup.robotics")
    assert "startup.robotics" in administrator.dure("group", "list")
    administrator.dure("quota", "set", "startup", "h100", "--guaranteed", "4")
    administrator.dure("quota", "set", "startup.robotics", "h100", "--guaranteed", "4", "--limit", "8")
    refused = administrator.dure("quota", "set", "startup", "h100", "--guaranteed", "3", exits=5)
    assert "4" in refused and "3" in refused
    assert "startup.robotics" in administrator.dure("quota", "show", "startup.robotics")
    administrator.dure("member", "add", "startup.robotics", "kim", "--role", "manager")
    assert "kim" in administrator.dure("member", "list", "startup.robotics")
    secret = administrator.dure("token", "create", "laptop", "--person", "kim", "--scope", "manage").strip()
    kim = Terminal(Person(administrator.person.server, secret), administrator.folder)
    assert "manager @ startup.robotics" in kim.dure("whoami")
    kim.dure("group", "move", "startup.robotics", "research", exits=3)
    administrator.dure("member", "remove", "startup.robotics", "kim", "--role", "manager")
    token = json.loads(administrator.dure("token", "list", "--person", "kim", "-o", "json"))["items"][0]["id"]
    administrator.dure("token", "revoke", str(token))
    kim.dure("whoami", exits=3)


def test_a_partner_registers_and_operates_a_site(administrator: Terminal) -> None:
    told = administrator.dure("site", "register", "company-1", "--owner", "Company", "--isolates-users")
    assert "dure_enrol_" in told and "dure agent" in told
    for action, state in (("cordon", "cordoned"), ("drain", "draining"), ("resume", "active")):
        assert state in administrator.dure("site", action, "company-1", "--why", "firmware")
    administrator.dure("site", "stop", "company-1", "--yes", exits=2)  # without a reason
    administrator.dure("site", "stop", "company-1", "--why", "smoke", exits=2)  # without an answer
    assert "stopped" in administrator.dure("site", "stop", "company-1", "--yes", "--why", "smoke")
    administrator.dure("site", "declare-lost", "company-1", "--yes", "--why", "burnt down", exits=6)
    assert "dure_enrol_" in administrator.dure("site", "enrol", "company-1", "--why", "a lost disk")
    administrator.dure("site", "operator", "add", "company-1", "lee")
    assert "company-1" in administrator.dure("site", "list")
    assert "lee" in administrator.dure("site", "show", "company-1", "-o", "yaml")


def test_one_signs_in_from_a_pipe_and_the_token_is_kept_for_the_next_command(researcher: Terminal) -> None:
    environment = {name: value for name, value in researcher.environment().items() if not name.startswith("DURE_")}
    run = [sys.executable, "-m", "scheduler.main"]
    login = [*run, "login", "--server", researcher.person.server]
    subprocess.run(login, input=researcher.person.secret, env=environment, text=True, check=True, capture_output=True)
    told = subprocess.run([*run, "--lang", "ko", "whoami"], env=environment, text=True, check=True, capture_output=True)
    assert "사용자" in told.stdout and "researcher" in told.stdout
    assert (researcher.folder / "dure" / "token").stat().st_mode & 0o777 == 0o600
