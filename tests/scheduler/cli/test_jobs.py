"""Researchers' commands over a server that notes what it was asked."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from scheduler.cli.app import app
from scheduler.cli.client import Client
from scheduler.cli.failure import EXIT_USAGE, CommandFailure
from scheduler.cli.groups import bytes_of

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
    conditions: list[str | None] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The prepared answer; 404 where there is none."""
        known = f"{request.method} {request.url.path.removeprefix('/api/v1/')}"
        self.asked.append(known)
        self.queries.append(dict(request.url.params))
        self.conditions.append(request.headers.get("If-Match"))
        self.bodies.append(json.loads(request.content) if request.method in ("POST", "PUT") else None)
        found = self.answers.get(known)
        if isinstance(found, httpx.Response):
            return httpx.Response(found.status_code, content=found.content)
        if isinstance(found, str):
            return httpx.Response(200, text=found)
        return httpx.Response(404) if found is None else httpx.Response(200, json=found)


@pytest.fixture
def dure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, against: Callable[..., Any]) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def run(server: Server, *words: str, lang: str = "en") -> Any:
        return against(server.answer, *words, lang=lang)

    return run


def job_file(folder: Path, text: str) -> str:
    (folder / "job.yaml").write_text(f"name: a\ngroup: g\ncommand: [x]\n{text}\n", encoding="utf-8")
    return str(folder / "job.yaml")


def test_classes_given_as_options_replace_those_of_the_file_and_their_speeds(
    dure: Callable[..., Any], tmp_path: Path
) -> None:
    server = Server({"POST jobs/dry-run": STARTS})
    path = job_file(tmp_path, "gpu_classes: [b200]\nspeeds: {b200: 2}")
    done = dure(server, "submit", path, "--gpu-class", "h100=1", "--gpu-class", "a100", "--dry-run")
    assert done.exit_code == 0, done.output
    assert (server.bodies[-1]["gpu_classes"], server.bodies[-1]["speeds"]) == (["h100", "a100"], {"h100": 1.0})


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
    done = dure(Server({"GET jobs/7": {"workers": 1, "workers_max": 2}}), "logs", "7", "--rank", "5", *follow)
    assert done.exit_code == EXIT_USAGE and "workers 0 to 1" in done.output


def test_a_followed_submission_leaves_standard_output_to_its_document(dure: Callable[..., Any], tmp_path: Path) -> None:
    submitted = {"id": 7, "group": "g"}
    ended = {"id": 7, "state": "succeeded"}
    events = f'event: log\ndata: {{"text": "training"}}\n\nevent: end\ndata: {json.dumps(ended)}\n\n'
    server = Server({"POST jobs": submitted, "GET jobs/7/stream": events})
    done = dure(server, "submit", job_file(tmp_path, ""), "--follow", "-o", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == submitted and "training" in done.stderr


def test_a_limit_of_the_outputs_goes_into_the_job_file(dure: Callable[..., Any], tmp_path: Path) -> None:
    server = Server({"POST jobs": {"id": 7, "group": "g"}})
    done = dure(server, "submit", job_file(tmp_path, ""), "--collect", "*.npz", "--output-limit", "512MiB")
    assert done.exit_code == 0, done.output
    assert (server.bodies[0]["outputs"], server.bodies[0]["outputs_limit"]) == (["*.npz"], "512MiB")


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


def archive(name: str) -> httpx.Response:
    """A job's outputs: one small file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as files:
        member = tarfile.TarInfo(name)
        member.size = 2
        files.addfile(member, io.BytesIO(b"ok"))
    return httpx.Response(200, content=packed.getvalue())


LEFT_OUT = "outputs left out, above the limit of 10 bytes: model.npz"


def test_pull_says_what_was_left_out_and_why(dure: Callable[..., Any], tmp_path: Path) -> None:
    runs = [
        {"epoch": 1, "message": "outputs left out: old"},
        {"epoch": 2, "message": f"worker 0 was first; {LEFT_OUT}"},
    ]
    server = Server({"GET jobs/7/outputs": archive("result.txt"), "GET jobs/7": {"runs": runs}})
    done = dure(server, "pull", "7", "-d", str(tmp_path))
    assert LEFT_OUT in done.stderr and "old" not in done.stderr and (tmp_path / "result.txt").read_text() == "ok"
    korean = dure(server, "pull", "7", "-d", str(tmp_path), lang="ko").stderr
    assert "한도 10바이트를 넘어 뺀 결과물: model.npz" in korean
    document = json.loads(dure(server, "pull", "7", "-d", str(tmp_path), "-o", "json").stdout)
    assert document["left_out"] == LEFT_OUT


def test_outputs_that_came_whole_leave_nothing_to_say(dure: Callable[..., Any], tmp_path: Path) -> None:
    server = Server({"GET jobs/7/outputs": archive("a"), "GET jobs/7": {"runs": [{"epoch": 1, "message": ""}]}})
    assert json.loads(dure(server, "pull", "7", "-d", str(tmp_path), "-o", "json").stdout)["left_out"] is None


def test_a_log_is_a_document_too(dure: Callable[..., Any]) -> None:
    done = dure(Server({"GET jobs/7/log": "학습\n"}), "logs", "7", "-o", "json")
    assert json.loads(done.stdout) == {"job": 7, "rank": 0, "run": None, "text": "학습\n"}


def test_a_followed_log_as_a_document_is_the_ended_job(dure: Callable[..., Any]) -> None:
    events = 'event: log\ndata: {"text": "training"}\n\nevent: end\ndata: {"id": 7, "state": "succeeded"}\n\n'
    done = dure(Server({"GET jobs/7/stream": events}), "logs", "-f", "7", "-o", "json")
    assert json.loads(done.stdout)["state"] == "succeeded" and "training" in done.stderr


def test_signing_in_and_out_are_documents_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(Client, "get", lambda *_: {"person": "kim"})
    words = ["login", "--server", "http://server", "--token", "dure_x", "-o", "json"]
    signed_in = json.loads(CliRunner().invoke(app, words).stdout)
    assert (signed_in["server"], signed_in["person"]) == ("http://server", "kim")
    assert json.loads(CliRunner().invoke(app, ["logout", "-o", "json"]).stdout) == {"signed_out": True}
    assert json.loads(CliRunner().invoke(app, ["logout", "-o", "json"]).stdout) == {"signed_out": False}


@pytest.mark.parametrize(
    ("typed", "told"), [("", "No token came"), ("\n", "No token came"), ("a b\n", "begins with dure_")]
)
def test_what_comes_on_standard_input_and_is_no_token_is_refused_without_a_question(typed: str, told: str) -> None:
    done = CliRunner().invoke(app, ["--lang", "en", "login", "--server", "http://server"], input=typed)
    assert done.exit_code == EXIT_USAGE and told in done.stderr


@pytest.mark.parametrize(("size", "bytes_max"), [("none", None), ("4096", 4096), ("2KiB", 2048), ("10GiB", 10 << 30)])
def test_a_group_s_limit_of_outputs_is_set(dure: Callable[..., Any], size: str, bytes_max: int | None) -> None:
    server = Server({"PUT groups/g/output-limit": {"path": "g"}})
    done = dure(server, "group", "output-limit", "g", size, "--why", "large models", "-o", "name")
    assert done.stdout == "g\n" and server.bodies == [{"output_bytes_max": bytes_max, "why": "large models"}]


@pytest.mark.parametrize(("word", "order"), [("least_work", "least_work"), ("inherit", None)])
def test_a_group_s_order_is_set_against_the_etag_that_is_read(
    dure: Callable[..., Any], word: str, order: str | None
) -> None:
    server = Server({"GET groups/g": {"path": "g", "etag": "7"}, "PUT groups/g/order": {"path": "g"}})
    done = dure(server, "group", "order", "g", word, "-o", "name")
    assert done.stdout == "g\n" and server.bodies == [None, {"order": order, "why": ""}]
    assert server.conditions == [None, '"7"']


@given(st.text(max_size=12))
def test_any_size_is_read_or_refused_by_its_name(text: str) -> None:
    try:
        found = bytes_of(text)
    except CommandFailure as refusal:
        assert "SIZE" in str(refusal)
    else:
        assert found is None or found >= 0


def test_a_queue_asks_for_estimates_only_when_told_to_and_a_shown_job_always(dure: Callable[..., Any]) -> None:
    server = Server({"GET jobs": {"items": [], "next_cursor": None}, "GET jobs/7": SHOWN})
    for words in (("queue",), ("queue", "--eta"), ("show", "7", "-o", "json")):
        assert dure(server, *words).exit_code == 0
    assert [query.get("eta") for query in server.queries] == [None, "true", "true"]


def test_jobs_after_others_and_arrays_are_asked_for_by_options(dure: Callable[..., Any], tmp_path: Path) -> None:
    array = {"id": 17, "tasks": 3, "first_job": 18, "last_job": 20}
    server = Server({"POST jobs": {"id": 17, "group": "g", "array": array}})
    words = ("--after", "3", "--after", "4", "--after-ok", "5", "--array", "0-4:2%1")
    done = dure(server, "submit", job_file(tmp_path, "after_ok: [9]"), *words)
    assert done.exit_code == 0, done.output
    sent = server.bodies[0]
    assert (sent["after"], sent["after_ok"], sent["array"]) == ([3, 4], [5], "0-4:2%1")
    assert done.stdout == "Submitted array 17 to g: 3 jobs, 18 to 20.\n"


def test_an_array_is_not_followed(dure: Callable[..., Any], tmp_path: Path) -> None:
    server = Server({})
    for words in (("--array", "0-4"), ()):
        done = dure(server, "submit", job_file(tmp_path, "array: 0-4"), "--follow", *words)
        assert done.exit_code == EXIT_USAGE and "dure queue --array" in done.output and server.asked == []


@pytest.mark.parametrize("action", ["cancel", "hold", "release", "requeue"])
def test_what_is_done_with_an_array_is_done_with_its_number(dure: Callable[..., Any], action: str) -> None:
    is_array = httpx.Response(404, json={"code": "JobIsArray", "detail": "17 is an array of 3 jobs"})
    task = SHOWN | {"id": 18, "array": {"id": 17, "task": 4, "tasks": 3, "running_max": 1}}
    server = Server(
        {
            f"POST jobs/17/{action}": is_array,
            f"POST arrays/17/{action}": {"array": 17, "tasks": 3, "changed": 2},
            "GET jobs": {"items": [task], "next_cursor": None},
            f"POST jobs/7/{action}": SHOWN,
        }
    )
    done = dure(server, action, "7", "17", "--why", "a wrong turn")
    assert done.exit_code == 0, done.output
    assert "Array 17: 2 of 3 jobs changed." in done.stderr
    assert "18(17_4)" in done.stdout and "is an array" not in done.stderr
    assert server.asked == [f"POST jobs/7/{action}", f"POST jobs/17/{action}", f"POST arrays/17/{action}", "GET jobs"]
    assert server.bodies[2]["why"] == "a wrong turn"
    assert server.queries[3]["array"] == "17"


def test_a_job_that_is_not_there_is_no_array(dure: Callable[..., Any]) -> None:
    server = Server({"POST jobs/7/cancel": httpx.Response(404, json={"code": "JobNotFound", "detail": "no job 7"})})
    done = dure(server, "cancel", "7")
    assert done.exit_code == 4 and "no job 7" in done.stderr and server.asked == ["POST jobs/7/cancel"]


def test_the_jobs_of_an_array_are_listed_whoever_submitted_them(dure: Callable[..., Any]) -> None:
    server = Server({"GET jobs": {"items": [], "next_cursor": None}})
    assert dure(server, "queue", "--array", "17").exit_code == 0
    assert (server.queries[0]["array"], server.queries[0]["mine"]) == ("17", "false")
