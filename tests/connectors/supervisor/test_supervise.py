"""Both supervisors, Python and shell, beside real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[3] / "connectors" / "supervisor"
TWINS = {"python": [sys.executable, "-I", str(FOLDER / "supervise.py")], "sh": ["sh", str(FOLDER / "supervise.sh")]}
#: Every look at the wall clock finds it an hour further.
HOURS = """
import runpy, sys, time
real, hours = time.time_ns, iter(range(99))
time.time_ns = lambda: real() + next(hours) * 3_600_000_000_000
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
DATE = """#!/bin/sh
echo >>looks
echo $(($(command -p date +%s%3N) + $(wc -l <looks) * 3600000))
"""


class Site:
    """One supervisor and its files."""

    def __init__(self, folder: Path, twin: str) -> None:
        self.folder = folder
        self._twin = TWINS[twin]
        self._environment = dict(os.environ)

    def unsettle_the_wall_clock(self) -> None:
        """From now on the supervisor's wall clock leaps."""
        *interpreter, script = self._twin
        self._twin = [*interpreter, "hours.py", script] if "python" in interpreter[0] else self._twin
        (self.folder / "hours.py").write_text(HOURS, encoding="utf-8")
        (self.folder / "date").write_text(DATE, encoding="utf-8")
        (self.folder / "date").chmod(0o700)
        self._environment["PATH"] = f"{self.folder}:{self._environment['PATH']}"

    def control(self, *, lease_seconds: float = 60.0, stop: dict[str, Any] | None = None) -> None:
        """Give a lease from now on, or order a stop."""
        deadline_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(lease_seconds * 1e9)
        value = {"deadline_boottime_ns": deadline_ns, "lease_seconds": lease_seconds, "renewal": 1, "stop": stop}
        fresh = self.folder / "control.new"
        fresh.write_text(json.dumps(value), encoding="utf-8")
        fresh.replace(self.folder / "control.json")

    def start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        """Supervise a shell command."""
        return self.start_program(["sh", "-c", command], *options)

    def start_program(self, command: list[str], *options: str) -> subprocess.Popen[bytes]:
        """Supervise a program."""
        files = ["--control", "control.json", "--report", "report.json", "--log", "log"]
        return subprocess.Popen([*self._twin, *files, *options, "--", *command], cwd=self.folder, env=self._environment)

    def report(self) -> dict[str, Any]:
        """What it wrote last."""
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        return found

    def log(self) -> str:
        """What the command wrote."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        """Until the command has written ``text``."""
        eventually(lambda: (self.folder / "log").exists() and text in self.log(), 10)


@pytest.fixture(params=sorted(TWINS))
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    made = Site(tmp_path, request.param)
    made.control()
    return made


def is_alive(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def test_a_command_s_exit_code_log_and_times_are_told(site: Site) -> None:
    assert site.start("echo out; echo err >&2; exit 3").wait(20) == 3
    report = site.report()
    assert (report["phase"], report["exit_code"], report["cause"]) == ("ended", 3, "exited")
    assert 0 <= report["ended_ms"] - report["started_ms"] < 10_000
    assert site.log() == "out\nerr\n"


def test_a_wall_clock_that_leaps_changes_nothing_of_how_long_a_command_ran(site: Site) -> None:
    site.unsettle_the_wall_clock()
    assert site.start("true").wait(20) == 0
    report = site.report()
    assert 0 <= report["ended_ms"] - report["started_ms"] < 10_000


def test_a_lease_that_runs_out_ends_the_command_and_its_children(site: Site) -> None:
    site.control(lease_seconds=1.0)
    process = site.start("trap '' TERM; sleep 600 & echo child $!; wait")
    site.wait_for("child")
    child = int(site.log().split()[1])
    assert process.wait(20) == 69
    assert site.report()["cause"] == "lease_expired"
    eventually(lambda: not is_alive(child), 5)


def test_a_renewed_lease_goes_on(site: Site) -> None:
    site.control(lease_seconds=1.5)
    process = site.start("sleep 3; echo through")
    eventually((site.folder / "report.json").exists, 5)
    site.control(lease_seconds=30)
    assert process.wait(20) == 0
    assert site.log() == "through\n"


@pytest.mark.parametrize("damage", ["[]", '{"deadline_boottime_ns": "soon", "stop": {"grace_seconds": "x"}}'], ids=str)
def test_a_control_file_that_was_damaged_leaves_no_command_without_its_supervisor(site: Site, damage: str) -> None:
    process = site.start("echo begun; sleep 2; echo through")
    site.wait_for("begun")
    (site.folder / "control.json").write_text(damage, encoding="utf-8")
    assert process.wait(20) in (0, 69)  # one twin keeps the lease that it has read, the other takes it for over
    assert site.report()["phase"] == "ended"
    assert site.report()["cause"] in ("exited", "lease_expired")


def test_a_lease_that_is_over_at_the_start_lets_nothing_run(site: Site) -> None:
    site.control(lease_seconds=-1)
    assert site.start("echo ran").wait(20) == 69
    assert (site.report()["started_ms"], site.report()["cause"]) == (None, "lease_expired")
    assert not (site.folder / "log").exists()


def test_a_stop_that_stands_at_the_start_lets_nothing_run(site: Site) -> None:
    site.control(stop={"cause": "cancelled", "grace_seconds": 5, "checkpoint": False})
    site.start("echo ran").wait(20)
    assert (site.report()["started_ms"], site.report()["cause"]) == (None, "cancelled")


def test_a_stop_asks_first_and_kills_at_the_grace_s_end(site: Site) -> None:
    process = site.start("trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done")
    site.wait_for("up")
    site.control(stop={"cause": "requeued", "grace_seconds": 1.5, "checkpoint": False})
    assert process.wait(20) == 128 + signal.SIGKILL
    assert "asked" in site.log()
    assert (site.report()["cause"], site.report()["signal"]) == ("requeued", signal.SIGKILL)


@pytest.mark.parametrize(("first", "later"), [(300, 1), (1.5, 300)])
def test_a_later_stop_may_shorten_the_grace_and_never_lengthens_it(first: float, later: float, site: Site) -> None:
    process = site.start("trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done")
    site.wait_for("up")
    site.control(stop={"cause": "requeued", "grace_seconds": first, "checkpoint": False})
    site.wait_for("asked")
    site.control(stop={"cause": "cancelled", "grace_seconds": later, "checkpoint": False})
    assert process.wait(20) == 128 + signal.SIGKILL
    assert site.report()["cause"] == "requeued"


@pytest.mark.parametrize(
    ("program", "code"), [("pyhton", 127), ("./not-here", 127), ("./plain", 126), ("./folder", 126)]
)
def test_a_command_that_cannot_be_run_is_the_job_s_own_end(program: str, code: int, site: Site) -> None:
    (site.folder / "plain").write_text("no program")
    (site.folder / "folder").mkdir()
    assert site.start_program([program]).wait(20) == code
    report = site.report()
    assert (report["phase"], report["exit_code"], report["cause"]) == ("ended", code, "exited")


def test_a_machine_without_room_for_a_process_is_not_the_job_s_fault(tmp_path: Path) -> None:
    site = Site(tmp_path, "python")
    site.control()
    files = ["--control", "control.json", "--report", "report.json", "--log", "log"]
    crowded = (
        "import os, runpy, subprocess, sys\n"
        "def full(*_, **__): raise OSError(11, 'Resource temporarily unavailable')\n"
        "subprocess.Popen = full\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command = [sys.executable, "-c", crowded, str(FOLDER / "supervise.py"), *files, "--", "true"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 127
    assert (site.report()["cause"], site.report()["exit_code"]) == ("start_failed", None)


def test_a_checkpoint_signal_comes_before_everything_else(site: Site) -> None:
    process = site.start(
        "trap 'echo saved; exit 0' USR1; echo up; while :; do sleep 0.1; done", "--checkpoint-signal", "SIGUSR1"
    )
    site.wait_for("up")
    site.control(stop={"cause": "peer_ended", "grace_seconds": 10, "checkpoint": True})
    assert process.wait(20) == 0
    assert site.log() == "up\nsaved\n"
    assert site.report()["cause"] == "peer_ended"


def test_the_walltime_ends_a_command(site: Site) -> None:
    assert site.start("exec sleep 600", "--walltime-seconds", "1", "--grace-seconds", "1").wait(20) == 124
    assert site.report()["cause"] == "walltime"


def test_a_second_supervisor_beside_the_same_report_goes_away(site: Site) -> None:
    first = site.start("echo up; exec sleep 600")
    site.wait_for("up")
    assert site.start("echo twice").wait(20) == 75
    assert "twice" not in site.log()
    first.terminate()
    first.wait(20)


def test_the_python_supervisor_killed_takes_its_command_along(tmp_path: Path) -> None:
    site = Site(tmp_path, "python")
    site.control()
    process = site.start("echo pid $$; exec sleep 600")
    site.wait_for("pid")
    command = int(site.log().split()[1])
    os.kill(process.pid, signal.SIGKILL)
    process.wait(20)
    eventually(lambda: not is_alive(command), 5)


def test_the_python_supervisor_ends_a_daemon_that_hides_in_its_own_session(tmp_path: Path) -> None:
    site = Site(tmp_path, "python")
    site.control(lease_seconds=1.5)
    process = site.start("setsid sh -c 'echo daemon $$; exec sleep 600' & exec sleep 600")
    site.wait_for("daemon")
    daemon = int(site.log().split()[1])
    assert process.wait(20) == 69
    eventually(lambda: not is_alive(daemon), 5)


def test_a_log_beyond_its_limit_is_cut_and_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path, "python")
    site.control()
    assert site.start("yes | head -c 100000", "--log-bytes-max", "1000").wait(20) == 0
    assert len(site.log()) < 1_200 and "cut here" in site.log()


TRAINER = (
    "import signal, sys, time\n"
    "def save(*_):\n"
    "    print('saved', flush=True)\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGUSR1, save)\n"
    "print('trains', flush=True)\n"
    "while True:\n"
    "    time.sleep(0.05)\n"
)


def test_a_trainer_below_a_shell_has_its_checkpoint_signal_and_the_shell_goes_on(site: Site) -> None:
    (site.folder / "trainer.py").write_text(TRAINER, encoding="utf-8")
    process = site.start(f"{sys.executable} trainer.py; echo after $?", "--checkpoint-signal", "SIGUSR1")
    site.wait_for("trains")
    site.control(stop={"cause": "preempted", "grace_seconds": 20, "checkpoint": True})
    process.wait(15)
    assert site.log() == "trains\nsaved\nafter 0\n"


def test_a_command_that_does_not_know_its_checkpoint_signal_does_not_die_of_it(site: Site) -> None:
    process = site.start("echo works; sleep 0.7; echo done", "--checkpoint-signal", "SIGUSR1")
    site.wait_for("works")
    site.control(stop={"cause": "preempted", "grace_seconds": 20, "checkpoint": True})
    process.wait(15)
    assert site.log() == "works\ndone\n"
