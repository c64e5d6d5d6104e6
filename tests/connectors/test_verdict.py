"""How a gang ended follows from how its workers did."""

from __future__ import annotations

import pytest

from connectors.verdict import PEER_ENDED, WorkerEnd, gang_end
from scheduler.model.job_state import EndCause

OK = WorkerEnd(0, 100, 500, 0, "exited")
CRASHED = WorkerEnd(1, 120, 300, 3, "exited")
PEER = WorkerEnd(0, 100, 400, 143, PEER_ENDED)
STOPPED = WorkerEnd(1, 120, 600, 143, "cancelled")
UNSTARTED = WorkerEnd(1, None, 300, None, "start_failed", "no such program")


@pytest.mark.parametrize(
    ("ends", "node_lost", "expected"),
    [
        ([OK, OK], None, (EndCause.EXITED, 0)),
        ([PEER, CRASHED], None, (EndCause.EXITED, 3)),
        ([OK, STOPPED], None, (EndCause.CANCELLED, 143)),
        ([CRASHED, STOPPED], None, (EndCause.EXITED, 3)),
        ([PEER, UNSTARTED], None, (EndCause.START_FAILED, None)),
        ([PEER, CRASHED], "n-1", (EndCause.NODE_LOST, None)),
        ([PEER, PEER], None, (EndCause.DRIVER_LOST, None)),
    ],
)
def test_the_first_worker_to_fail_decides(
    ends: list[WorkerEnd], node_lost: str | None, expected: tuple[EndCause, int | None]
) -> None:
    report = gang_end(1, 1, ends, node_lost)
    assert (report.cause, report.exit_code) == expected


def test_a_gang_starts_with_its_last_worker_and_ends_with_its_last() -> None:
    report = gang_end(1, 1, [OK, CRASHED], None)
    assert (report.started_ms, report.ended_ms) == (120, 500)


def test_a_gang_that_was_never_whole_has_no_start() -> None:
    assert gang_end(1, 1, [PEER, UNSTARTED], None).started_ms is None


def test_the_node_whose_doing_it_was_is_named_where_that_is_known() -> None:
    lost = WorkerEnd(1, 120, 300, None, "driver_lost", "gone", "n-2")
    assert gang_end(1, 1, [PEER, lost], None).node == "n-2"
    assert gang_end(1, 1, [PEER, lost], "n-1").node == "n-1"
    assert gang_end(1, 1, [PEER, CRASHED], None).node is None
    assert gang_end(1, 1, [OK, OK], None).node is None
