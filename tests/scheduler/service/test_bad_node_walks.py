"""A law on random walks: a node is set aside just when the rule by hand says so, and no run starts on one that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from node_faults import is_bad_by_hand
from real_postgresql import PostgreSql
from runtime import ScriptedAgent, Stage, administrator_of, ended, make_runtime, node

from scheduler.clock import ManualClock
from scheduler.model.job_state import ACTIVE_STATES, TERMINAL_STATES, EndCause, JobState
from scheduler.model.node_fault import NODE_CAUSES, WINDOW_MS, Failure
from scheduler.service.caller import Caller
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.site_nodes import return_node, set_node_aside
from scheduler.store import jobs, nodes
from scheduler.store.jobs import JobFilter, JobRow

pytestmark = pytest.mark.slow

NODES = [f"site-1-{number}" for number in range(12)]
ASIDES_MAX = 2
PEOPLE = ("jiwoo", "minseo", "suhyeon")
CAUSES = (*sorted(NODE_CAUSES) * 2, EndCause.EXITED, EndCause.LEASE_EXPIRED, EndCause.VANISHED)
STEPS = (
    *("submit", "turn", "turn", "end", "fail", "fail", "fail", "fail", "fail", "wait", "wait"),
    *("aside", "return", "requeue", "report"),
)
SECONDS = (30, 599, 601, 601, 3600, 40_000)
#: Mixed, since small numbers are drawn far more often than others.
chosen_numbers = st.integers(0, 65_535).map(lambda number: (number * 40_503 + 12_345) % 65_536)

#: After these the rule has set a node aside, whatever else is drawn.
AT_FAULT = [("aside", 53_852), ("fail", 37_378), ("fail", 18_961), ("fail", 2_042)]


@dataclass
class Walk:
    """One walk over a federation, and what the test itself knows of its nodes."""

    stage: Stage
    agent: ScriptedAgent
    administrator: Caller
    group: int
    owners: dict[int, str] = field(default_factory=dict)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)
    trusted: dict[str, int] = field(default_factory=dict)
    healthy: set[str] = field(default_factory=lambda: set(NODES))
    version: int = 1

    def step(self, name: str, chosen: int) -> None:
        """Do one thing, and look."""
        match name:
            case "submit":
                self._submit(chosen)
            case "fail":
                self._submit(chosen)
                self._turn()
                self._end(chosen)
                self.stage.clock.advance(SECONDS[chosen % 3])
                self.agent.sync()
            case "turn":
                self._turn()
            case "end":
                self._end(chosen)
            case "wait":
                self.stage.clock.advance(SECONDS[chosen % len(SECONDS)])
                self.agent.sync()
            case "aside" | "return":
                self._act(name, NODES[chosen % 4])
            case "requeue":
                self._requeue(chosen)
            case "report":
                self.healthy ^= {NODES[chosen % 12]}
                self.version += 1
                told = [node(each, 1, healthy=each in self.healthy) for each in NODES]
                self.agent.report_nodes(*told, version=self.version)
        self.check()

    def _submit(self, chosen: int) -> None:
        person = PEOPLE[chosen % 3]
        workers = (1, 1, 2, 3)[chosen // 3 % 4]
        again = {"infrastructure": chosen // 12 % 2}
        (job,) = self.stage.submit(self.group, person=person, workers=workers, retries=again)
        self.owners[job] = person

    def live(self) -> list[JobRow]:
        """Jobs that have a run now, those on the first nodes first."""
        with self.stage.runtime.database.read() as connection:
            rows = jobs.newest(connection, JobFilter(states=[each.value for each in ACTIVE_STATES]), limit=100)
        return sorted(rows, key=lambda row: (min(part[0] for part in self.stage.run(row.id).gang), row.id))

    def _turn(self) -> None:
        before = {row.run_id for row in self.live()}
        self.stage.turn()
        for row in self.live():
            if row.run_id not in before:
                gang = {part[1] for part in self.stage.run(row.id).gang}
                assert gang.isdisjoint(self.aside), (gang, self.aside)
                assert gang <= self.healthy

    def _end(self, chosen: int) -> None:
        live = self.live()
        if not live:
            return
        # Often those on the first nodes, so that failures come together.
        row = live[chosen % len(live) if chosen % 4 == 0 else 0]
        run, now_ms = self.stage.run(row.id), self.stage.clock.now_ms()
        cause = CAUSES[chosen // 7 % len(CAUSES)]
        gang = sorted((part[0], part[1]) for part in run.gang)
        named = (gang[0][1], gang[-1][1], gang[0][1], None, "elsewhere")[chosen // 50 % 5]
        self.agent.sync(ended(run, now_ms, now_ms, cause=cause, exit_code=1, node=named))
        if cause not in NODE_CAUSES or run.stop_cause is not None:
            return
        names = [name for _, name in gang]
        known = named in names
        person = PEOPLE.index(self.owners[row.id])
        suspected = [str(named)] if known else names
        for name in suspected:
            failure = Failure(now_ms, person, 1 if known else len(names) + 1)
            self.failures.setdefault(name, []).append(failure)
        for name in suspected:
            bad = is_bad_by_hand(self.failures[name], now_ms, self.trusted.get(name))
            if bad and name not in self.aside and list(self.aside.values()).count("rule") < ASIDES_MAX:
                self.aside[name] = "rule"

    def _act(self, name: str, node_name: str) -> None:
        act, runtime = {"aside": set_node_aside, "return": return_node}[name], self.stage.runtime
        runtime.database.run(lambda each: act(each, runtime, self.administrator, "site-1", node_name, "by hand"))
        if name == "aside":
            self.aside.setdefault(node_name, "hand")
        elif self.aside.pop(node_name, None) is not None:
            self.trusted[node_name] = self.stage.clock.now_ms()

    def _requeue(self, chosen: int) -> None:
        live = self.live()
        if live:
            job, stage = live[chosen % len(live)].id, self.stage
            stage.runtime.database.run(
                lambda each: act_on_job(each, stage.runtime, self.administrator, job, JobAction.REQUEUE)
            )

    def check(self) -> None:
        """The law."""
        with self.stage.runtime.database.read() as connection:
            rows = nodes.of_site(connection, self.agent.site_id)
        found = {
            row.name: "rule" if row.aside_by == "scheduler" else "hand" for row in rows if row.aside_ms is not None
        }
        assert found == self.aside

    def finish(self) -> None:
        """Leave nothing behind: no job, no node set aside, and a day without failures."""
        for row in self.live():
            now_ms = self.stage.clock.now_ms()
            self.agent.sync(ended(self.stage.run(row.id), now_ms, now_ms))
        for job in self.owners:
            if JobState(self.stage.job(job).state) not in TERMINAL_STATES:
                self.stage.change_job(job, state="cancelled")
        for name in sorted(self.aside):
            self._act("return", name)
        self.stage.clock.advance(WINDOW_MS / 1000 + 1)
        self.agent.report_nodes(*(node(each, 1) for each in NODES), version=self.version + 1)


def walk_all(stage: Stage, administrator: Caller, examples: int) -> None:
    """Walk over one federation, again and again."""
    agent = stage.agent(nodes=len(NODES), gpus=1, lease_seconds=3000, supervised=False)
    group = stage.group()
    steps = st.lists(st.tuples(st.sampled_from(STEPS), chosen_numbers), min_size=15, max_size=35)
    reached = {"rule": 0}

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(steps)
    @example(AT_FAULT)
    def walks(taken: list[tuple[str, int]]) -> None:
        walk = Walk(stage, agent, administrator, group)
        for name, chosen in taken:
            walk.step(name, chosen)
            reached["rule"] += "rule" in walk.aside.values()
        walk.finish()

    walks()
    assert reached["rule"], "no walk ever set a node aside by the rule"


def test_walks_keep_the_law(stage: Stage, administrator: Caller) -> None:
    walk_all(stage, administrator, 15)


@pytest.mark.service
def test_walks_keep_the_law_on_postgresql(postgresql: PostgreSql, tmp_path: Path, clock: ManualClock) -> None:
    with make_runtime(tmp_path, clock, database_url=postgresql.create_database()) as runtime:
        walk_all(Stage(runtime, clock), administrator_of(runtime), 6)
