"""A lender's recall: what is refused with which numbers, which nodes it takes, and what its plan says of each run."""

from __future__ import annotations

from typing import Any

import pytest
from callers import code_of, somebody
from runtime import ScriptedAgent, Stage, ended, node, runs_now

from scheduler.model.job_state import EndCause
from scheduler.model.offer import OfferSpec
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.reason_text import sentence
from scheduler.service.caller import Caller
from scheduler.service.offers import OfferView, close_offer, create_offer
from scheduler.service.recalls import RecallInput, RecallView, list_recalls, recall, withdraw_recall
from scheduler.service.reservations import ReservationInput, ReservationView, reserve
from scheduler.store import events, quotas, recalls

HOUR_MS = 3_600_000
#: 2027-01-15 17:00 in Seoul, a Friday: what a ManualClock begins at.
NIGHTS = {"time_zone": "Asia/Seoul", "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}]}


class Lender:
    """Who offers a site's nodes and asks for them back."""

    def __init__(self, stage: Stage, caller: Caller) -> None:
        self.stage, self.caller = stage, caller

    def offer(self, **terms: Any) -> OfferView:
        """Offer four nodes with an hour's notice, unless told otherwise."""
        given = {"site": "site-1", "gpu_class": "h100", "nodes": 4, "notice": "1h"} | terms
        spec = OfferSpec.model_validate(given)
        made = self.stage.runtime.database.run(
            lambda transaction: create_offer(transaction, self.stage.runtime, self.caller, spec, "")
        )
        assert isinstance(made, OfferView), made
        return made

    def recall(self, nodes: int, hours: float = 2, **values: Any) -> RecallView | Refusal:
        """Ask for nodes within hours."""
        by_ms = self.stage.clock.now_ms() + round(hours * HOUR_MS)
        asked = RecallInput(**({"gpu_class": "h100", "nodes": nodes, "by_ms": by_ms} | values))
        return self.stage.runtime.database.run(
            lambda transaction: recall(transaction, self.stage.runtime, self.caller, "site-1", asked, "needed")
        )

    def recalled(self, nodes: int, hours: float = 2, **values: Any) -> RecallView:
        """A recall that is not refused."""
        made = self.recall(nodes, hours, **values)
        assert isinstance(made, RecallView), made
        return made

    def refused(self, nodes: int, hours: float = 2, **values: Any) -> tuple[ReasonCode, dict[str, Any]]:
        """Why a recall is refused, and with which numbers."""
        answer = self.recall(nodes, hours, **values)
        assert isinstance(answer, Refusal), answer
        return answer.code, dict(answer.reasons[0].numbers)

    def withdraw(self, recall_id: int) -> RecallView | Refusal:
        """Withdraw a recall."""
        return self.stage.runtime.database.run(
            lambda transaction: withdraw_recall(transaction, self.stage.runtime, self.caller, recall_id, "")
        )


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site of four nodes with eight GPUs each."""
    return stage.agent(nodes=4)


@pytest.fixture
def lender(stage: Stage, agent: ScriptedAgent, administrator: Caller) -> Lender:
    """Its operator."""
    return Lender(stage, somebody(administrator, sites=frozenset({agent.site_id})))


def started(
    stage: Stage, agent: ScriptedAgent, group: int, count: int = 1, *, hours_ago: float = 0, **spec: Any
) -> list[int]:
    """Jobs that run, of a whole node each unless told otherwise."""
    made = stage.submit(group, count, **({"gpus_per_worker": 8} | spec))
    assert stage.turn() == count
    agent.sync(*(runs_now(stage.run(job), stage.clock.now_ms()) for job in made))
    for job in made:
        stage.change_run(stage.run(job).id, started_ms=stage.clock.now_ms() - round(hours_ago * HOUR_MS))
    return made


def guarantee(stage: Stage, group: int, gpus: int) -> None:
    """Let a group start what may not be preempted."""
    values: dict[str, Any] = {"gpu_class": "h100", "limit": None, "borrowing_limit": None, "lending_limit": None}
    stage.runtime.database.run(
        lambda transaction: quotas.put(transaction, group_id=group, guaranteed=gpus, weight=1, **values)
    )


def nodes_of(stage: Stage, job: int) -> set[str]:
    """Where a job's run stands."""
    return {part[1] for part in stage.run(job).gang}


def test_idle_nodes_are_taken_first_by_name_and_nobody_has_to_go(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer()
    (job,) = started(stage, agent, stage.group())
    idle = sorted({"site-1-0", "site-1-1", "site-1-2", "site-1-3"} - nodes_of(stage, job))
    made = lender.recalled(2)
    assert (made.nodes, made.departures) == (tuple(idle[:2]), ())
    with stage.runtime.database.read() as connection:
        (row,) = recalls.every(connection)
        (event,) = [each for each in events.after(connection, 0).events if each.kind == "recall.asked"]
    assert (row, row.created_by, row.nodes) == (made.row, "minseo", 2)
    assert (event.why, event.site_id, event.data["nodes"], event.data["runs"]) == (
        "needed", agent.site_id, list(made.nodes), [],
    )  # fmt: skip


def test_then_those_whose_runs_lose_the_least_and_the_plan_says_who_goes_and_when(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer()
    group = stage.group()
    started(stage, agent, group, 2, hours_ago=1)
    (saving,) = started(stage, agent, group, hours_ago=1, checkpoint={"grace": "10m"})
    (young,) = started(stage, agent, group, hours_ago=0.1)
    made = lender.recalled(2)
    assert set(made.nodes) == nodes_of(stage, saving) | nodes_of(stage, young)
    by_ms = made.row.by_ms
    assert [
        (each.run.job_id, each.run.gpus, each.told_ms, each.run.checkpoints, set(each.nodes))
        for each in made.departures
    ] == [
        (saving, 8, by_ms - 600_000, True, nodes_of(stage, saving)),
        (young, 8, by_ms - 10_000, False, nodes_of(stage, young)),
    ]


def test_a_gang_goes_as_a_whole_where_that_loses_least(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    lender.offer()
    group = stage.group()
    (gang,) = started(stage, agent, group, hours_ago=1, workers=2)
    started(stage, agent, group, 2, hours_ago=1)
    made = lender.recalled(2)
    assert [each.run.job_id for each in made.departures] == [gang]
    assert set(made.nodes) == nodes_of(stage, gang)


def test_an_elastic_gang_leaves_one_of_its_nodes_and_goes_on_on_the_others(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer()
    saves = {"checkpoint": {"grace": "10m"}}
    group = stage.group()
    started(stage, agent, group, hours_ago=1, checkpoint={"grace": "25m"})
    (job,) = started(stage, agent, group, workers={"min": 2, "max": 4}, hours_ago=1, **saves)
    made = lender.recalled(1)
    assert [each.run.job_id for each in made.departures] == [job]
    stage.clock.advance(2 * 3600 - 600)
    agent.sync(runs_now(stage.run(job), stage.run(job).started_ms or 0))
    stage.turn()
    run, kept = stage.run(job), {part[1] for part in (stage.job(job).earmark or {})["gang"]}
    assert (run.stop_cause, run.stop_grace_ms, len(kept), kept & set(made.nodes)) == ("shrunk", 600_000, 2, set())
    agent.sync(ended(run, run.started_ms or 0, stage.clock.now_ms(), cause=EndCause.MOVED))
    assert stage.turn() == 1
    assert nodes_of(stage, job) == kept


def test_a_run_that_is_over_by_the_deadline_loses_nothing_and_is_not_told(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer()
    group = stage.group()
    started(stage, agent, group, 3, checkpoint={"grace": "1m"})
    (short,) = started(stage, agent, group, hours_ago=0.2, walltime="90m")
    made = lender.recalled(1)
    assert (set(made.nodes), made.departures) == (nodes_of(stage, short), ())


def test_what_may_not_be_preempted_goes_last_whatever_it_loses(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    group = stage.group()
    guarantee(stage, group, 32)
    (firm,) = started(stage, agent, group, preemptible=False, checkpoint={"grace": 0})
    others = started(stage, agent, group, 3, hours_ago=10)
    lender.offer()
    made = lender.recalled(3)
    assert {each.run.job_id for each in made.departures} == set(others)
    (last,) = lender.recalled(1).departures
    assert last.run.job_id == firm


def test_a_broken_node_is_taken_last(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    lender.offer()
    names = [f"site-1-{number}" for number in range(4)]
    agent.report_nodes(*(node(name, healthy=name != "site-1-0") for name in names), version=2)
    assert lender.recalled(3).nodes == ("site-1-1", "site-1-2", "site-1-3")
    assert lender.recalled(1).nodes == ("site-1-0",)


def test_nodes_that_no_offer_lends_are_not_taken_in_place_of_lent_ones(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer(nodes=2)
    started(stage, agent, stage.group(), 2)
    assert len(lender.recalled(1).departures) == 1, "the idle nodes are the lender's own already"


def test_a_site_that_never_made_an_offer_is_told_to_make_one_with_a_notice_first(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    code, numbers = lender.refused(1)
    assert (code, numbers) == (ReasonCode.NEVER_OFFERED, {"site": "site-1", "gpu_class": "h100"})
    assert "with a notice first" in sentence(code, numbers, "en")
    assert "먼저 통보 기간이 있는 제공을" in sentence(code, numbers, "ko")
    lender.offer()
    assert len(lender.recalled(1).nodes) == 1


def test_nothing_is_recalled_where_no_offer_can_be(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    lender.offer(notice="none")
    code, numbers = lender.refused(1)
    assert (code, numbers["offers"], numbers["site"], numbers["gpu_class"]) == (
        ReasonCode.NOTHING_TO_RECALL, 1, "site-1", "h100",
    )  # fmt: skip
    lender.offer(nodes=2, calendar=NIGHTS)
    assert lender.refused(1, hours=1.5)[0] is ReasonCode.NOTHING_TO_RECALL, "its window opens in two hours"
    assert len(lender.recalled(2, hours=3).nodes) == 2
    assert lender.refused(1, hours=16)[0] is ReasonCode.NOTHING_TO_RECALL, "by then the window has ended"


def test_no_more_is_recalled_than_is_lent_then(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    lender.offer(nodes=3)
    lender.recalled(1)
    code, numbers = lender.refused(3)
    assert (code, numbers["asked"], numbers["lent"], numbers["recalled"]) == (ReasonCode.FEWER_LENT, 3, 2, 1)
    lender.recalled(2)
    assert lender.refused(1)[1]["lent"] == 0


def test_offers_without_a_notice_keep_their_nodes(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    lender.offer(nodes=3, notice="none")
    lender.offer(nodes=1)
    assert lender.refused(2)[1]["lent"] == 1
    assert len(lender.recalled(1).nodes) == 1


def test_a_broken_promise_of_nodes_that_are_not_there_is_counted(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer(nodes=9)
    assert lender.refused(5)[1]["lent"] == 4


def test_reserved_nodes_are_not_recalled(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    lender.offer()
    asked = ReservationInput(nodes=("site-1-0", "site-1-1"), reason="new cables")
    made = stage.runtime.database.run(
        lambda transaction: reserve(transaction, stage.runtime, lender.caller, "site-1", asked)
    )
    assert isinstance(made, ReservationView)
    assert lender.refused(3)[1]["lent"] == 2
    assert lender.recalled(2).nodes == ("site-1-2", "site-1-3")


def test_the_notice_is_kept_of_those_offers_whose_nodes_are_asked_for(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer(nodes=2, notice="4h")
    lender.offer(nodes=2, notice="1h")
    code, numbers = lender.refused(1, hours=0.5)
    assert (code, numbers["notice_seconds"]) == (ReasonCode.RECALL_TOO_SOON, 3600)
    assert numbers["earliest"] == "2027-01-15T09:00:00.000Z"
    assert lender.refused(3, hours=1)[1]["notice_seconds"] == 4 * 3600
    lender.recalled(2, hours=1)
    assert lender.refused(1, hours=2)[1]["notice_seconds"] == 4 * 3600, "the two with the short notice are gone"
    assert len(lender.recalled(1, hours=4).nodes) == 1


def test_no_deadline_falls_into_the_minimum_hold_of_a_run(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    lender.offer(minimum_hold="3h")
    group = stage.group()
    (old,) = started(stage, agent, group, hours_ago=1)
    started(stage, agent, group, 3)
    assert lender.refused(2, hours=2)[1]["earliest"] == "2027-01-15T11:00:00.000Z"
    made = lender.recalled(1, hours=2)
    assert [each.run.job_id for each in made.departures] == [old]


def test_who_takes_part_of_the_time_only_gives_the_nodes_back(
    stage: Stage, agent: ScriptedAgent, lender: Lender
) -> None:
    lender.offer()
    now_ms = stage.clock.now_ms()
    assert lender.refused(1, until_ms=now_ms + 2 * HOUR_MS)[0] is ReasonCode.INVALID_FIELD
    made = lender.recalled(4, until_ms=now_ms + 5 * HOUR_MS)
    assert made.row.until_ms == now_ms + 5 * HOUR_MS
    assert len(lender.recalled(4, hours=6).nodes) == 4, "it is over by then"


def test_a_recall_is_listed_with_who_still_has_to_go_until_it_is_over_or_withdrawn(
    stage: Stage, agent: ScriptedAgent, lender: Lender, administrator: Caller
) -> None:
    lender.offer()
    (job,) = started(stage, agent, stage.group())
    made = lender.recalled(4, until_ms=stage.clock.now_ms() + 5 * HOUR_MS)

    def listed(caller: Caller = lender.caller) -> list[RecallView]:
        found = list_recalls(stage.runtime, caller, "site-1")
        assert not isinstance(found, Refusal), found
        return found

    assert listed() == listed(administrator) == listed(somebody(administrator, auditor=True)) == [made]
    assert [each.run.job_id for each in made.departures] == [job]
    assert code_of(list_recalls(stage.runtime, somebody(administrator), "site-1")) is ReasonCode.FORBIDDEN
    stage.clock.advance(5 * 3600)
    assert listed() == []
    refused = lender.withdraw(made.row.id)
    assert isinstance(refused, Refusal) and refused.reasons[0].numbers["state"] == "over"


def test_a_recall_is_withdrawn_once_by_those_who_act_for_the_site(
    stage: Stage, agent: ScriptedAgent, lender: Lender, administrator: Caller
) -> None:
    lender.offer()
    made = lender.recalled(4)
    for caller, code in (
        (somebody(administrator), ReasonCode.RECALL_NOT_FOUND),
        (somebody(administrator, auditor=True), ReasonCode.FORBIDDEN),
    ):
        assert code_of(Lender(stage, caller).withdraw(made.row.id)) is code
        assert code_of(Lender(stage, caller).recall(1)) is ReasonCode.FORBIDDEN
    assert code_of(lender.withdraw(99)) is ReasonCode.RECALL_NOT_FOUND
    withdrawn = lender.withdraw(made.row.id)
    assert isinstance(withdrawn, RecallView) and withdrawn.row.withdrawn_ms == stage.clock.now_ms()
    assert list_recalls(stage.runtime, lender.caller, "site-1") == []
    assert code_of(lender.withdraw(made.row.id)) is ReasonCode.STATE_CONFLICT
    assert len(lender.recalled(4).nodes) == 4


def test_a_closed_offer_is_recalled_no_more(stage: Stage, agent: ScriptedAgent, lender: Lender) -> None:
    made = lender.offer()
    stage.runtime.database.run(
        lambda transaction: close_offer(transaction, stage.runtime, lender.caller, made.row.id, "")
    )
    assert lender.refused(1)[0] is ReasonCode.NOTHING_TO_RECALL
