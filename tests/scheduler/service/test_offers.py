"""What a lender offers: who may, what is refused, how its window stands, and what its notice is worth when it closes."""

from __future__ import annotations

from typing import Any

import pytest
from callers import code_of, somebody
from runtime import ScriptedAgent, Stage

from scheduler.model.offer import OfferSpec, OfferState
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller, Role
from scheduler.service.lending import terms_of
from scheduler.service.offers import OfferView, close_offer, create_offer, list_offers
from scheduler.store import events, offers

HOUR_MS = 3_600_000
#: 2027-01-15 17:00 in Seoul, a Friday: what a ManualClock begins at.
NIGHTS = {"time_zone": "Asia/Seoul", "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}]}


def offer(stage: Stage, caller: Caller, **terms: Any) -> OfferView | Refusal:
    """Offer four nodes with an hour's notice, unless told otherwise."""
    given = {"site": "site-1", "gpu_class": "h100", "nodes": 4, "notice": "1h"} | terms
    spec = OfferSpec.model_validate(given)
    return stage.runtime.database.run(
        lambda transaction: create_offer(transaction, stage.runtime, caller, spec, "spare until spring")
    )


def offered(stage: Stage, caller: Caller, **terms: Any) -> OfferView:
    """An offer that is not refused."""
    made = offer(stage, caller, **terms)
    assert isinstance(made, OfferView), made
    return made


def close(stage: Stage, caller: Caller, offer_id: int) -> OfferView | Refusal:
    """Close an offer."""
    return stage.runtime.database.run(
        lambda transaction: close_offer(transaction, stage.runtime, caller, offer_id, "needed")
    )


def closes_after_ms(stage: Stage, caller: Caller, offer_id: int) -> int:
    """How long from now on a closed offer still lends."""
    closed = close(stage, caller, offer_id)
    assert isinstance(closed, OfferView), closed
    assert closed.row.closes_ms is not None
    return closed.row.closes_ms - stage.clock.now_ms()


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site of four nodes."""
    return stage.agent(nodes=4)


@pytest.fixture
def operator(agent: ScriptedAgent, administrator: Caller) -> Caller:
    """Who operates the site."""
    return somebody(administrator, sites=frozenset({agent.site_id}))


def test_an_offer_is_written_down_with_who_made_it_and_why(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    made = offered(stage, operator, calendar=NIGHTS, rate="5/4")
    with stage.runtime.database.read() as connection:
        (row,) = offers.every(connection)
        (event,) = [each for each in events.after(connection, 0).events if each.kind == "offer.created"]
    assert (row, row.site_id, row.created_by, row.closes_ms) == (made.row, agent.site_id, "minseo", None)
    assert (terms_of(row).nodes, terms_of(row).notice_seconds) == (4, 3600)
    assert (event.actor, event.why, event.site_id) == ("minseo", "spare until spring", agent.site_id)
    assert event.data["offer"] == row.id
    assert OfferSpec.model_validate(event.data["terms"]) == made.terms


def test_only_those_who_act_for_the_site_offer_and_close(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, operator: Caller
) -> None:
    stranger, auditor = somebody(administrator), somebody(administrator, auditor=True)
    elsewhere = somebody(administrator, sites=frozenset({agent.site_id + 1}))
    for caller in (stranger, auditor, elsewhere):
        assert code_of(offer(stage, caller)) is ReasonCode.FORBIDDEN
    mine, by_administrator = offered(stage, operator), offered(stage, administrator)
    assert code_of(close(stage, auditor, mine.row.id)) is ReasonCode.FORBIDDEN
    for caller in (stranger, elsewhere):  # what they may not see does not exist for them
        assert code_of(close(stage, caller, mine.row.id)) is ReasonCode.OFFER_NOT_FOUND
    assert code_of(close(stage, operator, 99)) is ReasonCode.OFFER_NOT_FOUND
    for made in (mine, by_administrator):
        assert isinstance(close(stage, operator, made.row.id), OfferView)


def test_offers_are_seen_by_those_who_see_the_site_s_contract(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, operator: Caller
) -> None:
    stage.agent("site-2", nodes=1)
    first = offered(stage, operator)
    second = offered(stage, administrator, site="site-2")

    def seen(caller: Caller, site: str | None = None) -> list[int]:
        found = list_offers(stage.runtime, caller, site)
        assert not isinstance(found, Refusal)
        return [each.row.id for each in found]

    assert seen(administrator) == seen(somebody(administrator, auditor=True)) == [first.row.id, second.row.id]
    assert seen(administrator, "site-2") == [second.row.id]
    assert seen(operator) == seen(operator, "site-1") == [first.row.id]
    assert seen(somebody(administrator)) == []
    assert code_of(list_offers(stage.runtime, operator, "site-2")) is ReasonCode.FORBIDDEN
    assert code_of(list_offers(stage.runtime, operator, "nowhere")) is ReasonCode.SITE_NOT_FOUND


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"site": "nowhere"}, ReasonCode.SITE_NOT_FOUND),
        ({"gpu_class": "h1000"}, ReasonCode.UNKNOWN_GPU_CLASS),
        ({"group": "research"}, ReasonCode.GROUP_NOT_FOUND),
        ({"calendar": {"time_zone": "UTC", "valid_until": "2026-12-31"}}, ReasonCode.INVALID_FIELD),
    ],
)
def test_what_cannot_be_lent_is_refused_by_its_field(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, terms: dict[str, Any], code: ReasonCode
) -> None:
    refused = offer(stage, administrator, **terms)
    assert isinstance(refused, Refusal) and code_of(refused) is code
    assert refused.reasons[0].field == next(iter(terms))
    with stage.runtime.database.read() as connection:
        assert offers.every(connection) == []


def test_the_lender_s_group_is_one_that_it_sees(stage: Stage, agent: ScriptedAgent, operator: Caller) -> None:
    group = stage.group("partner")
    assert code_of(offer(stage, operator, group="partner")) is ReasonCode.GROUP_NOT_FOUND
    member = somebody(operator, sites=operator.sites, roles={group: frozenset({Role.VIEWER})})
    made = offered(stage, member, group="partner")
    assert (made.row.group_id, made.group) == (group, "partner")


def test_a_list_says_whether_the_window_is_open_and_when_that_changes(
    stage: Stage, agent: ScriptedAgent, administrator: Caller
) -> None:
    def stands() -> list[tuple[bool, int | None]]:
        found = list_offers(stage.runtime, administrator, None)
        assert not isinstance(found, Refusal)
        now_ms = stage.clock.now_ms()
        return [(each.open, None if each.changes_ms is None else each.changes_ms - now_ms) for each in found]

    nights = offered(stage, administrator, calendar=NIGHTS)
    offered(stage, administrator)
    assert nights.changes_ms is not None
    assert stands() == [(False, 2 * HOUR_MS), (True, None)]
    stage.clock.advance(3 * 3600)
    assert stands() == [(True, 12 * HOUR_MS), (True, None)]
    close(stage, administrator, nights.row.id)
    assert stands()[0] == (True, HOUR_MS)
    stage.clock.advance(3600)
    assert stands()[0] == (False, None)


def test_closing_keeps_the_notice_while_a_window_is_open_and_is_at_once_while_none_is(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    assert closes_after_ms(stage, operator, offered(stage, operator).row.id) == HOUR_MS
    assert closes_after_ms(stage, operator, offered(stage, operator, calendar=NIGHTS).row.id) == 0


def test_closing_leaves_the_youngest_run_the_hold_that_it_was_promised(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    made = offered(stage, operator, minimum_hold="3h")
    stage.submit(stage.group())
    assert stage.turn() == 1
    stage.clock.advance(1800)
    assert closes_after_ms(stage, operator, made.row.id) == 2.5 * HOUR_MS


def test_what_is_lent_without_a_notice_is_lent_until_its_window_ends(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    nights = offered(stage, operator, notice="none", calendar=NIGHTS)
    endless = offered(stage, operator, notice="none")
    stage.clock.advance(3 * 3600)
    assert closes_after_ms(stage, operator, nights.row.id) == 12 * HOUR_MS
    assert closes_after_ms(stage, operator, endless.row.id) == 0


@pytest.mark.parametrize(
    ("terms", "left_out"),
    [({"nodes": 1}, 1), ({"calendar": NIGHTS}, 2), ({"gpu_class": "a100"}, 2), ({"nodes": 2}, None)],
)
def test_a_first_offer_leaves_no_running_work_outside(
    stage: Stage, agent: ScriptedAgent, operator: Caller, terms: dict[str, Any], left_out: int | None
) -> None:
    stage.submit(stage.group(), 2, gpus_per_worker=8)
    assert stage.turn() == 2
    made = offer(stage, operator, **terms)
    if left_out is None:
        assert isinstance(made, OfferView)
        assert isinstance(offer(stage, operator, nodes=1), OfferView), "it is not the first"
    else:
        assert code_of(made) is ReasonCode.FIRST_OFFER_ENDS_RUNS
        assert isinstance(made, Refusal) and made.reasons[0].numbers["nodes"] == left_out


def test_an_offer_closes_once(stage: Stage, agent: ScriptedAgent, operator: Caller) -> None:
    made = offered(stage, operator)
    assert made.state is OfferState.OPEN

    def state_in_the_way() -> object:
        refused = close(stage, operator, made.row.id)
        assert isinstance(refused, Refusal) and refused.code is ReasonCode.STATE_CONFLICT
        return refused.reasons[0].numbers["state"]

    close(stage, operator, made.row.id)
    assert state_in_the_way() == "closing"
    stage.clock.advance(3600)
    assert state_in_the_way() == "closed"
    found = list_offers(stage.runtime, operator, None)
    assert not isinstance(found, Refusal) and [each.state for each in found] == [OfferState.CLOSED]
    with stage.runtime.database.read() as connection:
        kinds = [each.kind for each in events.after(connection, 0).events if each.kind.startswith("offer.")]
    assert kinds == ["offer.created", "offer.closed"]
