"""Retries, deadlines and nodes that are set aside, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scheduler.api.conftest import Cast

JOB: dict[str, Any] = {"name": "job", "command": ["true"], "memory_per_worker": 16, "group": Cast.own}
NODE = "sites/site-1/nodes/default-0"


def test_a_number_of_retries_and_retries_by_category_are_both_taken_and_told(cast: Cast) -> None:
    submitter = cast.people["submitter"]
    asked: list[tuple[Any, dict[str, Any]]] = [
        (3, {"program": 3, "memory": None, "walltime": 0, "infrastructure": 20}),
        ({"memory": 1, "infrastructure": 2}, {"program": 0, "memory": 1, "walltime": 0, "infrastructure": 2}),
    ]
    for retries, told in asked:
        job = cast.federation.job(submitter, cast.own, ["true"], retries=retries)
        document = cast.federation.wait(submitter, job, "succeeded")
        assert document["spec"]["retries"] == told
        left = {each["category"]: (each["failed"], each["retries"]) for each in document["retries"]}
        assert left == {name: (0, limit) for name, limit in told.items() if limit}
        assert [run["category"] for run in document["runs"]] == [None]


@pytest.mark.parametrize("wrong", [{"policy": 1}, -1, 101, "often", [1]])
def test_retries_of_what_has_none_are_refused(cast: Cast, wrong: Any) -> None:
    answer = cast.people["submitter"].ask("POST", "jobs", json=JOB | {"retries": wrong})
    assert (answer.status_code, answer.json()["errors"][0]["field"].split(".")[0]) == (400, "retries")


def test_a_deadline_that_cannot_be_met_is_refused_also_as_a_question(cast: Cast) -> None:
    submitter = cast.people["submitter"]
    for path in ("jobs", "jobs/dry-run"):
        answer = submitter.ask("POST", path, json=JOB | {"walltime": "2h", "deadline": "1h"})
        error = answer.json()["errors"][0]
        assert (answer.status_code, error["field"], "7200 s" in error["message"]) == (422, "deadline", True)
    wrong = submitter.ask("POST", "jobs", json=JOB | {"deadline": "someday"}).json()
    assert (wrong["errors"][0]["field"], "12h" in wrong["errors"][0]["message_ko"]) == ("deadline", True)


def test_a_job_tells_its_deadline_and_when_it_has_to_start(cast: Cast) -> None:
    submitter = cast.people["submitter"]
    job = cast.federation.job(submitter, cast.own, ["true"], walltime="1h", deadline="2190-01-01T09:00")
    document = submitter.get(f"jobs/{job}")
    assert (document["deadline"], document["start_by"]) == ("2190-01-01T00:00:00.000Z", "2189-12-31T23:00:00.000Z")
    assert submitter.get(f"jobs/{cast.job}")["deadline"] is None


def test_an_operator_sets_a_node_aside_sees_it_and_gives_it_back(cast: Cast) -> None:
    operator, viewer = cast.people["operator"], cast.people["viewer"]
    assert operator.ask("POST", f"{NODE}/set-aside", json={"why": " "}).status_code == 400
    try:
        aside = operator.post(f"{NODE}/set-aside", {"why": "fans"})["set_aside"]
        assert (aside["by"], aside["reason"]["code"]) == ("operator", "NodeSetAsideBy")
        assert "fans" in aside["reason"]["text"] and "fans" in aside["reason"]["text_ko"]
        (listed,) = operator.get("sites/site-1/nodes", aside="true")["items"]
        assert listed["set_aside"] == aside
        assert operator.get("sites/site-1")["nodes_set_aside"] == 1
        assert "nodes_set_aside" not in viewer.get("sites/site-1")
        assert viewer.get("sites/site-1")["gpu_classes"][0]["total"] == 0
        waits = cast.federation.job(cast.people["submitter"], cast.own, ["true"])
        assert cast.people["submitter"].get(f"jobs/{waits}")["state"] == "queued"
    finally:
        operator.post(f"{NODE}/return", {"why": "new fans"})
    cast.federation.wait(cast.people["submitter"], waits, "succeeded")
    assert operator.get("sites/site-1/nodes", aside="true")["items"] == []
    kinds = [event["kind"] for event in operator.get("sites/site-1/events", limit=1000)["items"]]
    assert [kind for kind in kinds if kind.startswith("node.")] == ["node.set_aside", "node.returned"]
    assert not [kind for kind in kinds if kind.startswith(("job.", "run."))]
    assert operator.ask("POST", "sites/site-1/nodes/nowhere/return", json={"why": "x"}).status_code == 404
