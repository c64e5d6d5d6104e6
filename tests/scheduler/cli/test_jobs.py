"""Researchers' commands over a server that notes what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from scheduler.cli.app import app
from scheduler.cli.client import Client
from scheduler.cli.failure import EXIT_USAGE
from scheduler.cli.profile import Profile

COST = {"credits_per_hour": "1", "credits_max": None}
STARTS = {"would_start": True, "site": "s", "gpu_class": "h100", "nodes": [], "reasons": [], "cost": COST}


@dataclass
class Server:
    """Answers by method and path; ``asked`` is what came, in order."""

    answers: dict[str, Any]
    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The prepared answer; 404 where there is none."""
        known = f"{request.method} {request.url.path.removeprefix('/api/v1/')}"
        self.asked.append(known)
        self.bodies.append(json.loads(request.content) if request.method == "POST" else None)
        return httpx.Response(200, json=self.answers[known]) if known in self.answers else httpx.Response(404)


@pytest.fixture
def dure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def run(server: Server, *words: str) -> Any:
        profile = Profile(server="http://server", token="dure_x")
        monkeypatch.setattr(Client, "from_profile", lambda: Client(profile, httpx.MockTransport(server.answer)))
        return CliRunner().invoke(app, ["--lang", "en", *words])

    return run


def job_file(folder: Path, text: str) -> str:
    (folder / "job.yaml").write_text(f"name: a\ngroup: g\ncommand: [x]\n{text}\n", encoding="utf-8")
    return str(folder / "job.yaml")


def test_a_dry_run_sends_no_folder(dure: Callable[..., Any], tmp_path: Path) -> None:
    server = Server({"POST jobs/dry-run": STARTS})
    done = dure(server, "submit", job_file(tmp_path, "working_directory: ."), "--dry-run")
    assert done.exit_code == 0, done.output
    assert server.asked == ["POST jobs/dry-run"]
    assert "working_directory" not in server.bodies[0]


def test_a_dry_run_tells_of_a_folder_that_cannot_be_sent(dure: Callable[..., Any], tmp_path: Path) -> None:
    done = dure(Server({}), "submit", job_file(tmp_path, "working_directory: nowhere"), "--dry-run")
    assert done.exit_code == EXIT_USAGE and "nowhere" in done.output


def test_an_image_is_said_to_be_for_sites_that_run_containers(dure: Callable[..., Any], tmp_path: Path) -> None:
    done = dure(Server({"POST jobs/dry-run": STARTS}), "submit", job_file(tmp_path, "image: a/b"), "--dry-run")
    assert done.exit_code == 0 and "image: only sites that run containers" in done.stderr


def test_an_earlier_run_is_not_followed(dure: Callable[..., Any]) -> None:
    server = Server({})
    done = dure(server, "logs", "7", "--follow", "--run", "3")
    assert done.exit_code == EXIT_USAGE and "--run" in done.output and server.asked == []


@pytest.mark.parametrize("follow", [[], ["--follow"]])
def test_a_worker_that_the_job_has_not_is_refused_with_those_it_has(
    dure: Callable[..., Any], follow: list[str]
) -> None:
    done = dure(Server({"GET jobs/7": {"workers": 2}}), "logs", "7", "--rank", "5", *follow)
    assert done.exit_code == EXIT_USAGE and "workers 0 to 1" in done.output
