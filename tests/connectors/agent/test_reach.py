"""An agent says when the jobs of its site can read its credential."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.agent.reach import why_in_reach


def process(processes: Path, number: int, *command: str) -> None:
    (processes / str(number)).mkdir(parents=True)
    (processes / str(number) / "cmdline").write_bytes("".join(f"{word}\0" for word in command).encode())


def test_local_jobs_always_reach_it(tmp_path: Path) -> None:
    assert "own user" in (why_in_reach("local", processes=tmp_path) or "")


@pytest.mark.parametrize(
    ("program", "user_id", "in_reach"),
    [
        ("/opt/ray/core/raylet", os.getuid(), True),
        ("/opt/ray/core/raylet", os.getuid() + 1, False),
        ("python", os.getuid(), False),
    ],
)
def test_ray_s_jobs_reach_it_where_ray_runs_as_the_same_user(
    program: str, user_id: int, in_reach: bool, tmp_path: Path
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "2").mkdir()  # gone while it was looked at
    process(tmp_path, 1, program, "--raylet")
    assert (why_in_reach("ray", processes=tmp_path, user_id=user_id) is not None) == in_reach
