"""A run's job as it waits again: what it will have had by then, and where that puts it."""

from __future__ import annotations

import pytest
from runtime import Stage, runs_now

from scheduler.model.group_order import GroupOrder
from scheduler.service.job_facts import run_fact, waiting_fact

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("checkpoint", "order", "handicap_hours", "expected_hours"),
    [
        ({"grace": "1h"}, GroupOrder.LEAST_SERVED, 2 * 4, 6),
        ({"grace": "1h"}, GroupOrder.LEAST_WORK, 2 * 6, 6),
        ({"grace": "1h"}, GroupOrder.FIFO, 0, 6),
        (None, GroupOrder.LEAST_SERVED, 2 * 1, 9),
        (None, GroupOrder.LEAST_WORK, 2 * 9, 9),
    ],
)
def test_a_run_that_leaves_counts_until_it_is_gone_where_it_saves_its_state(
    stage: Stage, checkpoint: dict[str, str] | None, order: GroupOrder, handicap_hours: int, expected_hours: int
) -> None:
    agent = stage.agent(gpus=2)
    spec = {} if checkpoint is None else {"checkpoint": checkpoint}
    (job,) = stage.submit(stage.group(), gpus_per_worker=2, **spec)
    stage.turn()
    started_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(job), started_ms))
    told: dict[str, object] = {"stop_cause": "recalled", "stop_requested_ms": started_ms + 2 * HOUR_MS}
    stage.change_run(stage.run(job).id, predicted_ms=10 * HOUR_MS, served_ms=HOUR_MS, stop_grace_ms=HOUR_MS, **told)
    again = run_fact(stage.run(job), order).returns_as
    assert again is not None
    assert (again.handicap_ms, again.expected_ms) == (handicap_hours * HOUR_MS, expected_hours * HOUR_MS)


def test_what_waits_is_sorted_by_its_walltime_where_nothing_like_it_is_known(stage: Stage) -> None:
    (job,) = stage.submit(stage.group(), gpus_per_worker=2, walltime="3h")
    fact = waiting_fact(stage.job(job), GroupOrder.LEAST_WORK)
    assert (fact.handicap_ms, fact.expected_ms) == (2 * 3 * HOUR_MS, None)
    assert (fact.submitted_ms, fact.turn_ms) == (stage.clock.now_ms(), stage.clock.now_ms() + 6 * HOUR_MS)
