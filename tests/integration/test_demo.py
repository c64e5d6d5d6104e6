"""What the README's first command runs: a federation, a real Ray cluster, a real training job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.service

ROOT = Path(__file__).resolve().parents[2]


def processes_of(folder: str) -> list[str]:
    """Command lines of processes that name a folder of the demo."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if folder in command:
                found.append(command)
    return found


def test_the_demo_trains_on_ray_and_leaves_nothing_running(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scheduler.demo", "--once"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "trained to accuracy 0.9" in done.stdout
    assert "GPU-seconds on the ledger" in done.stdout
    assert processes_of(str(tmp_path)) == []
