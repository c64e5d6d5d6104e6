"""Every route × every role × own and foreign group: who gets in, who is told "no", for whom it does not exist."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from live_federation import ask_once

from scheduler.portal.session import form_value
from tests.scheduler.api.conftest import Cast

EVERYBODY = frozenset({"administrator", "auditor", "viewer", "submitter", "manager", "foreigner", "operator", "reader"})
OWN_VIEWERS = frozenset({"administrator", "auditor", "viewer", "submitter", "manager", "reader"})
OWN_SUBMITTERS = frozenset({"administrator", "submitter", "manager"})
OWN_MANAGERS = frozenset({"administrator", "manager"})
ADMINISTRATOR = frozenset({"administrator"})
#: only the scope of a read token stands in the way
WRITERS = EVERYBODY - {"reader"}

#: (method, path): who is answered with less than 400 or with a "no" that is not about who they are.
ALLOWED: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/whoami"): EVERYBODY,
    ("GET", "/jobs"): EVERYBODY,
    ("GET", "/job-schema"): EVERYBODY,
    ("GET", "/jobs/{job}"): OWN_VIEWERS,
    ("GET", "/jobs/{job}/why"): OWN_VIEWERS,
    ("GET", "/jobs/{job}/events"): OWN_VIEWERS,
    ("GET", "/jobs/{job}/log"): OWN_VIEWERS,
    ("GET", "/jobs/{job}/stream"): OWN_VIEWERS,
    ("GET", "/jobs/{job}/outputs"): OWN_VIEWERS,
    ("POST", "/jobs"): OWN_SUBMITTERS,
    ("POST", "/jobs/dry-run"): OWN_SUBMITTERS,
    ("POST", "/jobs/{job}/cancel"): OWN_MANAGERS,
    ("POST", "/jobs/{job}/hold"): OWN_MANAGERS,
    ("POST", "/jobs/{job}/release"): OWN_MANAGERS,
    ("POST", "/jobs/{job}/requeue"): OWN_MANAGERS,
    ("POST", "/arrays/{array}/{action}"): OWN_MANAGERS,
    ("GET", "/gpus"): EVERYBODY,
    ("GET", "/certificate"): EVERYBODY,
    ("GET", "/groups"): EVERYBODY,
    ("GET", "/groups/{group}"): OWN_VIEWERS,
    ("POST", "/groups"): OWN_MANAGERS,
    ("POST", "/groups/{group}/move"): ADMINISTRATOR,
    ("PUT", "/groups/{group}/output-limit"): ADMINISTRATOR,
    ("PUT", "/groups/{group}/order"): OWN_MANAGERS,
    ("GET", "/groups/{group}/quota"): OWN_VIEWERS,
    ("PUT", "/groups/{group}/quota/{gpu_class}"): ADMINISTRATOR,
    ("POST", "/quotas/preview"): ADMINISTRATOR,
    ("GET", "/quotas/decay"): EVERYBODY,
    ("PUT", "/quotas/decay"): ADMINISTRATOR,
    ("GET", "/groups/{group}/usage"): OWN_VIEWERS,
    ("GET", "/groups/{group}/members"): OWN_VIEWERS,
    ("POST", "/groups/{group}/members"): OWN_MANAGERS,
    ("DELETE", "/groups/{group}/members/{person}"): OWN_MANAGERS,
    ("GET", "/gpu-classes"): EVERYBODY,
    ("PUT", "/gpu-classes/{name}"): ADMINISTRATOR,
    ("GET", "/tokens"): EVERYBODY,
    ("POST", "/tokens"): WRITERS,
    ("GET", "/events"): frozenset({"administrator", "auditor"}),
    ("GET", "/sites"): EVERYBODY,
    ("POST", "/sites"): ADMINISTRATOR,
    ("GET", "/sites/{name}"): EVERYBODY,
    ("GET", "/sites/{name}/runs"): frozenset({"administrator", "auditor", "operator"}),
    ("GET", "/sites/{name}/owed"): frozenset({"administrator", "auditor", "operator"}),
    ("POST", "/sites/{name}/{action}"): frozenset({"administrator", "operator"}),
    ("POST", "/sites/{name}/enrolment"): frozenset({"administrator", "operator"}),
    ("POST", "/sites/{name}/operators"): frozenset({"administrator", "operator"}),
    ("DELETE", "/sites/{name}/operators/{person}"): frozenset({"administrator", "operator"}),
    ("PUT", "/sites/{name}/blocks/{gpu_class}"): frozenset({"administrator", "operator"}),
    ("DELETE", "/sites/{name}/blocks/{gpu_class}"): frozenset({"administrator", "operator"}),
    ("GET", "/sites/{name}/nodes"): frozenset({"administrator", "auditor", "operator"}),
    ("POST", "/sites/{name}/nodes/{node}/{action}"): frozenset({"administrator", "operator"}),
    ("GET", "/sites/{name}/events"): frozenset({"administrator", "auditor", "operator"}),
    ("GET", "/offers"): EVERYBODY,
    ("POST", "/offers"): frozenset({"administrator", "operator"}),
    ("POST", "/offers/{offer}/close"): WRITERS,
    ("GET", "/sites/{name}/recalls"): frozenset({"administrator", "auditor", "operator"}),
    ("POST", "/sites/{name}/recalls"): frozenset({"administrator", "operator"}),
    ("POST", "/recalls/{recall}/withdraw"): WRITERS,
    ("GET", "/sites/{name}/reservations"): frozenset({"administrator", "auditor", "operator"}),
    ("POST", "/sites/{name}/reservations"): frozenset({"administrator", "operator"}),
    ("POST", "/reservations/{reservation}/withdraw"): WRITERS,
    ("HEAD", "/content/{digest}"): WRITERS,
    ("GET", "/content/{digest}"): WRITERS,
    ("PUT", "/content/{digest}"): WRITERS,
    ("DELETE", "/tokens/{token}"): EVERYBODY,
}
#: Answered item by item, by another credential, or the same for everybody.
ELSEWHERE = {("POST", "/jobs/batch"), ("POST", "/agent/enrol"), ("POST", "/agent/sync")}
JOB = {"name": "job", "command": ["true"], "gpus_per_worker": 8}
DIGEST = "sha256:" + "0" * 64


def body_of(path: str, group: str) -> dict[str, Any] | None:
    bodies: dict[str, dict[str, Any]] = {
        "/jobs": JOB | {"group": group},
        "/jobs/dry-run": JOB | {"group": group},
        "/groups": {"parent": group, "name": "sub"},
        "/groups/{group}/output-limit": {"output_bytes_max": None},
        "/groups/{group}/order": {"order": "fifo"},
        "/groups/{group}/move": {"parent": "research.university"},
        "/groups/{group}/quota/{gpu_class}": {"weight": 1},
        "/quotas/preview": {"quotas": [{"group": group, "gpu_class": "h100", "weight": 2}]},
        "/quotas/decay": {"half_life_seconds": "7d", "entry_seconds": "10m"},
        "/groups/{group}/members": {"person": "viewer", "role": "viewer"},
        "/gpu-classes/{name}": {"credit_numerator": 1, "credit_denominator": 1},
        "/tokens": {"name": "test", "scopes": ["read"]},
        "/sites": {"name": "site-9", "owner": "o", "operator": "o", "facility": "f"},
        "/sites/{name}/operators": {"person": "operator"},
        "/offers": {"site": "site-1", "gpu_class": "h1000", "nodes": 1, "notice": "1h"},
        "/sites/{name}/recalls": {"gpu_class": "h100", "nodes": 1, "by": "2190-01-01T00:00:00Z"},
        "/sites/{name}/nodes/{node}/{action}": {"why": "new memory"},
        "/sites/{name}/blocks/{gpu_class}": {"nodes": 16, "why": "NVL72"},
        "/sites/{name}/reservations": {"nodes": ["nowhere"], "reason": "new cables"},
    }
    return bodies.get(path, {})


def ask(cast: Cast, who: str, method: str, path: str, *, foreign: bool) -> httpx.Response:
    group = cast.foreign if foreign else cast.own
    filled = path.format(
        job=cast.foreign_job if foreign else cast.job,
        array=cast.foreign_array if foreign else cast.array,
        group=group,
        gpu_class="h100",
        name="site-1" if path.startswith("/sites") else "h100",
        action="return" if "{node}" in path else "resume" if path.startswith("/sites") else "cancel",
        node="local-0",
        person="viewer",
        token=1_000_000,
        offer=1_000_000,
        recall=1_000_000,
        reservation=1_000_000,
        digest=DIGEST,
    )
    query = "?role=auditor" if path.endswith("/members/{person}") else ""
    arguments: dict[str, Any] = {} if method in ("GET", "HEAD", "DELETE") else {"json": body_of(path, group)}
    if method == "PUT" and ("quota" in path or path.endswith("/order")):
        arguments["headers"] = {"If-Match": '"1"'}
    return cast.people[who].ask(method, filled.lstrip("/") + query, **arguments)


def lets_in(answer: httpx.Response) -> bool:
    """Whether it was not about who asks. What is refused for another reason had let them in."""
    if answer.status_code in (401, 403):
        return False
    return not (
        answer.status_code == 404
        and answer.content
        and answer.json()["code"] in ("JobNotFound", "GroupNotFound", "ArrayNotFound")
    )


@pytest.mark.parametrize("who", sorted(EVERYBODY))
@pytest.mark.parametrize(("method", "path"), sorted(ALLOWED), ids=str)
def test_a_role_gets_in_where_it_may_and_nowhere_else(cast: Cast, who: str, method: str, path: str) -> None:
    answer = ask(cast, who, method, path, foreign=False)
    assert answer.status_code < 500
    assert lets_in(answer) is (who in ALLOWED[method, path]), answer.text


@pytest.mark.parametrize("who", ["viewer", "submitter", "manager", "operator", "reader"])
@pytest.mark.parametrize(
    ("method", "path"), sorted(each for each in ALLOWED if re.search(r"\{(job|group|array)\}", each[1]))
)
def test_a_foreign_group_and_its_jobs_do_not_exist(cast: Cast, who: str, method: str, path: str) -> None:
    answer = ask(cast, who, method, path, foreign=True)
    scope_missing = who == "reader" and method != "GET"
    assert answer.status_code == (403 if scope_missing else 404), answer.text


@pytest.mark.parametrize(("method", "path"), sorted(ALLOWED.keys() - {("GET", "/job-schema")}))
def test_nobody_gets_in_without_a_token(cast: Cast, method: str, path: str) -> None:
    stranger = cast.federation.person_of("dure_unknown")
    filled = re.sub(r"\{digest\}", DIGEST, path).format(
        job=1,
        array=1,
        group=cast.own,
        gpu_class="h100",
        name="site-1",
        action="resume",
        node="local-0",
        person="viewer",
        token=1,
        offer=1,
        recall=1,
        reservation=1,
    )
    answer = stranger.ask(method, filled.lstrip("/"), headers={"Idempotency-Key": "x", "If-None-Match": "*"})
    assert answer.status_code in (400, 401)


def test_every_route_is_walked(cast: Cast) -> None:
    document = cast.people["viewer"].get("openapi.json")
    routes = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/v1")
    }
    agents = {route for route in routes if route[1].startswith("/agent/")}
    assert routes - agents == set(ALLOWED) | {("POST", "/jobs/batch")}
    assert routes >= ELSEWHERE


def test_lists_hold_what_the_caller_may_see_and_nothing_else(cast: Cast) -> None:
    def groups_seen(who: str) -> set[str]:
        return {job["group"] for job in cast.people[who].get("jobs", limit=1000)["items"]}

    assert cast.foreign not in groups_seen("viewer")
    assert cast.own not in groups_seen("foreigner")
    assert groups_seen("operator") == set()
    assert {cast.own, cast.foreign} <= groups_seen("auditor")


def test_a_revoked_token_is_useless_at_once(cast: Cast) -> None:
    person = cast.federation.person("leaver", {cast.own: "viewer"})
    token = person.get("whoami")["token"]["id"]
    person.ask("DELETE", f"tokens/{token}")
    answer = person.ask("GET", "whoami")
    assert (answer.status_code, answer.json()["code"]) == (401, "TokenRevoked")


def test_a_token_makes_no_token_with_more_than_its_own_scopes(cast: Cast) -> None:
    answer = cast.people["reader"].ask("POST", "tokens", json={"name": "more", "scopes": ["manage"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "ScopeMissing")


def test_a_token_that_does_not_manage_has_no_successors_and_its_owner_can_end_it(cast: Cast) -> None:
    submitter = cast.federation.person("passer-by", {cast.own: "submitter"}, scope="submit")
    answer = submitter.ask("POST", "tokens", json={"name": "next", "scopes": ["read"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "ScopeMissing")
    token = submitter.get("whoami")["token"]["id"]
    assert submitter.ask("DELETE", f"tokens/{token}").status_code == 204
    assert submitter.ask("GET", "whoami").status_code == 401


def test_a_token_that_only_reads_ends_nobody_else_s(cast: Cast) -> None:
    reader = cast.federation.person("administrator", scope="read")
    token = cast.people["viewer"].get("whoami")["token"]["id"]
    answer = reader.ask("DELETE", f"tokens/{token}")
    assert (answer.status_code, answer.json()["code"]) == (403, "ScopeMissing")


def test_a_token_is_made_for_nobody_who_is_not_known(cast: Cast) -> None:
    body = {"name": "test", "person": "a-typing-error", "scopes": ["read"]}
    answer = cast.federation.administrator.ask("POST", "tokens", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "PersonNotFound")


def test_a_secret_is_shown_again_to_the_same_request_and_stands_nowhere_in_the_store(cast: Cast) -> None:
    manager, key = cast.people["manager"], {"Idempotency-Key": "token-once"}
    body = {"name": "laptop", "scopes": ["read"]}
    first, again = (manager.ask("POST", "tokens", json=body, headers=key).json() for _ in range(2))
    assert first["secret"] == again["secret"]
    stored = b"".join(path.read_bytes() for path in cast.federation.folder.glob("dure.sqlite*"))
    assert first["secret"].encode() not in stored
    assert cast.federation.person_of(first["secret"]).get("whoami")["person"] == "manager"


def test_guarantees_above_the_parent_s_are_refused_with_their_sum(cast: Cast) -> None:
    administrator = cast.federation.administrator
    cast.federation.group("research.guarantees.one")
    cast.federation.group("research.guarantees.two")

    def set_guarantee(group: str, guaranteed: int) -> httpx.Response:
        return administrator.ask(
            "PUT", f"groups/{group}/quota/b200", json={"guaranteed": guaranteed}, headers={"If-None-Match": "*"}
        )

    for group in ("research", "research.guarantees"):
        assert set_guarantee(group, 10).status_code == 200
    assert set_guarantee("research.guarantees.one", 6).status_code == 200
    answer = set_guarantee("research.guarantees.two", 5)
    assert (answer.status_code, answer.json()["code"]) == (422, "GuaranteeExceeded")
    assert (answer.json()["numbers"]["asked"], answer.json()["numbers"]["limit"]) == (11, 10)
    assert "11" in answer.json()["detail"] and "11" in answer.json()["detail_ko"]


def test_a_quota_is_set_against_what_was_read(cast: Cast) -> None:
    administrator, path = cast.federation.administrator, f"groups/{cast.own}/quota/a100"
    first = administrator.ask("PUT", path, json={"weight": 2}, headers={"If-None-Match": "*"})
    etag = first.headers["ETag"]
    assert administrator.ask("PUT", path, json={"weight": 3}).status_code == 428
    assert administrator.ask("PUT", path, json={"weight": 3}, headers={"If-None-Match": "*"}).status_code == 412
    assert administrator.ask("PUT", path, json={"weight": 3}, headers={"If-Match": etag}).status_code == 200
    assert administrator.ask("PUT", path, json={"weight": 4}, headers={"If-Match": etag}).status_code == 412


def test_the_portal_s_cookie_may_do_no_more_than_its_token(cast: Cast) -> None:
    federation = cast.federation
    writer = federation.person("writes", {cast.own: "submitter"}, scope="submit")
    reader = federation.person("writes", scope="read")
    job = federation.waiting_job(writer, cast.own)
    for person, expected in ((reader, "queued"), (writer, "cancelled")):
        answer = ask_once(
            "POST",
            f"{federation.server}/jobs/{job}/cancel",
            cookies={"dure_session": person.secret},
            data={"form": form_value(person.secret)},
        )
        assert answer.status_code == (403 if person is reader else 303)
        assert federation.administrator.get(f"jobs/{job}")["state"] == expected


def test_a_form_with_any_letters_is_refused_and_not_a_fault(cast: Cast) -> None:
    secret = cast.people["submitter"].secret
    answer = ask_once(
        "POST", f"{cast.federation.server}/sign-out", cookies={"dure_session": secret}, data={"form": "쉼표"}
    )
    assert answer.status_code == 403
