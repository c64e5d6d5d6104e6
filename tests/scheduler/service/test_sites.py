"""What operators do with their sites, and who sees what of them."""

from __future__ import annotations

import pytest
from callers import code_of, somebody
from runtime import ScriptedAgent, Stage, ended, ids_of, node, runs_now

from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.site import SiteState
from scheduler.service.caller import Caller
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.sites import (
    change_operator,
    declare_lost,
    list_sites,
    set_site_state,
    show_site,
    site_runs,
)
from scheduler.store import events, memberships
from scheduler.store.sites import SiteRow


def set_state(stage: Stage, caller: Caller, state: SiteState, site: str = "site-1") -> SiteRow | Refusal:
    """Cordon, drain, resume or stop."""
    return stage.runtime.database.run(
        lambda transaction: set_site_state(transaction, stage.runtime, caller, site, state, "maintenance")
    )


@pytest.fixture
def operator(agent: ScriptedAgent, administrator: Caller) -> Caller:
    """Who operates the site."""
    return somebody(administrator, sites=frozenset({agent.site_id}))


@pytest.mark.parametrize("state", [SiteState.CORDONED, SiteState.DRAINING])
def test_nothing_starts_at_a_closed_site_what_runs_goes_on_and_resume_opens_it(
    stage: Stage, agent: ScriptedAgent, operator: Caller, state: SiteState
) -> None:
    group = stage.group()
    (first,) = stage.submit(group)
    stage.turn()
    agent.sync(runs_now(stage.run(first), 1))
    assert not isinstance(set_state(stage, operator, state), Refusal)
    (second,) = stage.submit(group)
    assert stage.turn() == 0
    assert (stage.job(first).state, agent.sync().stop) == ("running", ())
    set_state(stage, operator, SiteState.ACTIVE)
    assert stage.turn() == 1
    assert stage.job(second).state == "leased"


def test_a_stop_ends_every_run_at_once_and_jobs_queue_only_after_each_end_is_confirmed(
    stage: Stage, agent: ScriptedAgent, operator: Caller
) -> None:
    other = stage.agent("site-2", nodes=0)
    jobs = stage.submit(stage.group(), 3)
    stage.turn()
    agent.sync(*(runs_now(stage.run(job), 1) for job in jobs[:2]))  # the third was leased and never told
    set_state(stage, operator, SiteState.STOPPED)
    assert {stage.job(job).state for job in jobs} == {"preempting"}
    answer = agent.sync()
    assert sorted(ids_of(answer.stop)) == sorted(stage.run(job).id for job in jobs)
    assert {(stop.cause, stop.grace_seconds) for stop in answer.stop} == {(EndCause.SITE_STOPPED, 0.0)}
    other.report_nodes(node("spare"))
    assert stage.turn() == 0, "a run that is not confirmed ended holds its job"
    agent.sync(ended(stage.run(jobs[0]), 1, 2, cause=EndCause.SITE_STOPPED))
    assert stage.turn() == 1
    assert (stage.run(jobs[0]).site_id, stage.run(jobs[0]).epoch) == (other.site_id, 2)
    assert [stage.job(job).state for job in jobs[1:]] == ["preempting", "preempting"]


def test_a_stop_spares_no_run_that_is_being_stopped_already_and_no_later_word_gives_time_back(
    stage: Stage, agent: ScriptedAgent, operator: Caller, administrator: Caller
) -> None:
    (job,) = stage.submit(stage.group(), checkpoint={"grace": "10m"})
    stage.turn()
    agent.sync(runs_now(stage.run(job), 1))

    def act(action: JobAction) -> None:
        acted = stage.runtime.database.run(
            lambda transaction: act_on_job(transaction, stage.runtime, administrator, job, action)
        )
        assert not isinstance(acted, Refusal)

    act(JobAction.REQUEUE)
    assert agent.sync().stop[0].grace_seconds == 600.0
    set_state(stage, operator, SiteState.STOPPED)
    (stop,) = agent.sync().stop
    assert (stop.cause, stop.grace_seconds) == (EndCause.REQUEUED, 0.0)
    act(JobAction.CANCEL)
    stage.clock.advance(3)
    (stop,) = agent.sync().stop
    assert (stop.cause, stop.grace_seconds) == (EndCause.CANCELLED, 0.0)


@pytest.mark.parametrize("why", ["", "  "])
def test_nothing_is_taken_from_others_without_saying_why(
    stage: Stage, agent: ScriptedAgent, operator: Caller, why: str
) -> None:
    def act(state: SiteState) -> SiteRow | Refusal:
        return stage.runtime.database.run(
            lambda transaction: set_site_state(transaction, stage.runtime, operator, "site-1", state, why)
        )

    for state in (SiteState.CORDONED, SiteState.DRAINING, SiteState.STOPPED):
        assert code_of(act(state)) is ReasonCode.INVALID_FIELD
    with stage.runtime.database.write() as transaction:
        lost = declare_lost(transaction, stage.runtime, operator, "site-1", why)
    assert code_of(lost) is ReasonCode.INVALID_FIELD
    assert agent.site.state == "active"
    assert not isinstance(act(SiteState.ACTIVE), Refusal)


def test_who_did_it_and_why_is_written_down(stage: Stage, agent: ScriptedAgent, operator: Caller) -> None:
    set_state(stage, operator, SiteState.CORDONED)
    assert (agent.site.state, agent.site.state_reason) == ("cordoned", "maintenance")
    with stage.runtime.database.read() as connection:
        (event,) = [each for each in events.after(connection, 0).events if each.kind == "site.state"]
    assert (event.actor, event.why, event.site_id, event.data) == (
        "minseo", "maintenance", agent.site_id, {"state": "cordoned", "runs_stopped": 0},
    )  # fmt: skip


def test_only_those_who_act_for_a_site_change_it(stage: Stage, agent: ScriptedAgent, administrator: Caller) -> None:
    for caller in (somebody(administrator), somebody(administrator, auditor=True)):
        assert code_of(set_state(stage, caller, SiteState.STOPPED)) is ReasonCode.FORBIDDEN
        with stage.runtime.database.write() as transaction:
            lost = declare_lost(transaction, stage.runtime, caller, "site-1", "")
        assert code_of(lost) is ReasonCode.FORBIDDEN
    assert agent.site.state == "active"
    assert code_of(set_state(stage, administrator, SiteState.STOPPED, "nowhere")) is ReasonCode.SITE_NOT_FOUND
    assert not isinstance(set_state(stage, administrator, SiteState.STOPPED), Refusal)


def test_everybody_sees_sites_and_only_those_concerned_their_contracts_and_runs(
    stage: Stage, agent: ScriptedAgent, administrator: Caller, operator: Caller
) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=2)
    stage.turn()
    stranger, auditor = somebody(administrator), somebody(administrator, auditor=True)
    assert [view.row.name for view in list_sites(stage.runtime, stranger)] == ["site-1"]
    for caller, inspected in ((stranger, False), (auditor, True), (operator, True), (administrator, True)):
        view = show_site(stage.runtime, caller, "site-1")
        assert not isinstance(view, Refusal)
        assert (view.inspected, view.gpu_classes, view.nodes, view.reachable) == (
            inspected, (("h100", 8, 6),), 1, True,
        )  # fmt: skip
        found = site_runs(stage.runtime, caller, "site-1", 0, 10)
        if inspected:
            assert not isinstance(found, Refusal)
            assert [(each.run.id, each.run.gpus, each.group) for each in found] == [(stage.run(job).id, 2, "research")]
        else:
            assert code_of(found) is ReasonCode.FORBIDDEN
    assert agent.site_id in operator.sites


def test_operators_come_and_go(stage: Stage, agent: ScriptedAgent, operator: Caller) -> None:
    def change(person: str, *, add: bool) -> SiteRow | Refusal:
        return stage.runtime.database.run(
            lambda transaction: change_operator(transaction, stage.runtime, operator, "site-1", person, "", add=add)
        )

    def count() -> int:
        with stage.runtime.database.read() as connection:
            return len(memberships.operators_of(connection, agent.site_id))

    assert not isinstance(change("haeun", add=True), Refusal)
    assert not isinstance(change("haeun", add=True), Refusal)
    assert count() == 1
    assert not isinstance(change("haeun", add=False), Refusal)
    assert code_of(change("haeun", add=False)) is ReasonCode.ROLE_NOT_HELD
    assert code_of(change("a-typing-error", add=False)) is ReasonCode.PERSON_NOT_FOUND
    assert count() == 0
