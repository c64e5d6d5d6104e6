"""Answers that people act on: what a quota is used for, why there is nothing to pull, what a change did not change."""

from __future__ import annotations

from typing import Any

from tests.scheduler.api.conftest import Cast


def kinds_about(cast: Cast, kind: str) -> int:
    """How many events of a kind there are."""
    count, cursor = 0, None
    while True:
        query: dict[str, Any] = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
        page = cast.federation.administrator.get("events", **query)
        count += sum(item["kind"] == kind for item in page["items"])
        cursor = page["next_cursor"]
        if not page["items"] or cursor is None:
            return count


def test_a_quota_that_is_set_is_answered_with_its_use(cast: Cast) -> None:
    administrator, path = cast.federation.administrator, "groups/research/quota/h100"
    answer = administrator.ask("PUT", path, json={"guaranteed": 4}, headers={"If-None-Match": "*"}).json()
    shown = administrator.get("groups/research/quota")["items"]
    assert answer == next(item for item in shown if item["gpu_class"] == "h100")
    assert answer["guaranteed_effective"] == 4


def test_a_quota_of_a_class_that_nobody_has_is_refused_and_one_that_says_nothing_is_not_shown(cast: Cast) -> None:
    administrator = cast.federation.administrator
    cast.federation.group("research.clearing")
    path, first = "groups/research.clearing/quota", {"If-None-Match": "*"}
    refused = administrator.ask("PUT", f"{path}/h1000", json={"weight": 2}, headers=first)
    assert (refused.status_code, refused.json()["code"]) == (422, "UnknownGpuClass")
    etag = administrator.ask("PUT", f"{path}/gb200", json={"weight": 2}, headers=first).headers["ETag"]
    assert "gb200" in {item["gpu_class"] for item in administrator.get(path)["items"]}
    administrator.ask("PUT", f"{path}/gb200", json={}, headers={"If-Match": etag})
    assert "gb200" not in {item["gpu_class"] for item in administrator.get(path)["items"]}
    assert administrator.ask("PUT", f"{path}/gb200", json={"weight": 3}, headers=first).status_code == 200


def test_what_changes_nothing_is_no_event(cast: Cast) -> None:
    administrator = cast.federation.administrator
    cast.federation.group("research.steady")
    role = {"person": "steady", "role": "viewer"}
    administrator.post("groups/research.steady/members", role)
    path = "groups/research.steady/quota/h100"
    etag = administrator.ask("PUT", path, json={"weight": 2}, headers={"If-None-Match": "*"}).headers["ETag"]
    before = kinds_about(cast, "member.added"), kinds_about(cast, "quota.set")
    administrator.post("groups/research.steady/members", role)
    again = administrator.ask("PUT", path, json={"weight": 2}, headers={"If-Match": etag})
    assert (again.status_code, again.headers["ETag"]) == (200, etag)
    assert (kinds_about(cast, "member.added"), kinds_about(cast, "quota.set")) == before


def test_a_role_that_is_not_held_is_told_from_a_person_who_is_not_known(cast: Cast) -> None:
    manager = cast.people["manager"]
    held = manager.ask("DELETE", f"groups/{cast.own}/members/viewer?role=manager")
    assert (held.status_code, held.json()["code"]) == (404, "RoleNotHeld")
    unknown = manager.ask("DELETE", f"groups/{cast.own}/members/nobody-at-all?role=viewer")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "PersonNotFound")


def test_why_there_is_nothing_to_pull_is_told(cast: Cast) -> None:
    federation, viewer = cast.federation, cast.people["viewer"]
    none = viewer.ask("GET", f"jobs/{cast.job}/outputs").json()
    assert none["code"] == "OutputsNotFound"
    assert "names none" in none["detail"]
    job = federation.job(federation.administrator, cast.own, ["true"], outputs=["*.none"])
    federation.wait(federation.administrator, job, "succeeded")
    unmatched = viewer.ask("GET", f"jobs/{job}/outputs").json()
    assert "no file matched" in unmatched["detail"]


def test_a_group_that_moves_is_called_by_where_it_stands(cast: Cast) -> None:
    administrator = cast.federation.administrator
    for path in ("research.rising", "research.rising.lab", "research.rising.lab.team"):
        cast.federation.group(path)
    administrator.post("groups/research.rising.lab/move", {"parent": "research"})
    shown = {path: administrator.get(f"groups/{path}")["kind"] for path in ("research.lab", "research.lab.team")}
    assert shown == {"research.lab": "institution", "research.lab.team": "project"}


def test_the_limit_of_outputs_is_set_shown_and_inherited(cast: Cast) -> None:
    administrator = cast.federation.administrator
    cast.federation.group("research.bulky.team")

    def limits() -> list[int]:
        return [administrator.get(f"groups/{path}")["output_bytes_max"] for path in paths]

    paths = ("research.bulky", "research.bulky.team")
    inherited = administrator.get("groups/research")["output_bytes_max"]
    assert limits() == [inherited] * 2
    path = "groups/research.bulky/output-limit"
    assert administrator.ask("PUT", path, json={"output_bytes_max": 5000, "why": "films"}).status_code == 200
    assert limits() == [5000, 5000]
    administrator.ask("PUT", path, json={"output_bytes_max": None})
    assert limits() == [inherited] * 2


def test_cells_are_set_and_read_with_the_quota_and_refused_with_their_place_in_the_body(cast: Cast) -> None:
    administrator = cast.federation.administrator
    path, first = "groups/research/quota/h100", {"If-None-Match": "*"}
    shown = next(item for item in administrator.get("groups/research/quota")["items"] if item["gpu_class"] == "h100")
    condition = first if shown["etag"] is None else {"If-Match": f'"{shown["etag"]}"'}
    cell = {"level": "node", "nodes": 1, "number": 1}
    body = {"guaranteed": 40, "cells": [cell | {"number": 9}]}
    refused = administrator.ask("PUT", path, json=body, headers=condition)
    assert (refused.status_code, refused.json()["code"]) == (422, "CellsAboveGuarantee")
    wrong = administrator.ask("PUT", path, json={"cells": [cell | {"level": "row"}]}, headers=condition)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "cells.0.level")
    answer = administrator.ask("PUT", path, json={"guaranteed": 40, "cells": [cell]}, headers=condition)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["cells"], answer.json()["cells_effective"]) == ([cell], 1)
    kept = {name: shown[name] for name in ("guaranteed", "limit", "borrowing_limit", "lending_limit", "weight")}
    again = administrator.ask("PUT", path, json=kept, headers={"If-Match": answer.headers["ETag"]})
    assert (again.status_code, again.json()["cells"]) == (200, [])
