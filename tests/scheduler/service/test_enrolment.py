"""An agent's first contact: one token, one credential, the same answer to the same request."""

from __future__ import annotations

import pytest
from runtime import Stage

from scheduler.clock import ManualClock
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.wire import EnrolRequest, EnrolResponse
from scheduler.service.caller import Caller
from scheduler.service.enrolment import SiteCallers, enrol
from scheduler.service.runtime import Runtime
from scheduler.service.sites import NewSite, SiteInput, enrolment_token, register_site

PRESENTED = "dure_of_the_administrator"
ASKED = EnrolRequest(protocol=1, agent="agent-1")


def new_site(name: str = "site-1") -> SiteInput:
    """A site's contract."""
    return SiteInput(
        name=name, owner="o", operator="o", facility="f", csap="none", state_facility=False, classified_network=False,
        isolates_users=True, trust_domain=None, supervised=True, lease_seconds=30,
    )  # fmt: skip


def registered(runtime: Runtime, caller: Caller, name: str = "site-1") -> NewSite | Refusal:
    """Register a site."""
    return runtime.database.run(
        lambda transaction: register_site(transaction, runtime, caller, PRESENTED, new_site(name), "pilot")
    )


@pytest.fixture
def token(runtime: Runtime, administrator: Caller) -> str:
    """The one-time token of a new site."""
    made = registered(runtime, administrator)
    assert isinstance(made, NewSite)
    return enrolment_token(PRESENTED, made.nonce)


def enrolled(runtime: Runtime, token: str, key: str = "key", request: EnrolRequest = ASKED) -> EnrolResponse | Refusal:
    """Ask for a credential."""
    return runtime.database.run(lambda transaction: enrol(transaction, runtime, token, key, request))


def code_of(answer: object) -> ReasonCode:
    """Why something is refused."""
    assert isinstance(answer, Refusal), answer
    return answer.reasons[0].code


def test_a_token_gives_a_credential_that_names_the_site(runtime: Runtime, token: str) -> None:
    answer = enrolled(runtime, token)
    assert isinstance(answer, EnrolResponse)
    assert (answer.site, answer.contract.lease_seconds) == ("site-1", 30.0)
    found = SiteCallers(runtime).find(answer.credential)
    assert not isinstance(found, Refusal)
    assert (found.name, found.agent) == ("site-1", "agent-1")


def test_the_same_request_has_the_same_answer_and_another_comes_too_late(runtime: Runtime, token: str) -> None:
    first = enrolled(runtime, token)
    assert enrolled(runtime, token) == first
    assert code_of(enrolled(runtime, token, "another key")) is ReasonCode.ALREADY_ENROLLED


def test_a_repeated_request_is_answered_even_after_the_token_has_expired(
    runtime: Runtime, clock: ManualClock, token: str
) -> None:
    first = enrolled(runtime, token)
    clock.advance(25 * 3600)
    assert enrolled(runtime, token) == first


def test_a_token_that_is_wrong_or_was_not_used_in_time_is_no_token(
    runtime: Runtime, clock: ManualClock, token: str
) -> None:
    assert code_of(enrolled(runtime, token + "x")) is ReasonCode.UNAUTHENTICATED
    clock.advance(24 * 3600)
    assert code_of(enrolled(runtime, token)) is ReasonCode.UNAUTHENTICATED


def test_an_agent_that_speaks_another_protocol_uses_nothing_up(runtime: Runtime, token: str) -> None:
    refusal = enrolled(runtime, token, request=EnrolRequest(protocol=9, agent="agent-1"))
    assert code_of(refusal) is ReasonCode.PROTOCOL_UNSUPPORTED
    assert isinstance(enrolled(runtime, token, "another key"), EnrolResponse)


def test_no_secret_is_stored(runtime: Runtime, token: str) -> None:
    answer = enrolled(runtime, token)
    assert isinstance(answer, EnrolResponse)
    with runtime.database.read() as connection:
        written = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr] # SQLite's own
    assert "site-1" in written
    assert token not in written
    assert answer.credential not in written
    assert PRESENTED not in written


def test_a_name_is_taken_once_and_only_administrators_register(stage: Stage, administrator: Caller) -> None:
    runtime = stage.runtime
    assert isinstance(registered(runtime, administrator), NewSite)
    assert code_of(registered(runtime, administrator)) is ReasonCode.NAME_TAKEN
    nobody = Caller(
        person_id=99, person="nobody", token=administrator.token, roles={}, sites=frozenset(), administrator=False,
        auditor=True,
    )  # fmt: skip
    assert code_of(registered(runtime, nobody, "site-2")) is ReasonCode.FORBIDDEN
