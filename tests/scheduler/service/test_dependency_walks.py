"""Laws on random walks: no job starts before what it waits for has come, no array runs more than it may, and all of it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_postgresql import PostgreSql
from runtime import ScriptedAgent, Stage, administrator_of, ended, make_runtime, runs_now
from sqlalchemy import select

from scheduler.clock import ManualClock
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import ACTIVE_STATES, TERMINAL_STATES, EndCause, JobState
from scheduler.service.array_actions import act_on_array
from scheduler.service.caller import Caller
from scheduler.service.follow import Follower
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.store import dependencies, jobs
from scheduler.store.jobs import JobRow
from scheduler.store.tables import jobs as job_table

pytestmark = pytest.mark.slow

STEPS = (
    *("submit", "submit", "array", "array", "turn", "turn", "turn", "turn", "start", "start", "end", "end", "fail"),
    *("lose", "cancel", "hold", "release", "requeue", "sweep", "lead"),
)
#: Which of what there is: mixed, since small numbers are drawn far more often than others.
chosen_numbers = st.integers(0, 65_535).map(lambda number: (number * 40_503 + 12_345) % 65_536)
ROUNDS_MAX = 60


@dataclass
class Walk:
    """One walk over a federation, and what the test itself knows of it."""

    stage: Stage
    agent: ScriptedAgent
    administrator: Caller
    group: int
    first: int
    numbers: list[int] = field(default_factory=list)  #: of jobs and arrays of this walk
    started: set[int] = field(default_factory=set)
    epochs: dict[int, int] = field(default_factory=dict)

    def rows(self) -> list[JobRow]:
        """The walk's jobs as the record has them."""
        with self.stage.runtime.database.read() as connection:
            wanted = select(job_table).where(job_table.c.id >= self.first).order_by(job_table.c.id)
            return [JobRow(*row) for row in connection.execute(wanted)]

    def step(self, name: str, chosen: int) -> None:
        """Do one thing to something, if there is something to do it to."""
        match name:
            case "submit" | "array":
                self._submit(chosen, array=name == "array")
            case "turn":
                self.stage.turn()
            case "lead":
                self.stage.follower = Follower(self.stage.runtime.database, self.stage.clock, self.stage.runtime.policy)
            case "start" | "end" | "fail" | "lose":
                self._report(name, chosen)
            case "sweep":
                self._sweep(chosen)
            case _:
                self._act(JobAction(name), chosen)
        self.check()

    def _submit(self, chosen: int, *, array: bool) -> None:
        named = {key: self._some(chosen // divisor) for key, divisor in (("after", 1), ("after_ok", 7))}
        spec: dict[str, object] = {key: value for key, value in named.items() if value}
        if array:
            most = ("", "%1", "%2")[chosen % 3]
            spec["array"] = f"0-{chosen % 4}{most}"
        numbers = self.stage.submit(self.group, **spec)
        self.numbers += numbers

    def _some(self, chosen: int) -> list[int]:
        count = len(self.numbers)
        picked = {self.numbers[(chosen * 31 + place) % count] for place in range(chosen % 3)} if count else set()
        return sorted(picked)

    def _report(self, name: str, chosen: int) -> None:
        live = [row for row in self.rows() if JobState(row.state) in ACTIVE_STATES]
        if not live:
            return
        row = live[chosen % len(live)]
        run, now_ms = self.stage.run(row.id), self.stage.clock.now_ms()
        cause = EndCause.NODE_LOST if name == "lose" else EndCause.EXITED
        if run.stop_cause is not None:
            cause = EndCause(run.stop_cause)
        if name == "start":
            self.agent.sync(runs_now(run, now_ms))
        else:
            self.agent.sync(ended(run, now_ms, now_ms, cause=cause, exit_code=int(name == "fail")))
        self.started.add(row.id)

    def _act(self, action: JobAction, chosen: int) -> None:
        rows = [row for row in self.rows() if JobState(row.state) not in TERMINAL_STATES]
        if rows:
            job, stage = rows[chosen % len(rows)].id, self.stage
            stage.runtime.database.run(lambda each: act_on_job(each, stage.runtime, self.administrator, job, action))

    def _sweep(self, chosen: int) -> None:
        arrays = sorted({row.array_id for row in self.rows() if row.array_id is not None})
        if arrays:
            array, stage = arrays[chosen % len(arrays)], self.stage
            action = (JobAction.HOLD, JobAction.RELEASE, JobAction.REQUEUE, JobAction.CANCEL)[chosen % 4]
            stage.runtime.database.run(
                lambda each: act_on_array(each, stage.runtime, self.administrator, array, action)
            )

    def check(self) -> None:
        """The laws."""
        rows = self.rows()
        alike: dict[int, list[JobRow]] = {}
        for row in rows:
            alike.setdefault(row.waiter_id, []).append(row)
        for row in rows:
            if row.epoch > self.epochs.get(row.id, 0):
                self.epochs[row.id] = row.epoch
                spec = JobSpec.model_validate_json(row.spec)
                for on in spec.after_ok:
                    assert all(each.state == "succeeded" for each in alike[on]), (row.id, "started before", on)
                for on in spec.after:
                    assert all(each.id in self.started or JobState(each.state) in TERMINAL_STATES for each in alike[on])
        running = Counter(row.array_id for row in rows if JobState(row.state) in ACTIVE_STATES)
        for row in rows:
            if row.array_running_max is not None:
                assert running[row.array_id] <= row.array_running_max, (row.array_id, "runs too many")

    def finish(self) -> None:
        """Let everything go and succeed: nothing may be left waiting."""
        for _ in range(ROUNDS_MAX):
            left = [row for row in self.rows() if JobState(row.state) not in TERMINAL_STATES]
            if not left:
                break
            for row in left:
                if row.state == "held":
                    self.stage.change_job(row.id, state="queued")
            self.stage.clock.advance(400)
            self.agent.sync()
            self.stage.turn()
            self.check()
            for row in self.rows():
                if JobState(row.state) in ACTIVE_STATES:
                    run, now_ms = self.stage.run(row.id), self.stage.clock.now_ms()
                    self.agent.sync(ended(run, now_ms, now_ms))
                    self.started.add(row.id)
            self.check()
        self.stage.turn()
        rows = self.rows()
        assert [row.id for row in rows if JobState(row.state) not in TERMINAL_STATES] == []
        with self.stage.runtime.database.read() as connection:
            assert dependencies.every(connection) == {}
        for row in rows:
            if (row.reason or {}).get("code") == "DependencyFailed":
                assert any(self._never_came(on, rows) for on in JobSpec.model_validate_json(row.spec).after_ok)

    def _never_came(self, on: int, rows: list[JobRow]) -> bool:
        return any(each.state in ("failed", "cancelled") for each in rows if on in (each.id, each.array_id))


def walk_all(stage: Stage, administrator: Caller, examples: int) -> None:
    """Walk over one federation, again and again."""
    agent = stage.agent(nodes=4)
    group = stage.group()
    steps = st.lists(st.tuples(st.sampled_from(STEPS), chosen_numbers), min_size=12, max_size=30)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(steps)
    def walks(taken: list[tuple[str, int]]) -> None:
        with stage.runtime.database.read() as connection:
            newest = jobs.newest(connection, jobs.JobFilter(), limit=1)
        walk = Walk(stage, agent, administrator, group, newest[0].id + 1 if newest else 1)
        for name, chosen in taken:
            walk.step(name, chosen)
        walk.finish()

    walks()


def test_walks_keep_the_laws(stage: Stage, administrator: Caller) -> None:
    walk_all(stage, administrator, 20)


@pytest.mark.service
def test_walks_keep_the_laws_on_postgresql(postgresql: PostgreSql, tmp_path: Path, clock: ManualClock) -> None:
    with make_runtime(tmp_path, clock, database_url=postgresql.create_database()) as runtime:
        walk_all(Stage(runtime, clock), administrator_of(runtime), 8)
