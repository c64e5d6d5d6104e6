"""Roles that reach over the whole federation: nobody gives, takes or comes by one without being an administrator."""

from __future__ import annotations

import pytest
from live_federation import Person
from problems import assert_refuses

from tests.scheduler.api.conftest import Cast

CONTRACT = {"name": "site-of-a-manager", "owner": "o", "operator": "o", "facility": "f"}


@pytest.fixture(scope="module")
def root_manager(cast: Cast) -> Person:
    """Somebody who manages the federation's root and administers nothing."""
    return cast.federation.person("root-manager", {"federation": "manager"})


def members(cast: Cast, group: str = "federation") -> set[tuple[str, str]]:
    found = cast.federation.administrator.get(f"groups/{group}/members", limit=1000)["items"]
    return {(each["person"], each["role"]) for each in found}


@pytest.mark.parametrize("role", ["administrator", "auditor"])
@pytest.mark.parametrize("person", ["root-manager", "somebody-else"])
def test_a_manager_of_the_root_makes_no_administrator_and_no_auditor(
    cast: Cast, root_manager: Person, role: str, person: str
) -> None:
    before = members(cast)
    answer = root_manager.ask("POST", "groups/federation/members", json={"person": person, "role": role})
    assert_refuses(answer, 403)
    assert (answer.json()["code"], answer.json()["numbers"]["needed"]) == ("Forbidden", "administrator")
    assert members(cast) == before


@pytest.mark.parametrize(("person", "role"), [("administrator", "administrator"), ("auditor", "auditor")])
def test_nor_does_one_take_such_a_role_away(cast: Cast, root_manager: Person, person: str, role: str) -> None:
    assert (person, role) in members(cast)
    answer = root_manager.ask("DELETE", f"groups/federation/members/{person}", params={"role": role})
    assert_refuses(answer, 403)
    assert (person, role) in members(cast)


@pytest.mark.parametrize("role", ["viewer", "submitter", "manager"])
def test_a_manager_of_the_root_gives_and_takes_the_roles_that_are_theirs_to_give(
    cast: Cast, root_manager: Person, role: str
) -> None:
    assert root_manager.post("groups/federation/members", {"person": "newcomer", "role": role})["role"] == role
    assert ("newcomer", role) in members(cast)
    assert root_manager.ask("DELETE", "groups/federation/members/newcomer", params={"role": role}).is_success
    assert ("newcomer", role) not in members(cast)


def test_a_manager_of_the_root_does_nothing_else_that_is_an_administrator_s(cast: Cast, root_manager: Person) -> None:
    asked = [
        root_manager.ask("POST", "sites", json=CONTRACT),
        root_manager.ask("POST", "tokens", json={"name": "t", "person": "administrator", "scopes": ["manage"]}),
        root_manager.ask("PUT", "gpu-classes/h200", json={"credit_numerator": 1, "credit_denominator": 1}),
        root_manager.ask("GET", "tokens", params={"person": "administrator"}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in asked] == [(403, "Forbidden")] * len(asked)
    assert root_manager.get("whoami")["administrator"] is False


@pytest.mark.parametrize("role", ["administrator", "auditor"])
def test_roles_over_the_federation_are_given_on_its_root_alone_even_by_an_administrator(cast: Cast, role: str) -> None:
    body = {"person": "somebody-else", "role": role}
    answer = cast.federation.administrator.ask("POST", f"groups/{cast.own}/members", json=body)
    assert_refuses(answer, 400, "role")
    assert ("somebody-else", role) not in members(cast, cast.own)


def test_the_last_administrator_stays_one_until_there_is_another(cast: Cast) -> None:
    administrator = cast.federation.administrator
    path, role = "groups/federation/members/administrator", {"role": "administrator"}
    refused = administrator.ask("DELETE", path, params=role)
    assert (refused.status_code, refused.json()["code"]) == (409, "StateConflict")
    administrator.post("groups/federation/members", {"person": "second", "role": "administrator"})
    assert administrator.ask("DELETE", "groups/federation/members/second", params=role).is_success
    assert ("administrator", "administrator") in members(cast)
