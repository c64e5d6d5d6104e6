"""The agents' routes over HTTP: who is let in, logs, outputs and contents of a site's own runs alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from application import application_over
from fastapi import FastAPI
from runtime import ScriptedAgent, Stage, make_runtime, runs_now

from scheduler.clock import ManualClock
from scheduler.service.secret import hash_of
from scheduler.store import content, logs, sites
from scheduler.store.runs import RunRow

OWN, OTHER = "dure_site_own", "dure_site_other"


@dataclass(frozen=True, kw_only=True)
class Sites:
    """Two sites with credentials, and one job that runs on the first."""

    stage: Stage
    app: FastAPI
    agent: ScriptedAgent
    job: int
    run: RunRow
    working_directory: str
    mentioned: str

    def ask(self, method: str, path: str, secret: str | None = OWN, **arguments: Any) -> httpx.Response:
        """One request of an agent."""
        headers = arguments.pop("headers", {}) | ({} if secret is None else {"Authorization": f"Bearer {secret}"})

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://dure/api/v1/agent/") as client:
                return await client.request(method, path, headers=headers, **arguments)

        return asyncio.run(send())

    def log(self, data: bytes, offset: int, secret: str = OWN, **query: object) -> httpx.Response:
        """Send a piece of the run's log."""
        values = {"epoch": 1, "rank": 0, "offset": offset} | query
        return self.ask("POST", f"runs/{self.run.id}/log", secret, params=values, content=data)


def stored(stage: Stage, data: bytes) -> str:
    """Keep a content; its digest."""
    with content.Incoming(bytes_max=1 << 20) as incoming:
        incoming.write(data)
        incoming.store(stage.runtime.database)
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Sites]:
    clock = ManualClock()
    with make_runtime(tmp_path, clock) as runtime:
        stage = Stage(runtime, clock)
        agent = stage.agent(credential_hash=hash_of(OWN))
        stage.agent("site-2", nodes=0, credential_hash=hash_of(OTHER))
        own, mentioned = stored(stage, b"own"), stored(stage, b"somebody else's")
        environment = {"working_directory": mentioned}
        (job,) = stage.submit(stage.group(), working_directory=own, environment=environment)
        stage.turn()
        agent.sync(runs_now(stage.run(job), 1))
        yield Sites(
            stage=stage, app=application_over(runtime), agent=agent, job=job, run=stage.run(job), working_directory=own,
            mentioned=mentioned,
        )  # fmt: skip


def test_a_sync_needs_a_sites_credential(here: Sites) -> None:
    body = here.agent.request().model_dump(mode="json")
    assert here.ask("POST", "sync", json=body).status_code == 200
    for secret in ("dure_site_wrong", "dure_enrol_x", "", None):
        assert here.ask("POST", "sync", secret, json=body).status_code == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"protocol":1}', b'{"protocol":1,"agent":"a","sequence":-1,"complete":false}', b"\xff\x00"],
)
def test_a_sync_that_cannot_be_read_is_a_bad_request(here: Sites, body: bytes) -> None:
    assert here.ask("POST", "sync", content=body).status_code == 400


def test_a_credential_that_is_withdrawn_lets_nobody_in(here: Sites) -> None:
    here.stage.runtime.database.run(
        lambda transaction: sites.change(transaction, here.agent.site_id, credential_hash=None)
    )
    body = here.agent.request().model_dump(mode="json")
    assert here.ask("POST", "sync", json=body).status_code == 401


def test_a_log_comes_in_without_gaps_and_repeats_do_no_harm(here: Sites) -> None:
    answers = [
        here.log(data, offset).json()["next_offset"]
        for data, offset in ((b"hello ", 0), (b"hello ", 0), (b"!", 9), (b"lo world", 3), (b"", 11))
    ]
    assert answers == [6, 6, 6, 11, 11]
    with here.stage.runtime.database.read() as connection:
        assert logs.read(connection, run_id=here.run.id, rank=0, offset=0).data == b"hello world"


def test_readers_are_told_when_a_log_has_ended_even_without_new_bytes(here: Sites) -> None:
    with here.stage.runtime.bus.subscribe(f"logs:{here.run.id}") as news:
        here.log(b"", 0, ended="true")
        assert news.wait(5) == [(f"logs:{here.run.id}", b"ended:0")]


def test_another_sites_run_does_not_exist_and_another_epoch_is_stale(here: Sites) -> None:
    assert here.log(b"x", 0, OTHER).status_code == 404
    assert here.log(b"x", 0, epoch=2).status_code == 409
    path = f"runs/{here.run.id}/outputs"
    assert here.ask("PUT", path, OTHER, params={"epoch": 1}, content=b"x").status_code == 404
    assert here.ask("PUT", path, params={"epoch": 2}, content=b"x").status_code == 409
    assert here.ask("PUT", "runs/999/outputs", params={"epoch": 1}, content=b"x").status_code == 404
    assert here.stage.job(here.job).outputs is None


def test_outputs_become_the_jobs_and_stay_the_same_when_they_are_sent_again(here: Sites) -> None:
    for _ in range(2):
        answer = here.ask("PUT", f"runs/{here.run.id}/outputs", params={"epoch": 1}, content=b"archive")
        assert answer.status_code == 204
    digest = here.stage.job(here.job).outputs
    assert digest == f"sha256:{hashlib.sha256(b'archive').hexdigest()}"
    assert b"".join(content.read(here.stage.runtime.database, digest)) == b"archive"


def test_outputs_above_the_groups_limit_are_refused(here: Sites) -> None:
    here.stage.runtime.database.run(
        lambda transaction: transaction.connection.exec_driver_sql("UPDATE groups SET output_bytes_max = 10")
    )
    here.stage.runtime.directories.forget()
    here.stage.restart_server()
    data = b"x" * ((1 << 20) + 11)
    answer = here.ask("PUT", f"runs/{here.run.id}/outputs", params={"epoch": 1}, content=data)
    assert answer.status_code == 413
    assert here.stage.job(here.job).outputs is None


def test_outputs_above_the_jobs_own_limit_are_refused(here: Sites) -> None:
    spec = here.stage.job(here.job).spec
    here.stage.change_job(here.job, spec=spec[:-1] + ',"outputs_limit":1}')
    path, most = f"runs/{here.run.id}/outputs", 2 << 20
    assert here.ask("PUT", path, params={"epoch": 1}, content=b"x" * (most + 1)).status_code == 413
    assert here.ask("PUT", path, params={"epoch": 1}, content=b"x" * most).status_code == 204


def test_only_the_working_directories_of_a_sites_own_live_runs_are_given_out(here: Sites) -> None:
    answer = here.ask("GET", f"content/{here.working_directory}")
    assert (answer.status_code, answer.content) == (200, b"own")
    assert here.ask("GET", f"content/{here.working_directory}", OTHER).status_code == 404
    assert here.ask("GET", f"content/{here.mentioned}").status_code == 404, "a text in the job file is no order"
    assert here.ask("GET", "content/sha256:x").status_code == 400


@pytest.mark.parametrize("wrong", [{"epoch": 0}, {"rank": -1}, {"offset": 2**60}, {"epoch": "x"}, {"rank": None}])
def test_numbers_out_of_bounds_are_bad_requests(here: Sites, wrong: dict[str, object]) -> None:
    query = {"epoch": 1, "rank": 0, "offset": 0} | wrong
    assert here.ask("POST", f"runs/{here.run.id}/log", params=query, content=b"x").status_code == 400


def test_a_run_number_that_no_record_can_hold_is_a_bad_request(here: Sites) -> None:
    query = {"epoch": 1, "rank": 0, "offset": 0}
    assert here.ask("POST", f"runs/{2**70}/log", params=query).status_code == 400


def test_an_address_may_not_guess_enrolment_tokens_for_ever(here: Sites) -> None:
    body = {"protocol": 1, "agent": "a"}

    def guess(number: int) -> httpx.Response:
        return here.ask("POST", "enrol", f"guess-{number}", json=body, headers={"Idempotency-Key": "once"})

    answers = [guess(number) for number in range(40)]
    assert {answer.json()["code"] for answer in answers} == {"EnrolmentRefused", "RateLimited"}
    assert answers[0].json()["code"] == "EnrolmentRefused"
    assert answers[-1].status_code == 429
