"""People and a site with real processes: jobs go out, come back, and are charged."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from eventually import eventually
from live_federation import LiveFederation, live_federation
from real_postgresql import PostgreSql
from real_redis import running_redis

pytestmark = pytest.mark.slow

GROUP = "research.laboratory.vision"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def federation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveFederation]:
    if request.param == "sqlite":
        with live_federation(tmp_path) as made:
            made.group(GROUP)
            yield made
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    with (
        running_redis() as redis_url,
        live_federation(tmp_path, database_url=server.create_database(), redis_url=redis_url) as made,
    ):
        made.group(GROUP)
        yield made


def test_a_job_runs_its_log_comes_back_and_its_use_is_on_the_ledger(federation: LiveFederation) -> None:
    federation.site("site-1", "2x8:h100")
    researcher = federation.person("researcher", {GROUP: "submitter"})
    command = ["sh", "-c", "echo worker $RANK of $WORLD_SIZE; sleep 0.3; echo out > result.txt"]
    job = federation.job(researcher, GROUP, command, workers=2, gpus_per_worker=4, outputs=["result.txt"])
    ended = federation.wait(researcher, job, "succeeded", "failed")
    assert (ended["state"], ended["exit_code"], ended["site"]) == ("succeeded", 0, "site-1")
    for rank in range(2):
        eventually(lambda rank=rank: f"worker {rank} of 2" in researcher.ask("GET", f"jobs/{job}/log?rank={rank}").text)
    usage = researcher.get(f"groups/{GROUP}/usage")
    assert usage["items"][0]["gpu_seconds"] == pytest.approx(researcher.get(f"jobs/{job}")["gpu_seconds"])
    assert usage["items"][0]["gpu_seconds"] >= 8 * 0.3
    eventually(lambda: researcher.get(f"jobs/{job}")["has_outputs"], 20)
    archive = researcher.ask("GET", f"jobs/{job}/outputs")
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as outputs:
        assert any(name.endswith("result.txt") for name in outputs.getnames())


def test_a_failing_command_is_tried_again_and_then_fails_with_its_exit_code(federation: LiveFederation) -> None:
    federation.site("site-1", "1x8:h100")
    researcher = federation.person("researcher", {GROUP: "submitter"})
    job = federation.job(researcher, GROUP, ["sh", "-c", "exit 3"], retries=1)
    ended = federation.wait(researcher, job, "failed")
    assert (ended["epoch"], ended["exit_code"], ended["reason"]["code"]) == (2, 3, "CommandFailed")


def test_a_running_job_is_cancelled_and_its_gpus_are_free_again(federation: LiveFederation) -> None:
    federation.site("site-1", "1x8:h100")
    researcher = federation.person("researcher", {GROUP: "submitter"})
    job = federation.job(researcher, GROUP, ["sleep", "600"], gpus_per_worker=8)
    federation.wait(researcher, job, "running")
    waiting = federation.job(researcher, GROUP, ["true"], gpus_per_worker=8)
    why = eventually(lambda: found if (found := researcher.get(f"jobs/{waiting}/why"))["sites"] else None, 10)
    assert why["reasons"][0]["code"] == "WaitingForCapacity"
    assert why["reasons"][0]["numbers"]["asked"] == 8
    assert why["counterfactual"]["nodes"] == 1
    researcher.post(f"jobs/{job}/cancel", {"why": "enough"})
    assert federation.wait(researcher, job, "cancelled")["reason"]["numbers"]["person"] == "researcher"
    federation.wait(researcher, waiting, "succeeded")
    assert researcher.get("gpus")["by_class"][0]["free"] == 8


def test_a_held_job_waits_until_it_is_released(federation: LiveFederation) -> None:
    researcher = federation.person("researcher", {GROUP: "submitter"})
    federation.site("site-1", "1x8:h100")
    blocker = federation.job(researcher, GROUP, ["sleep", "600"], gpus_per_worker=8)
    federation.wait(researcher, blocker, "running")
    job = federation.job(researcher, GROUP, ["true"], gpus_per_worker=8)
    assert researcher.post(f"jobs/{job}/hold")["reason"]["code"] == "HeldByOwner"
    researcher.post(f"jobs/{blocker}/cancel")
    federation.wait(researcher, blocker, "cancelled")
    assert researcher.get(f"jobs/{job}")["state"] == "held"
    researcher.post(f"jobs/{job}/release")
    federation.wait(researcher, job, "succeeded")


def test_a_requeued_job_runs_again_with_its_next_epoch_and_its_checkpoint(federation: LiveFederation) -> None:
    federation.site("site-1", "1x8:h100")
    researcher = federation.person("researcher", {GROUP: "submitter"})
    script = (
        'trap "echo saved > $DURE_CHECKPOINT_DIR/saved; exit 1" USR1;'
        " test -e $DURE_CHECKPOINT_DIR/saved && exit 0; while :; do sleep 0.05; done"
    )
    checkpoint = {"directory": "auto", "signal": "SIGUSR1", "grace": "10s"}
    job = federation.job(researcher, GROUP, ["sh", "-c", script], checkpoint=checkpoint)
    federation.wait(researcher, job, "running")
    researcher.post(f"jobs/{job}/requeue", {"why": "move over"})
    ended = federation.wait(researcher, job, "succeeded")
    assert (ended["epoch"], ended["bound_site"]) == (2, "site-1")


def test_an_emergency_stop_ends_everything_and_the_jobs_queue_again(federation: LiveFederation) -> None:
    federation.site("site-1", "1x8:h100")
    researcher = federation.person("researcher", {GROUP: "submitter"})
    federation.administrator.post("sites/site-1/operators", {"person": "operator"})
    operator = federation.person("operator")
    job = federation.job(researcher, GROUP, ["sleep", "600"])
    federation.wait(researcher, job, "running")
    runs = operator.get("sites/site-1/runs")["items"]
    assert [set(run) for run in runs] == [
        {"run", "group", "gpus", "gpu_class", "nodes", "phase", "leased_at", "started_at"}
    ]
    assert operator.ask("GET", f"jobs/{job}").status_code == 404
    stopped = operator.post("sites/site-1/stop", {"why": "smoke"})
    assert (stopped["state"], stopped["state_reason"]) == ("stopped", "smoke")
    federation.wait(researcher, job, "queued")
    operator.post("sites/site-1/resume", {"why": "aired"})
    assert federation.wait(researcher, job, "running")["epoch"] == 2
    researcher.post(f"jobs/{job}/cancel")
    federation.wait(researcher, job, "cancelled")


def test_a_moved_group_a_lowered_quota_and_a_removed_member_end_no_running_job(federation: LiveFederation) -> None:
    federation.site("site-1", "1x8:h100")
    federation.group("research.institute")
    researcher = federation.person("researcher", {GROUP: "submitter"})
    administrator = federation.administrator
    job = federation.job(researcher, GROUP, ["sleep", "600"], gpus_per_worker=4)
    federation.wait(researcher, job, "running")
    set_limit = administrator.ask(
        "PUT", f"groups/{GROUP}/quota/h100", json={"limit": 0, "why": "test"}, headers={"If-None-Match": "*"}
    )
    assert set_limit.status_code == 200, set_limit.text
    administrator.ask("DELETE", f"groups/{GROUP}/members/researcher?role=submitter&why=left")
    moved = administrator.post(f"groups/{GROUP}/move", {"parent": "research.institute", "why": "merger"})
    assert moved["path"] == "research.institute.vision"
    (quota,) = administrator.get(f"groups/{moved['path']}/quota")["items"]
    assert (quota["used"], quota["used_borrowed"], quota["limit"]) == (4, 4, 0)
    assert administrator.get(f"jobs/{job}")["state"] == "running"
    actors = {(event["kind"], event["actor"]) for event in administrator.get("events", limit=1000)["items"]}
    for kind in ("quota.set", "member.removed", "group.moved"):
        assert (kind, "administrator") in actors
    administrator.post(f"jobs/{job}/cancel")
    federation.wait(administrator, job, "cancelled")


def test_two_hundred_instant_jobs_end_once_and_the_ledger_balances(federation: LiveFederation) -> None:
    federation.site("site-1", "8x8:h100", instant=True)
    researcher = federation.person("researcher", {GROUP: "submitter"})
    documents = [{"name": f"job-{number}", "group": GROUP, "command": ["true"]} for number in range(200)]
    answer = researcher.post("jobs/batch", {"jobs": documents})
    assert {item["status"] for item in answer["items"]} == {201}
    eventually(lambda: not researcher.get("jobs", state="live")["items"], 60)
    assert {job["epoch"] for job in researcher.get("jobs", limit=1000)["items"]} == {1}
    assert researcher.get(f"groups/{GROUP}/usage")["items"][0]["runs"] == 200


def test_what_can_never_run_is_refused_at_once_with_its_numbers(federation: LiveFederation) -> None:
    federation.site("site-1", "1x8:h100")
    researcher = federation.person("researcher", {GROUP: "submitter"})
    base = {"name": "job", "group": GROUP, "command": ["true"]}

    def refused(**values: object) -> tuple[int, str]:
        answer = researcher.ask("POST", "jobs", json=base | values)
        return answer.status_code, answer.json()["code"]

    assert refused(workers=3, gpus_per_worker=4) == (422, "ExceedsCapacity")
    assert refused(gpus_per_worker=8, cpus_per_worker=4096) == (422, "NoNodeFits")
    assert refused(gpu_classes=["tpu"]) == (422, "UnknownGpuClass")
    assert refused(data_class="C") == (422, "DataClassNotAllowed")
    assert refused(gpus_per_worker=8, preemptible=False) == (422, "ExceedsGuarantee")
    federation.site("lender-1", "1x8:l40s")
    offer = {"site": "lender-1", "gpu_class": "l40s", "nodes": 1, "notice": "1h"}
    federation.administrator.post("offers", offer | {"sectors": ["startup"]})
    assert refused(gpu_classes=["l40s"], walltime="2h") == (422, "NeverLentTo")
    hour = {"time_zone": "Asia/Seoul", "windows": [{"from": "03:00", "to": "04:00"}]}
    federation.administrator.post("offers", offer | {"calendar": hour})
    assert refused(gpu_classes=["l40s"], walltime="2h") == (422, "WindowsTooShort")
    assert refused(group="research.elsewhere") == (404, "GroupNotFound")
    assert refused(gpus=8) == (400, "InvalidField")
    assert refused(working_directory="sha256:" + "0" * 64) == (404, "ContentNotFound")


def test_a_request_repeated_under_its_key_has_the_same_answer_and_submits_once(federation: LiveFederation) -> None:
    federation.site("site-1", "1x8:h100", instant=True)
    researcher = federation.person("researcher", {GROUP: "submitter"})
    body = {"name": "job", "group": GROUP, "command": ["true"]}
    headers = {"Idempotency-Key": "once"}
    first, again = (researcher.ask("POST", "jobs", json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(researcher.get("jobs")["items"]) == 1
    other = researcher.ask("POST", "jobs", json=body | {"name": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "IdempotencyMismatch")


def test_a_repeated_request_has_its_answer_though_the_job_could_not_be_submitted_any_more(
    federation: LiveFederation,
) -> None:
    federation.site("site-1", "1x8:h100", instant=True)
    researcher = federation.person("researcher", {GROUP: "submitter"})
    body = {"name": "job", "group": GROUP, "command": ["true"]}
    first = researcher.ask("POST", "jobs", json=body, headers={"Idempotency-Key": "once"})
    quota = {"limit": 0, "why": "the call is over"}
    set_limit = federation.administrator.ask(
        "PUT", f"groups/{GROUP}/quota/h100", json=quota, headers={"If-None-Match": "*"}
    )
    assert set_limit.status_code == 200, set_limit.text
    assert researcher.ask("POST", "jobs", json=body, headers={"Idempotency-Key": "new"}).status_code == 422
    again = researcher.ask("POST", "jobs", json=body, headers={"Idempotency-Key": "once"})
    assert (again.status_code, again.json()) == (201, first.json())
