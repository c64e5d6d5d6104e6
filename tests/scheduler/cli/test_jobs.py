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

SHOWN = {
    "id": 7, "name": "a", "group": "g", "person": "p", "state": "queued", "gpus": 1, "workers": 1, "gpus_per_worker": 1,
    "data_class": "O", "submitted_at": "2026-11-25T18:00:00.000Z",
}  # fmt: skip
COST = {"credits_per_hour": "1", "credits_max": None}
STARTS = {"would_start": True, "site": "s", "gpu_class": "h100", "nodes": [], "reasons": [], "cost": COST}


@dataclass
class Server:
    """Answers by method and path; ``asked`` is what came, in order."""

    answers: dict[str, Any]
    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The prepared answer; 404 where there is none."""
        known = f"{request.method} {request.url.path.removeprefix('/api/v1/')}"
        self.asked.append(known)
        self.queries.append(dict(request.url.params))
        self.bodies.append(json.loads(request.content) if request.method == "POST" else None)
        found = self.answers.get(known)
        if isinstance(found, str):
            return httpx.Response(200, text=found)
        return httpx.Response(404) if found is None else httpx.Response(200, json=found)


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


def test_a_followed_submission_leaves_standard_output_to_its_document(dure: Callable[..., Any], tmp_path: Path) -> None:
    submitted = {"id": 7, "group": "g"}
    ended = {"id": 7, "state": "succeeded"}
    events = f'event: log\ndata: {{"text": "training"}}\n\nevent: end\ndata: {json.dumps(ended)}\n\n'
    server = Server({"POST jobs": submitted, "GET jobs/7/stream": events})
    done = dure(server, "submit", job_file(tmp_path, ""), "--follow", "-o", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == submitted and "training" in done.stderr


def test_a_dry_run_by_name_is_the_site_alone(dure: Callable[..., Any], tmp_path: Path) -> None:
    done = dure(Server({"POST jobs/dry-run": STARTS}), "submit", job_file(tmp_path, ""), "--dry-run", "-o", "name")
    assert done.stdout == "s\n"


@pytest.mark.parametrize(
    ("words", "document"),
    [
        ("member remove g kim", {"group": "g", "person": "kim", "role": "submitter", "removed": True}),
        ("token revoke 7", {"id": 7, "revoked": True}),
        ("site operator add s kim", {"site": "s", "person": "kim", "operator": True}),
        ("site operator remove s kim", {"site": "s", "person": "kim", "operator": False}),
    ],
)
def test_what_has_no_answer_of_its_own_is_a_document_too(
    dure: Callable[..., Any], words: str, document: dict[str, Any]
) -> None:
    known = ["DELETE groups/g/members/kim", "DELETE tokens/7", "POST sites/s/operators", "DELETE sites/s/operators/kim"]
    server = Server({each: {} for each in known})
    assert json.loads(dure(server, *words.split(), "-o", "json").stdout) == document
    assert dure(server, *words.split()).stdout == ""


def test_a_token_is_made_with_its_reason(dure: Callable[..., Any]) -> None:
    server = Server({"POST tokens": {"id": 1, "person": "kim", "secret": "dure_x"}})
    dure(server, "token", "create", "laptop", "--why", "new laptop")
    assert server.bodies[0]["why"] == "new laptop"


def test_the_record_is_read_with_who_and_why(dure: Callable[..., Any]) -> None:
    event = {
        "id": "1.0",
        "at": "2026-11-24T03:00:00.000Z",
        "kind": "member.added",
        "actor": "kim",
        "why": "new",
        "data": {},
    }
    done = dure(Server({"GET events": {"items": [event], "next_cursor": None}}), "events")
    assert done.exit_code == 0 and "member.added" in done.stdout and "kim" in done.stdout and "new" in done.stdout


def test_a_queue_asks_for_estimates_only_when_told_to_and_a_shown_job_always(dure: Callable[..., Any]) -> None:
    server = Server({"GET jobs": {"items": [], "next_cursor": None}, "GET jobs/7": SHOWN})
    for words in (("queue",), ("queue", "--eta"), ("show", "7", "-o", "json")):
        assert dure(server, *words).exit_code == 0
    assert [query.get("eta") for query in server.queries] == [None, "true", "true"]
