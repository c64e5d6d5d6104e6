"""Who has to leave nodes by a deadline, and when each is told."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.service.node_choice import departures
from scheduler.store.runs import RunRow

NOW_MS = 1_000_000
DEADLINE_MS = NOW_MS + 100_000


@st.composite
def run_on(draw: st.DrawFn, number: int, nodes: int) -> RunRow:
    """A run of one GPU a worker, somewhere, of some age, that may or may not be ended, saved or over in time."""
    where = draw(st.lists(st.integers(1, nodes), min_size=1, max_size=2, unique=True))
    stopping = draw(st.booleans()) and draw(st.booleans())
    values: dict[str, Any] = dict.fromkeys(RunRow.__slots__)
    values |= {
        "id": number, "job_id": 100 + number, "gang": [(each, f"n{each}", at, 1) for at, each in enumerate(where)],
        "gpus": len(where), "leased_ms": NOW_MS - draw(st.integers(0, 9)) * 100, "preemptible": draw(st.booleans()),
        "checkpoints": draw(st.booleans()), "grace_ms": draw(st.sampled_from([0, 150, 200_000])),
        "walltime_ms": draw(st.sampled_from([None, 90_000, 900_000])), "stop_cause": "requeued" if stopping else None,
    }  # fmt: skip
    return RunRow(**values)


@st.composite
def runs_of(draw: st.DrawFn) -> list[RunRow]:
    """A few runs on a few nodes."""
    count = draw(st.integers(1, 6))
    return [draw(run_on(number, count)) for number in range(1, draw(st.integers(0, 6)) + 1)]


@given(runs_of())
def test_who_goes_is_who_stands_there_and_is_not_gone_by_then_told_in_time_for_its_grace(live: list[RunRow]) -> None:
    going = {each.run.id: each for each in departures(live, {1, 2}, DEADLINE_MS, NOW_MS)}
    for run in live:
        over = run.stop_cause is not None or (run.walltime_ms or 10**9) + run.leased_ms <= DEADLINE_MS
        here = [name for number, name, _, _ in run.gang if number in (1, 2)]
        assert (run.id in going) == (bool(here) and not over)
        if run.id in going:
            assert list(going[run.id].nodes) == here
            assert going[run.id].told_ms == max(NOW_MS, DEADLINE_MS - run.grace_ms)
