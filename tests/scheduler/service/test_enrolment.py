"""An agent's first contact: one token, one credential, the same answer to the same request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runtime import Stage, runs_now

from scheduler.clock import ManualClock
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.wire import EnrolRequest, EnrolResponse
from scheduler.service.caller import Caller
from scheduler.service.enrolment import SiteCallers, enrol
from scheduler.service.runtime import Runtime
from scheduler.service.sites import (
    NewEnrolment,
    NewSite,
    SiteInput,
    enrolment_token,
    register_site,
    renew_enrolment,
)

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
    assert code_of(enrolled(runtime, token + "x")) is ReasonCode.ENROLMENT_REFUSED
    clock.advance(24 * 3600)
    assert code_of(enrolled(runtime, token)) is ReasonCode.ENROLMENT_REFUSED


def test_guessing_a_token_costs_no_change_number(runtime: Runtime, token: str) -> None:
    def change() -> int:
        return runtime.database.run(lambda transaction: transaction.change)

    before = change()
    for guess in range(3):
        enrolled(runtime, f"{token}{guess}")
    assert change() == before + 1


def renewed(runtime: Runtime, caller: Caller, why: str = "a lost disk") -> NewEnrolment | Refusal:
    """Ask for another one-time token."""
    return runtime.database.run(
        lambda transaction: renew_enrolment(transaction, runtime, caller, PRESENTED, "site-1", why)
    )


def test_a_site_enrols_anew_and_its_old_credential_holds_until_then(
    runtime: Runtime, administrator: Caller, token: str
) -> None:
    old = enrolled(runtime, token)
    assert isinstance(old, EnrolResponse)
    again = renewed(runtime, administrator)
    assert isinstance(again, NewEnrolment)
    assert not isinstance(SiteCallers(runtime).find(old.credential), Refusal)
    second = enrolment_token(PRESENTED, again.nonce)
    new = enrolled(runtime, second, "new key")
    assert isinstance(new, EnrolResponse)
    assert enrolled(runtime, second, "new key") == new
    assert code_of(enrolled(runtime, second, "a third key")) is ReasonCode.ALREADY_ENROLLED
    assert code_of(enrolled(runtime, token)) is ReasonCode.ENROLMENT_REFUSED
    assert not isinstance(SiteCallers(runtime).find(new.credential), Refusal)
    assert code_of(SiteCallers(runtime).find(old.credential)) is ReasonCode.UNAUTHENTICATED


def test_only_its_operators_enrol_a_site_anew_and_say_why(runtime: Runtime, administrator: Caller, token: str) -> None:
    assert code_of(renewed(runtime, administrator, " ")) is ReasonCode.INVALID_FIELD
    nobody = replace(administrator, person="nobody", administrator=False, roles={})
    assert code_of(renewed(runtime, nobody)) is ReasonCode.FORBIDDEN


def test_a_new_agent_that_knows_of_no_run_ends_none_before_their_leases_are_over(
    stage: Stage, administrator: Caller
) -> None:
    agent = stage.agent(credential_hash="c" * 64)
    (job,) = stage.submit(stage.group())
    stage.turn()
    agent.sync(runs_now(stage.run(job), 1))
    again = stage.runtime.database.run(
        lambda transaction: renew_enrolment(transaction, stage.runtime, administrator, PRESENTED, "site-1", "stolen")
    )
    assert isinstance(again, NewEnrolment)
    assert isinstance(enrolled(stage.runtime, enrolment_token(PRESENTED, again.nonce)), EnrolResponse)
    for _ in range(3):
        agent.sync(complete=True)
        stage.clock.advance(35)
        assert stage.job(job).state == "running"
    stage.clock.advance(20)
    agent.sync(complete=True)
    assert stage.run(job).cause == "vanished"


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
