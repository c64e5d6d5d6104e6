"""Nodes set aside for maintenance: which, for how long, who has to go, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from callers import code_of, somebody
from runtime import ScriptedAgent, Stage, ended, node, runs_now

from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller
from scheduler.service.reservations import (
    ReservationInput,
    ReservationView,
    list_reservations,
    reserve,
    withdraw_reservation,
)
from scheduler.store import events, reservations

HOUR_MS = 3_600_000


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site of four nodes with eight GPUs each, the last of another class."""
    made = stage.agent(nodes=3)
    names = [f"site-1-{number}" for number in range(3)]
    made.report_nodes(*map(node, names), node("site-1-3", gpu_class="a100"), version=2)
    return made


@pytest.fixture
def operator(agent: ScriptedAgent, administrator: Caller) -> Caller:
    """Who operates the site."""
    return somebody(administrator, sites=frozenset({agent.site_id}))


def ask(stage: Stage, caller: Caller, **values: Any) -> ReservationView | Refusal:
    """Set nodes aside for new cables, in two hours for an hour, unless told otherwise."""
    now_ms = stage.clock.now_ms()
    times = {"from_ms": now_ms + 2 * HOUR_MS, "to_ms": now_ms + 3 * HOUR_MS, "reason": "new cables"}
    asked = ReservationInput(**(times | values))
    return stage.runtime.database.run(lambda transaction: reserve(transaction, stage.runtime, caller, "site-1", asked))


def reserved(stage: Stage, caller: Caller, **values: Any) -> ReservationView:
    """A reservation that is not refused."""
    made = ask(stage, caller, **values)
    assert isinstance(made, ReservationView), made
    return made


def withdraw(stage: Stage, caller: Caller, number: int) -> ReservationView | Refusal:
    """Withdraw a reservation."""
    return stage.runtime.database.run(
        lambda transaction: withdraw_reservation(transaction, stage.runtime, caller, number, "")
    )


def started(stage: Stage, agent: ScriptedAgent, **spec: Any) -> int:
    """A job that runs on a whole node."""
    (job,) = stage.submit(stage.group(), gpus_per_worker=8, gpu_classes=["h100"], **spec)
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    return job


def test_named_nodes_are_set_aside_and_it_is_written_down_who_did_it_and_why(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    made = reserved(stage, operator, nodes=("site-1-3", "site-1-1", "site-1-1"))
    with stage.runtime.database.read() as connection:
        (row,) = reservations.every(connection)
        (event,) = [each for each in events.after(connection, 0).events if each.kind == "reservation.made"]
    assert made.nodes == ("site-1-1", "site-1-3")
    assert (row, row.created_by, row.reason, row.gpu_class) == (made.row, "minseo", "new cables", None)
    assert (event.actor, event.why, event.site_id, event.data["nodes"]) == (
        "minseo", "new cables", agent.site_id, list(made.nodes),
    )  # fmt: skip


def test_a_count_of_a_class_takes_idle_nodes_by_name_and_then_the_least_lost_work(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    job = started(stage, agent, checkpoint={"grace": "10m"})
    (held,) = (part[1] for part in stage.run(job).gang)
    idle = sorted({"site-1-0", "site-1-1", "site-1-2"} - {held})
    first = reserved(stage, operator, gpu_class="h100", count=1)
    assert (first.nodes, first.departures) == ((idle[0],), ())
    second = reserved(stage, operator, gpu_class="h100", count=2)
    assert second.nodes == tuple(sorted((idle[1], held)))
    (departure,) = second.departures
    assert (departure.run.job_id, departure.told_ms, departure.run.checkpoints, departure.nodes) == (
        job, second.row.from_ms - 600_000, True, (held,),
    )  # fmt: skip
    refused = ask(stage, operator, gpu_class="h100", count=1)
    assert isinstance(refused, Refusal) and refused.code is ReasonCode.FEWER_NODES
    assert (refused.reasons[0].numbers["asked"], refused.reasons[0].numbers["nodes"]) == (1, 0)


def test_nodes_are_free_for_another_reservation_once_one_is_over(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    first = reserved(stage, operator, gpu_class="h100", count=3)
    assert first.row.to_ms is not None
    assert len(reserved(stage, operator, gpu_class="h100", count=3, from_ms=first.row.to_ms, to_ms=None).nodes) == 3
    before = reserved(stage, operator, gpu_class="h100", count=3, from_ms=None, to_ms=first.row.from_ms)
    assert before.row.from_ms == stage.clock.now_ms()
    assert code_of(ask(stage, operator, gpu_class="h100", count=1, from_ms=None)) is ReasonCode.FEWER_NODES


def test_a_class_without_a_count_is_all_of_it_and_neither_is_the_whole_site(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    assert reserved(stage, operator, gpu_class="a100").nodes == ("site-1-3",)
    assert len(reserved(stage, operator).nodes) == 4


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"reason": " "}, ReasonCode.INVALID_FIELD, "reason"),
        ({"to_ms": 1}, ReasonCode.INVALID_FIELD, "to"),
        ({"nodes": ("site-1-0",), "gpu_class": "h100"}, ReasonCode.INVALID_FIELD, "nodes"),
        ({"nodes": ("site-1-0",), "count": 1}, ReasonCode.INVALID_FIELD, "nodes"),
        ({"count": 1}, ReasonCode.INVALID_FIELD, "gpu_class"),
        ({"nodes": ("site-1-0", "site-9-0")}, ReasonCode.NODE_NOT_FOUND, "nodes"),
        ({"gpu_class": "h1000"}, ReasonCode.FEWER_NODES, "gpu_class"),
        ({"gpu_class": "h100", "count": 4}, ReasonCode.FEWER_NODES, "count"),
    ],
)
def test_what_cannot_be_set_aside_is_refused_by_its_field(
    stage: Stage, agent: ScriptedAgent, operator: Caller, values: dict[str, Any], code: ReasonCode, field: str
) -> None:
    refused = ask(stage, operator, **values)
    assert isinstance(refused, Refusal) and (refused.code, refused.reasons[0].field) == (code, field)
    with stage.runtime.database.read() as connection:
        assert reservations.every(connection) == []


def test_a_run_that_was_told_to_stop_already_is_not_told_again(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    job = started(stage, agent)
    stage.change_run(stage.run(job).id, stop_cause="requeued", stop_grace_ms=10_000, stop_requested_ms=1)
    assert reserved(stage, operator).departures == ()


def test_reservations_are_listed_until_they_are_over_or_withdrawn_by_those_who_act_for_the_site(
    stage: Stage, agent: ScriptedAgent, operator: Caller, administrator: Caller
) -> None:
    first, second = reserved(stage, operator), reserved(stage, operator, to_ms=None)

    def listed(caller: Caller = operator) -> list[ReservationView]:
        found = list_reservations(stage.runtime, caller, "site-1")
        assert not isinstance(found, Refusal), found
        return found

    stranger, auditor = somebody(administrator), somebody(administrator, auditor=True)
    assert listed() == listed(administrator) == listed(auditor) == [first, second]
    assert code_of(list_reservations(stage.runtime, stranger, "site-1")) is ReasonCode.FORBIDDEN
    for caller, code in ((stranger, ReasonCode.RESERVATION_NOT_FOUND), (auditor, ReasonCode.FORBIDDEN)):
        assert code_of(withdraw(stage, caller, second.row.id)) is code
        assert code_of(ask(stage, caller)) is ReasonCode.FORBIDDEN
    assert code_of(withdraw(stage, operator, 99)) is ReasonCode.RESERVATION_NOT_FOUND
    assert isinstance(withdraw(stage, operator, second.row.id), ReservationView)
    assert code_of(withdraw(stage, operator, second.row.id)) is ReasonCode.STATE_CONFLICT
    assert listed() == [first]
    stage.clock.advance(3 * 3600)
    assert listed() == []
    over = withdraw(stage, operator, first.row.id)
    assert isinstance(over, Refusal) and over.reasons[0].numbers["state"] == "over"


def test_nodes_that_are_kept_for_a_group_are_left_by_others_and_run_its_work_alone(
    stage: Stage, agent: ScriptedAgent, operator: Caller, administrator: Caller
) -> None:
    stranger = started(stage, agent)
    (held,) = (part[1] for part in stage.run(stranger).gang)
    mine = stage.group("startup")
    made = reserved(stage, administrator, nodes=(held,), from_ms=None, to_ms=None, group="startup")
    assert (made.group, [each.run.job_id for each in made.departures]) == ("startup", [stranger])
    (theirs,) = stage.submit(stage.job(stranger).group_id, workers=3, gpus_per_worker=8, gpu_classes=["h100"])
    (ours,) = stage.submit(mine, gpus_per_worker=8, gpu_classes=["h100"])
    stage.turn()
    assert stage.run(stranger).stop_cause == "recalled"
    run = stage.run(stranger)
    agent.sync(ended(run, run.started_ms or 0, stage.clock.now_ms(), cause=EndCause.RECALLED))
    (second, third) = stage.submit(mine, 2, gpus_per_worker=8, gpu_classes=["h100"])
    stage.turn()
    assert stage.job(theirs).state == "queued", "the third node is the group's"
    nodes_of = {part[1] for job in (ours, second, third) if stage.runs(job) for part in stage.run(job).gang}
    assert held in nodes_of
    listed = list_reservations(stage.runtime, administrator, "site-1")
    assert not isinstance(listed, Refusal)
    assert [each.departures for each in listed] == [()]


def test_the_groups_own_runs_need_not_go(stage: Stage, agent: ScriptedAgent, administrator: Caller) -> None:
    job = started(stage, agent)
    (held,) = (part[1] for part in stage.run(job).gang)
    assert reserved(stage, administrator, nodes=(held,), group="research").departures == ()
    assert len(reserved(stage, administrator, gpu_class="h100", count=2, group="research").nodes) == 2


def test_no_node_is_kept_for_two_groups_at_a_time(stage: Stage, agent: ScriptedAgent, administrator: Caller) -> None:
    stage.group()
    reserved(stage, administrator, nodes=("site-1-1",), group="research")
    for values in ({"nodes": ("site-1-0", "site-1-1")}, {"gpu_class": "h100"}):
        refused = ask(stage, administrator, group="research", **values)
        assert isinstance(refused, Refusal) and refused.code is ReasonCode.INVALID_FIELD
        assert "site-1-1" in str(refused.reasons[0].numbers["problem"])
    first = reserved(stage, administrator, gpu_class="h100", count=2, group="research")
    assert first.nodes == ("site-1-0", "site-1-2")


def test_nodes_are_kept_for_no_group_that_is_not_there_or_that_the_caller_does_not_see(
    stage: Stage, agent: ScriptedAgent, operator: Caller, administrator: Caller
) -> None:
    stage.group()
    assert code_of(ask(stage, administrator, nodes=("site-1-1",), group="nobody")) is ReasonCode.GROUP_NOT_FOUND
    assert code_of(ask(stage, operator, nodes=("site-1-1",), group="research")) is ReasonCode.GROUP_NOT_FOUND
