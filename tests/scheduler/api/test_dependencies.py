"""Jobs after others and job arrays over HTTP: refused by field with the mend, run in order, and done with as one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scheduler.api.conftest import Cast

JOB: dict[str, Any] = {"name": "job", "command": ["true"], "memory_per_worker": 16, "group": Cast.own}


def refused(cast: Cast, who: str = "submitter", **values: Any) -> tuple[int, str, str]:
    """How a submission is refused: status, code, and the field."""
    answer = cast.people[who].ask("POST", "jobs", json=JOB | values)
    document = answer.json()
    return answer.status_code, document["code"], document["errors"][0]["field"]


def failed_job(cast: Cast) -> int:
    """A job that was cancelled before it could succeed."""
    job = cast.federation.waiting_job(cast.people["submitter"], cast.own)
    cast.people["submitter"].post(f"jobs/{job}/cancel", {})
    return job


def test_jobs_run_one_after_the_other(cast: Cast) -> None:
    federation, submitter = cast.federation, cast.people["submitter"]
    first = federation.job(submitter, cast.own, ["true"])
    second = federation.job(submitter, cast.own, ["true"], after_ok=[first], after=[first])
    federation.wait(submitter, second, "succeeded")
    assert submitter.get(f"jobs/{first}")["state"] == "succeeded"


def test_a_job_says_for_which_it_waits_and_is_cancelled_when_that_never_comes(cast: Cast) -> None:
    federation, submitter = cast.federation, cast.people["submitter"]
    first = federation.waiting_job(submitter, cast.own)
    second = federation.job(submitter, cast.own, ["true"], after_ok=[first])
    (reason,) = submitter.get(f"jobs/{second}/why")["reasons"]
    assert (reason["code"], reason["numbers"]) == ("WaitingForSuccess", {"job": first, "state": "queued", "jobs": 1})
    assert str(first) in reason["text"] and str(first) in reason["text_ko"]
    dry = submitter.ask("POST", "jobs/dry-run", json=JOB | {"after_ok": [first]}).json()
    assert (dry["would_start"], dry["reasons"][0]["code"]) == (False, "WaitingForSuccess")
    submitter.post(f"jobs/{first}/cancel", {})
    ended = federation.wait(submitter, second, "cancelled")
    assert (ended["reason"]["code"], ended["reason"]["numbers"]["job"]) == ("DependencyFailed", first)


@pytest.mark.parametrize("field", ["after", "after_ok"])
def test_a_job_that_is_not_there_or_not_seen_is_refused_by_its_field(cast: Cast, field: str) -> None:
    for job in (2**40, cast.foreign_job):
        assert refused(cast, **{field: [cast.job, job]}) == (404, "DependencyNotFound", field)
    assert refused(cast, **{field: [cast.job, cast.job]}) == (400, "InvalidField", field)


def test_what_never_succeeds_is_refused_and_its_end_is_as_good_as_a_start(cast: Cast) -> None:
    failed = failed_job(cast)
    assert refused(cast, after_ok=[failed]) == (422, "DependencyNeverMet", "after_ok")
    job = cast.federation.job(cast.people["submitter"], cast.own, ["true"], after=[failed], after_ok=[cast.job])
    cast.federation.wait(cast.people["submitter"], job, "succeeded")


def test_each_job_of_a_batch_is_judged_by_itself(cast: Cast) -> None:
    batch = [JOB | {"after": [2**40]}, JOB, {"name": 1}, JOB | {"after_ok": [cast.job]}, JOB | {"array": "0-2"}]
    items = cast.people["submitter"].post("jobs/batch", {"jobs": batch})["items"]
    assert [item["status"] for item in items] == [404, 201, 400, 201, 201]
    assert items[4]["job"]["id"] == items[3]["job"]["id"] + 1
    array = cast.people["submitter"].get("jobs", array=items[4]["job"]["id"])["items"]
    assert [job["array"]["task"] for job in array] == [2, 1, 0]


def test_an_array_is_answered_with_the_numbers_of_its_jobs_and_runs(cast: Cast) -> None:
    federation, submitter = cast.federation, cast.people["submitter"]
    answer = submitter.ask("POST", "jobs", json=JOB | {"array": "0-4:2%1"}).json()
    number = answer["id"]
    assert answer["array"] == {"id": number, "tasks": 3, "first_job": number + 1, "last_job": number + 3}
    for job in range(number + 1, number + 4):
        shown = federation.wait(submitter, job, "succeeded")
        place = {"id": number, "task": 2 * (job - number - 1), "tasks": 3, "running_max": 1}
        assert shown["array"] == place
    missing = submitter.ask("GET", f"jobs/{number}")
    assert (missing.status_code, missing.json()["code"]) == (404, "JobIsArray")
    assert submitter.get(f"jobs/{cast.job}")["array"] is None


@pytest.mark.parametrize("array", ["0-5000", "5-1", "0-9%0", "", "x", 7, "1,1", "0-9:0"])
def test_what_makes_no_array_is_refused_with_the_mend(cast: Cast, array: object) -> None:
    assert refused(cast, array=array) == (400, "InvalidField", "array")


def test_arrays_of_one_request_together_are_no_larger_than_it_may_be(cast: Cast) -> None:
    batch = [JOB | {"array": "0-2999"}, JOB | {"array": "0-2999"}, JOB | {"array": "0-1"}]
    submitter = cast.people["submitter"]
    items = submitter.post("jobs/batch", {"jobs": batch})["items"]
    assert [item["status"] for item in items] == [201, 413, 201]
    assert (items[1]["problem"]["code"], items[1]["problem"]["errors"][0]["field"]) == ("BatchTooLarge", "array")
    done = submitter.post(f"arrays/{items[0]['job']['id']}/cancel", {"why": "only looked"})
    assert done["tasks"] == 3000


def test_an_array_is_held_released_and_cancelled_as_one(cast: Cast) -> None:
    submitter = cast.people["submitter"]
    number = cast.federation.waiting_job(submitter, cast.own, array="0-2")
    for action, state in (("hold", "held"), ("release", "queued"), ("cancel", "cancelled")):
        assert submitter.post(f"arrays/{number}/{action}", {}) == {"array": number, "tasks": 3, "changed": 3}
        assert {job["state"] for job in submitter.get("jobs", array=number)["items"]} == {state}
    answer = submitter.ask("POST", f"arrays/{number}/hold", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "StateConflict")
    lost = cast.people["foreigner"].ask("POST", f"arrays/{number}/cancel", json={})
    assert (lost.status_code, lost.json()["code"]) == (404, "ArrayNotFound")


def test_the_same_request_makes_no_second_array(cast: Cast) -> None:
    submitter, key = cast.people["submitter"], {"Idempotency-Key": "array-once"}
    first, again = (submitter.ask("POST", "jobs", json=JOB | {"array": "0-1"}, headers=key).json() for _ in range(2))
    assert first == again
