"""Offers, recalls and reservations over HTTP: whole lives of them, what is refused by name, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from live_federation import Person

from scheduler.store import jobs
from tests.scheduler.api.conftest import Cast

SITE = "lender-1"
NIGHTS = {
    "time_zone": "Asia/Seoul",
    "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}],
    "blackouts": ["2026-12-24"],
    "valid_until": "2035-03-31T18:00",
}
OFFER: dict[str, Any] = {"site": SITE, "gpu_class": "l40s", "nodes": 3, "notice": "1h"}
RECALL: dict[str, Any] = {"gpu_class": "l40s", "nodes": 1, "by": "2035-01-01T00:00:00+09:00"}


@pytest.fixture(scope="module")
def lender(cast: Cast) -> Person:
    """Who operates a site of four nodes that serves nobody who is here."""
    cast.federation.site(SITE, "4x8:l40s", instant=True, isolates_users=False, trust_domain="lender")
    cast.federation.administrator.post(f"sites/{SITE}/operators", {"person": "lender"})
    return cast.federation.person("lender")


def within(**time: float) -> str:
    """A time from now on, with the offset of Korea."""
    korea = datetime.now(UTC) + timedelta(**time) + timedelta(hours=9)
    return f"{korea:%Y-%m-%dT%H:%M:%S}+09:00"


def test_an_offer_is_made_seen_and_closed_with_its_notice(lender: Person) -> None:
    terms = OFFER | {"calendar": NIGHTS, "sectors": ["research"], "rate": 1.25, "priority_floor": "normal"}
    made = lender.post("offers", terms | {"why": "spare at night"})
    assert made["calendar"] == {
        "time_zone": "Asia/Seoul",
        "windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "19:00", "to": "08:00"}],
        "blackouts": [{"from": "2026-12-24", "to": "2026-12-24"}],
        "valid_from": None,
        "valid_until": "2035-03-31T18:00",
    }
    assert (made["notice_seconds"], made["rate"], made["state"], made["created_by"]) == (3600, "5/4", "open", "lender")
    assert made["open"] in (True, False) and made["changes_at"] is not None
    again = lender.post(
        "offers", {name: made[name] for name in (*OFFER.keys() - {"notice"}, "calendar")} | {"notice": 60}
    )
    assert again["calendar"] == made["calendar"], "what is shown can be sent again"
    always = lender.post("offers", OFFER)
    assert (always["open"], always["changes_at"]) == (True, None)
    listed = lender.get("offers", site=SITE)["items"]
    assert [each["id"] for each in listed] == [made["id"], again["id"], always["id"]]
    closed = lender.post(f"offers/{always['id']}/close", {"why": "needed"})
    assert (closed["state"], closed["open"], closed["changes_at"]) == ("closing", True, closed["closes_at"])
    twice = lender.ask("POST", f"offers/{always['id']}/close", json={})
    assert (twice.status_code, twice.json()["code"]) == (409, "StateConflict")
    assert "closing" in twice.json()["detail"] and "닫는 중" in twice.json()["detail_ko"]
    for each in (made, again):
        lender.post(f"offers/{each['id']}/close")


def test_nodes_are_recalled_with_a_plan_seen_and_lent_again(lender: Person) -> None:
    offer = lender.post("offers", OFFER)
    refused = lender.ask("POST", f"sites/{SITE}/recalls", json=RECALL | {"by": within(minutes=5)})
    assert (refused.status_code, refused.json()["code"]) == (422, "RecallTooSoon")
    assert refused.json()["errors"][0]["field"] == "by" and refused.json()["numbers"]["notice_seconds"] == 3600
    fewer = lender.ask("POST", f"sites/{SITE}/recalls", json=RECALL | {"nodes": 4})
    assert (fewer.status_code, fewer.json()["numbers"]["lent"]) == (422, 3)
    key = {"Idempotency-Key": "recall-once"}
    first, again = (
        lender.ask("POST", f"sites/{SITE}/recalls", json=RECALL | {"nodes": 2, "why": "needed"}, headers=key)
        for _ in range(2)
    )
    assert first.status_code == 201 and first.json() == again.json()
    made = first.json()
    assert (len(made["nodes"]), made["by"], made["until"], made["runs"]) == (2, "2034-12-31T15:00:00.000Z", None, [])
    second = lender.post(f"sites/{SITE}/recalls", RECALL | {"until": "2035-01-02T00:00:00Z"})
    assert [each["id"] for each in lender.get(f"sites/{SITE}/recalls")["items"]] == [made["id"], second["id"]]
    page = lender.get(f"sites/{SITE}/recalls", limit=1)
    (last,) = lender.get(f"sites/{SITE}/recalls", limit=1, cursor=page["next_cursor"])["items"]
    assert (page["items"], last) == ([made], second)
    for each in (made, second):
        assert lender.post(f"recalls/{each['id']}/withdraw")["withdrawn_at"] is not None
    assert lender.get(f"sites/{SITE}/recalls")["items"] == []
    assert lender.ask("POST", f"recalls/{made['id']}/withdraw", json={}).status_code == 409
    lender.post(f"offers/{offer['id']}/close")


def test_nodes_are_reserved_seen_and_work_again(lender: Person) -> None:
    body = {"gpu_class": "l40s", "count": 2, "reason": "new cables"}
    times = {"from": "2035-01-01T09:00:00+09:00", "to": "2035-01-01T18:00:00+09:00"}
    made = lender.post(f"sites/{SITE}/reservations", body | times)
    assert (made["from"], made["to"], len(made["nodes"]), made["runs"]) == (
        "2035-01-01T00:00:00.000Z", "2035-01-01T09:00:00.000Z", 2, [],
    )  # fmt: skip
    assert lender.get(f"sites/{SITE}/reservations")["items"] == [made]
    named = lender.post(f"sites/{SITE}/reservations", {"nodes": made["nodes"], "reason": "again"} | times)
    assert named["nodes"] == made["nodes"] and named["gpu_class"] is None
    for each in (made, named):
        lender.post(f"reservations/{each['id']}/withdraw", {"why": "done"})
    assert lender.get(f"sites/{SITE}/reservations")["items"] == []


@pytest.mark.parametrize(
    ("path", "change", "status", "field"),
    [
        ("offers", {"notice": ...}, 400, "notice"),
        ("offers", {"nodes": 0}, 400, "nodes"),
        ("offers", {"rate": "much"}, 400, "rate"),
        ("offers", {"sectors": ["army"]}, 400, "sectors.0"),
        ("offers", {"priority_floor": "urgent"}, 400, "priority_floor"),
        ("offers", {"calendar": {"time_zone": "UTC", "windows": [{"days": "someday"}]}}, 400, "calendar.windows.0.days"),
        ("offers", {"calendar": {"time_zone": "UTC", "valid_until": "2026-01-01"}}, 400, "calendar"),
        ("offers", {"colour": "red"}, 400, "colour"),
        ("offers", {"site": "nowhere"}, 404, "site"),
        ("offers", {"gpu_class": "h1000"}, 422, "gpu_class"),
        ("offers", {"group": "research.nobody"}, 404, "group"),
        (f"sites/{SITE}/recalls", {"by": "soon"}, 400, "by"),
        (f"sites/{SITE}/recalls", {"by": "2035-01-01T00:00:00"}, 400, "by"),
        (f"sites/{SITE}/recalls", {"by": "9999-12-31T23:00:00Z"}, 400, "by"),
        (f"sites/{SITE}/recalls", {"until": "2034-01-01T00:00:00Z"}, 400, "until"),
        (f"sites/{SITE}/recalls", {"nodes": 0}, 400, "nodes"),
        (f"sites/{SITE}/reservations", {"reason": " "}, 400, "reason"),
        (f"sites/{SITE}/reservations", {"from": "noon"}, 400, "from"),
        (f"sites/{SITE}/reservations", {"to": "2020-01-01T00:00:00Z"}, 400, "to"),
        (f"sites/{SITE}/reservations", {"count": 1, "gpu_class": ...}, 400, "gpu_class"),
        (f"sites/{SITE}/reservations", {"nodes": ["lender-1-0"]}, 400, "nodes"),
        (f"sites/{SITE}/reservations", {"nodes": ["nowhere"], "gpu_class": ...}, 404, "nodes"),
        (f"sites/{SITE}/reservations", {"count": 9}, 422, "count"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_field_in_both_languages(
    lender: Person, path: str, change: dict[str, Any], status: int, field: str
) -> None:
    bodies = {"offers": OFFER, f"sites/{SITE}/recalls": RECALL}
    body = bodies.get(path, {"gpu_class": "l40s", "reason": "new cables"}) | change
    answer = lender.ask("POST", path, json={name: value for name, value in body.items() if value is not ...})
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field and error["message"]
    assert any("가" <= letter <= "힣" for letter in error["message_ko"])
    assert not any("가" <= letter <= "힣" for letter in error["message"])


@pytest.mark.parametrize(("checkpoint", "save_ms"), [({"grace": "90s"}, 90_000), ({}, 60_000), (None, None)])
def test_what_a_job_needs_to_save_its_state_is_known_from_the_day_it_was_submitted(
    cast: Cast, checkpoint: dict[str, str] | None, save_ms: int | None
) -> None:
    federation = cast.federation
    job = federation.waiting_job(cast.people["manager"], cast.own, checkpoint=checkpoint)
    with federation.runtime.database.read() as connection:
        row = jobs.by_id(connection, job)
    assert row is not None and row.save_ms == save_ms
    cast.people["manager"].post(f"jobs/{job}/cancel")


def test_what_others_lend_is_for_those_who_act_for_the_site(cast: Cast, lender: Person) -> None:
    offer = lender.post("offers", OFFER)
    recall = lender.post(f"sites/{SITE}/recalls", RECALL)
    reservation = lender.post(f"sites/{SITE}/reservations", {"reason": "new cables", "from": "2035-01-01T00:00:00Z"})
    ends = (
        (f"offers/{offer['id']}/close", "OfferNotFound"),
        (f"recalls/{recall['id']}/withdraw", "RecallNotFound"),
        (f"reservations/{reservation['id']}/withdraw", "ReservationNotFound"),
    )
    for path, not_found in ends:
        for who, code in (
            ("viewer", not_found),
            ("manager", not_found),
            ("operator", not_found),  # of another site
            ("auditor", "Forbidden"),
            ("reader", "ScopeMissing"),
        ):
            answer = cast.people[who].ask("POST", path, json={})
            assert answer.json()["code"] == code, (path, who)
    for who in ("viewer", "operator"):
        assert offer["id"] not in [each["id"] for each in cast.people[who].get("offers")["items"]]
        assert cast.people[who].ask("GET", f"offers?site={SITE}").status_code == 403
        assert cast.people[who].ask("GET", f"sites/{SITE}/recalls").status_code == 403
    assert offer["id"] in [each["id"] for each in cast.people["auditor"].get("offers")["items"]]
    for path, _ in reversed(ends):
        assert cast.federation.administrator.ask("POST", path, json={}).status_code == 200
