"""A job's own limit of its outputs lowers its group's, and never raises it; its agent is told the lower one."""

from __future__ import annotations

import pytest
from runtime import ScriptedAgent, Stage

from scheduler.model.job_spec import JobSpec
from scheduler.service.outputs import outputs_bytes_max
from scheduler.service.settings import Settings

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("own", "group", "told"),
    [
        (None, None, 256 * MIB), (None, 7, 7), (None, 512 * MIB, 512 * MIB), ("1MiB", None, MIB), ("1MiB", 7, 7),
        ("1GiB", None, 256 * MIB), (2, 3 * MIB, 2 * MIB), ("1MiB", 0, 0),
    ],
)  # fmt: skip
def test_the_lower_of_both_limits_holds(own: str | int | None, group: int | None, told: int) -> None:
    file = {"name": "a", "group": "g", "command": "true"} | ({} if own is None else {"outputs_limit": own})
    assert outputs_bytes_max(JobSpec.model_validate(file), group, Settings()) == told


def test_the_agent_is_told_the_job_s_limit_with_its_order(stage: Stage, agent: ScriptedAgent) -> None:
    stage.submit(stage.group(), outputs=["*.npz"], outputs_limit="3MiB")
    stage.turn()
    (order,) = agent.sync().start
    assert order.outputs_bytes_max == 3 * MIB
