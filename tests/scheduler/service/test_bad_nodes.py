"""A node that fails runs of several people is set aside for its operator, who alone gives it back."""

from __future__ import annotations

import pytest
from callers import code_of, somebody
from runtime import ScriptedAgent, Stage, ended, node, runs_now

from scheduler.cycle.decide import decide
from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.audit import list_site_events
from scheduler.service.bad_nodes import ACTOR
from scheduler.service.caller import Caller
from scheduler.service.follow import Follower
from scheduler.service.reconcile import KEPT_WINDOWS, forget_old
from scheduler.service.round_commit import commit_starts
from scheduler.service.runtime import Runtime
from scheduler.service.site_nodes import NodeView, list_nodes, return_node, set_node_aside
from scheduler.service.sites import SiteView, show_site
from scheduler.store import node_failures, nodes
from scheduler.store.nodes import NodeRow

FIRST, SECOND = "site-1-0", "site-1-1"


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """On SQLite and on PostgreSQL."""
    return on_both


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """A site of two nodes with eight GPUs each."""
    return stage.agent(nodes=2, lease_seconds=3000)


@pytest.fixture
def group(stage: Stage) -> int:
    """A group."""
    return stage.group()


@pytest.fixture
def operator(agent: ScriptedAgent, administrator: Caller) -> Caller:
    """Who operates the site."""
    return somebody(administrator, sites=frozenset({agent.site_id}))


def node_of(stage: Stage, agent: ScriptedAgent, name: str) -> NodeRow:
    """A node as the record has it."""
    with stage.runtime.database.read() as connection:
        found = nodes.by_name(connection, agent.site_id, name)
    assert found is not None
    return found


def fail(
    stage: Stage,
    agent: ScriptedAgent,
    group: int,
    person: str,
    cause: EndCause = EndCause.NODE_LOST,
    named: str | None = FIRST,
    **spec: object,
) -> int:
    """A job of ``person`` starts, and fails; then it is over and done with, and a while goes by."""
    (job,) = stage.submit(group, person=person, **spec)
    assert stage.turn() == 1
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(job), now_ms, now_ms, cause=cause, exit_code=1, node=named))
    stage.change_job(job, state="cancelled")
    stage.clock.advance(11 * 60)
    agent.sync()
    return job


def spoil(stage: Stage, agent: ScriptedAgent, group: int, named: str = FIRST) -> None:
    """Runs of two people fail on a node, one after the other."""
    fail(stage, agent, group, "jiwoo", named=named)
    fail(stage, agent, group, "minseo", named=named)


def give_back(stage: Stage, caller: Caller, name: str = FIRST, why: str = "new memory") -> NodeView | Refusal:
    """The operator's word."""
    return stage.runtime.database.run(lambda each: return_node(each, stage.runtime, caller, "site-1", name, why))


def put_aside(stage: Stage, caller: Caller, name: str = FIRST, why: str = "it smells") -> NodeView | Refusal:
    """The operator's word."""
    return stage.runtime.database.run(lambda each: set_node_aside(each, stage.runtime, caller, "site-1", name, why))


def test_a_node_that_fails_two_people_s_runs_takes_nothing_more_and_counts_as_no_capacity(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    fail(stage, agent, group, "jiwoo")
    assert node_of(stage, agent, FIRST).aside_ms is None
    fail(stage, agent, group, "minseo")
    aside = node_of(stage, agent, FIRST)
    assert (aside.aside_by, aside.is_well) == (ACTOR, False)
    made = stage.submit(group, 3, gpus_per_worker=8)
    assert stage.turn() == 1
    assert stage.run(made[0]).gang[0][1] == SECOND
    assert stage.follower.federation.snapshot().capacity("h100") == 8


def test_a_run_that_goes_on_there_goes_on_and_a_later_end_says_nothing_new(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    (long,) = stage.submit(group)
    assert stage.turn() == 1
    agent.sync(runs_now(stage.run(long), stage.clock.now_ms()))
    spoil(stage, agent, group)
    stage.turn()
    assert (stage.job(long).state, agent.sync().stop) == ("running", ())
    since_ms = node_of(stage, agent, FIRST).aside_ms
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(long), now_ms, now_ms, cause=EndCause.NODE_LOST, node=FIRST))
    assert node_of(stage, agent, FIRST).aside_ms == since_ms


def test_no_report_of_its_agent_clears_it(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    spoil(stage, agent, group)
    agent.report_nodes(node(FIRST, healthy=False), version=2, complete=False)
    agent.report_nodes(node(SECOND), version=3)
    agent.report_nodes(node(FIRST), node(SECOND), version=4)
    assert node_of(stage, agent, FIRST).healthy
    assert not node_of(stage, agent, FIRST).is_well


def test_its_operator_gives_it_back_and_what_was_before_counts_no_more(
    stage: Stage, agent: ScriptedAgent, operator: Caller, group: int
) -> None:
    spoil(stage, agent, group)
    answer = give_back(stage, operator)
    assert isinstance(answer, NodeView)
    assert (answer.row.is_well, answer.standing.failures) == (True, 0)
    assert stage.submit(group, 2, gpus_per_worker=8) and stage.turn() == 2
    stage.clock.advance(1)
    now_ms = stage.clock.now_ms()
    (run,) = [run for job in (3, 4) for run in stage.runs(job) if run.gang[0][1] == FIRST]
    agent.sync(ended(run, now_ms, now_ms, cause=EndCause.NODE_LOST, node=FIRST))
    assert node_of(stage, agent, FIRST).is_well


@pytest.mark.parametrize(
    "why_not",
    [
        {"person": "jiwoo"},
        {"cause": EndCause.EXITED},
        {"cause": EndCause.LEASE_EXPIRED},
        {"named": None},
        {"named": "another"},
    ],
    ids=str,
)
def test_one_person_s_runs_programs_a_silent_site_or_one_blame_that_is_shared_set_nothing_aside(
    stage: Stage, agent: ScriptedAgent, group: int, why_not: dict[str, object]
) -> None:
    fail(stage, agent, group, "jiwoo")
    for person in ("minseo", "suhyeon")[: 1 if "named" in why_not else 2]:
        fail(stage, agent, group, **({"person": person} | why_not))  # type: ignore[arg-type]
    assert node_of(stage, agent, FIRST).is_well


def test_a_gang_s_failure_is_shared_among_its_nodes_and_the_site(
    stage: Stage, agent: ScriptedAgent, group: int
) -> None:
    fail(stage, agent, group, "jiwoo", EndCause.START_FAILED, None, workers=2, gpus_per_worker=8)
    with stage.runtime.database.read() as connection:
        ids = [row.id for row in nodes.of_site(connection, agent.site_id)]
        found = node_failures.of_nodes(connection, ids, 0)
    assert [(each.node_id, each.suspects, each.cause) for each in found] == [
        (ids[0], 3, "start_failed"), (ids[1], 3, "start_failed"),
    ]  # fmt: skip


def test_a_run_that_was_told_to_stop_speaks_against_nobody(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    fail(stage, agent, group, "jiwoo")
    (job,) = stage.submit(group, person="minseo")
    assert stage.turn() == 1
    run, now_ms = stage.run(job), stage.clock.now_ms()
    stage.change_run(run.id, stop_cause="recalled", stop_grace_ms=0, stop_requested_ms=now_ms)
    agent.sync(ended(run, now_ms, now_ms, cause=EndCause.DRIVER_LOST, node=FIRST))
    assert node_of(stage, agent, FIRST).is_well


def test_more_than_a_tenth_of_a_site_is_the_site_s_trouble_and_told_to_its_operator(
    stage: Stage, agent: ScriptedAgent, operator: Caller, group: int
) -> None:
    spoil(stage, agent, group)
    spoil(stage, agent, group, named=SECOND)
    assert node_of(stage, agent, SECOND).is_well
    page = list_site_events(stage.runtime, operator, "site-1", 0, 1000)
    assert not isinstance(page, Refusal)
    told = [(each.kind, each.data["node"]) for each in page.events if each.kind.startswith("node.")]
    assert told == [("node.set_aside", FIRST), ("node.suspected", SECOND)]
    assert {each.job_id for each in page.events} == {None}


def test_a_start_that_was_decided_before_is_not_committed(
    stage: Stage, agent: ScriptedAgent, operator: Caller, group: int
) -> None:
    stage.submit(group)
    stage.follower.catch_up()
    snapshot = stage.follower.federation.snapshot()
    plan = decide(snapshot, 1)
    put_aside(stage, operator, str(plan.starts[0].gang[0][1]))

    def commit() -> int:
        return stage.runtime.database.run(lambda each: commit_starts(each, plan.starts, snapshot.shapes))

    assert (len(plan.starts), commit()) == (1, 0)
    give_back(stage, operator, str(plan.starts[0].gang[0][1]))
    assert commit() == 1


def test_a_person_sets_a_node_aside_says_why_and_sees_it(stage: Stage, agent: ScriptedAgent, operator: Caller) -> None:
    assert code_of(put_aside(stage, operator, why=" ")) is ReasonCode.INVALID_FIELD
    assert code_of(put_aside(stage, operator, name="nowhere")) is ReasonCode.NODE_NOT_FOUND
    assert code_of(put_aside(stage, somebody(operator))) is ReasonCode.FORBIDDEN
    first = put_aside(stage, operator)
    assert isinstance(first, NodeView)
    assert (first.row.aside_by, (first.row.aside_reason or {})["numbers"]["why"]) == ("minseo", "it smells")
    assert put_aside(stage, operator, why="twice") == first
    listed = list_nodes(stage.runtime, operator, "site-1", aside=True)
    assert not isinstance(listed, Refusal)
    assert [view.row.name for view in listed] == [FIRST]
    shown = show_site(stage.runtime, operator, "site-1")
    assert isinstance(shown, SiteView)
    assert (shown.nodes_set_aside, shown.gpu_classes) == (1, (("h100", 8, 8),))
    assert code_of(list_nodes(stage.runtime, somebody(operator), "site-1", aside=False)) is ReasonCode.FORBIDDEN


def test_a_leader_that_begins_later_knows_it(stage: Stage, agent: ScriptedAgent, operator: Caller, group: int) -> None:
    put_aside(stage, operator)
    put_aside(stage, operator, SECOND)
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    stage.submit(group)
    assert stage.turn() == 0


def test_what_counts_no_more_is_dropped_in_time(stage: Stage, agent: ScriptedAgent, group: int) -> None:
    fail(stage, agent, group, "jiwoo")
    stage.clock.advance((KEPT_WINDOWS - 1) * 86_400)
    for left in (1, 0):
        stage.runtime.database.run(lambda each: forget_old(each, 3600))
        with stage.runtime.database.read() as connection:
            assert len(node_failures.of_nodes(connection, [node_of(stage, agent, FIRST).id], 0)) == left
        stage.clock.advance(86_400)
