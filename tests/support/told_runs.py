"""Runs of which an agent tells that they begin and that they are over."""

from __future__ import annotations

from typing import Any

from runtime import ScriptedAgent, Stage, ended, runs_now


def start(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    """A round leases the job, and its run begins."""
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))


def end(stage: Stage, agent: ScriptedAgent, job: int, **how: Any) -> None:
    """The agent says that the run is over now."""
    run = stage.run(job)
    agent.sync(ended(run, run.started_ms, stage.clock.now_ms(), **how))
