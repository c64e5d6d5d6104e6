"""Previewing a change of quotas over HTTP: by role, by field, and without a trace."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from live_federation import ask_once

from tests.scheduler.api.conftest import Cast

LAB = "research.foresight.lab"


@pytest.fixture(scope="module")
def waiting(cast: Cast) -> int:
    """A job that may not borrow, in a group that is guaranteed nothing."""
    cast.federation.group(LAB)
    return cast.federation.waiting_job(cast.federation.administrator, LAB, gpus_per_worker=2)


def preview(cast: Cast, *quotas: dict[str, Any], who: str = "administrator") -> httpx.Response:
    return cast.people[who].ask(
        "POST", "quotas/preview", json={"quotas": [{"gpu_class": "h100"} | each for each in quotas]}
    )


def promised(gpus: int) -> list[dict[str, Any]]:
    """The guarantee of the lab, and all above it that it needs."""
    research = {"group": "research", "guaranteed": 40}
    return [{"group": LAB, "guaranteed": gpus}, research, {"group": "research.foresight", "guaranteed": gpus}]


def test_a_list_is_judged_as_a_whole_and_says_what_would_start(cast: Cast, waiting: int) -> None:
    told = preview(cast, *promised(3)).json()
    assert told["starts"] == [
        {"group": LAB, "gpu_class": "h100", "before": {"jobs": 0, "gpus": 0}, "after": {"jobs": 1, "gpus": 2}}
    ]
    (row,) = (row for row in told["groups"] if row["group"] == LAB)
    assert (row["before"]["guaranteed"], row["after"]["guaranteed"]) == (0, 3)
    assert (row["after"]["used"], row["after"]["used_next"]) == (0, 2)
    assert told["stops"] == [] and told["groups_above_limit"] == {"before": 0, "after": 0}
    assert cast.federation.administrator.get(f"jobs/{waiting}")["state"] == "queued"
    assert cast.federation.administrator.get(f"groups/{LAB}/quota")["items"][0]["etag"] is None


def test_what_is_left_out_is_as_it_stands_and_null_is_no_limit(cast: Cast) -> None:
    cast.federation.group("research.kept")
    stands = {"limit": 7, "borrowing_limit": 5, "weight": 3}
    path, first = "groups/research.kept/quota/h100", {"If-None-Match": "*"}
    assert cast.federation.administrator.ask("PUT", path, json=stands, headers=first).status_code == 200
    rows = preview(cast, {"group": "research.kept", "limit": None}).json()["groups"]
    (after,) = (row["after"] for row in rows if row["group"] == "research.kept")
    assert {name: after[name] for name in stands} == stands | {"limit": None}


def test_a_promise_that_its_parent_cannot_keep_is_refused_with_the_sums(cast: Cast, waiting: int) -> None:
    lab, research, above = promised(3)
    answer = preview(cast, lab, research, above | {"guaranteed": 2})
    assert (answer.status_code, answer.json()["code"]) == (422, "GuaranteeExceeded")
    assert (answer.json()["numbers"]["asked"], answer.json()["numbers"]["limit"]) == (3, 2)


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"group": LAB, "guarantee": 3}, 400, "quotas.1.guarantee"),
        ({"group": LAB, "guaranteed": None}, 400, "quotas.1.guaranteed"),
        ({"group": LAB, "weight": 0}, 400, "quotas.1.weight"),
        ({"group": LAB, "limit": "many"}, 400, "quotas.1.limit"),
        ({"weight": 2}, 400, "quotas.1.group"),
        ({"group": "Research"}, 400, "quotas.1.group"),
        ({"group": "research.nobody", "weight": 2}, 404, "quotas.1.group"),
        ({"group": LAB, "gpu_class": "h1000", "weight": 2}, 422, "quotas.1.gpu_class"),
        ({"group": "research", "weight": 2}, 400, "quotas.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_by_its_place_with_its_mend(
    cast: Cast, waiting: int, change: dict[str, Any], status: int, field: str
) -> None:
    answer = preview(cast, {"group": "research", "weight": 2}, change)
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field and error["message"]
    assert any("가" <= letter <= "힣" for letter in error["message_ko"])


@pytest.mark.parametrize("body", [{}, {"quotas": []}, {"quotas": {"group": LAB}}, {"quotas": ["lab"]}, []])
def test_what_is_no_list_of_quotas_is_refused(cast: Cast, body: Any) -> None:
    answer = cast.federation.administrator.ask("POST", "quotas/preview", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"]


def test_a_key_is_needed_as_of_every_post(cast: Cast) -> None:
    body = {"quotas": [{"group": "research", "gpu_class": "h100"}]}
    headers = {"Authorization": f"Bearer {cast.federation.administrator.secret}"}
    answer = ask_once("POST", f"{cast.federation.server}/api/v1/quotas/preview", json=body, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")


def test_managers_of_the_parent_preview_and_nobody_else(cast: Cast, waiting: int) -> None:
    parents = cast.federation.person("foresight", {"research.foresight": "manager"})
    change = {"quotas": [{"group": LAB, "gpu_class": "h100", "weight": 2}]}
    answer = parents.ask("POST", "quotas/preview", json=change)
    assert answer.status_code == 200, answer.text
    assert {row["group"] for row in answer.json()["groups"]} == {LAB}
    members = cast.federation.person("insider", {LAB: "manager"}).ask("POST", "quotas/preview", json=change)
    assert (members.status_code, members.json()["numbers"]["where"]) == (403, "research.foresight")
    assert preview(cast, {"group": LAB, "weight": 2}, who="foreigner").status_code == 404
    assert preview(cast, {"group": LAB, "weight": 2}, who="reader").json()["code"] == "ScopeMissing"
