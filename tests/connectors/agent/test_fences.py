"""Fences survive restarts and torn writes, and never let an older epoch through."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from run_orders import run_order

from connectors.agent.fences import Fences


def test_epochs_only_grow_over_restarts(tmp_path: Path) -> None:
    first = Fences(tmp_path / "fences")
    first.raise_to([run_order(10, job_id=1, epoch=5)])
    first.close()
    second = Fences(tmp_path / "fences")
    assert "stale" in (second.why_stale(run_order(9, job_id=1, epoch=4)) or "")
    assert "is run 10" in (second.why_stale(run_order(11, job_id=1, epoch=5)) or "")
    assert second.why_stale(run_order(10, job_id=1, epoch=5)) is None
    assert second.why_stale(run_order(12, job_id=1, epoch=6)) is None
    second.close()


def test_a_run_that_ended_is_not_taken_again(tmp_path: Path) -> None:
    fences = Fences(tmp_path / "fences")
    fences.raise_to([run_order(10)])
    fences.mark_ended([10, 99])
    fences.close()
    again = Fences(tmp_path / "fences")
    assert "has ended here" in (again.why_stale(run_order(10)) or "")
    again.close()


def test_a_run_that_a_newer_one_followed_is_known_until_its_end_is_noted(tmp_path: Path) -> None:
    fences = Fences(tmp_path / "fences")
    fences.raise_to([run_order(10, job_id=1, epoch=1, gang=(("default-0", (0, 1, 2)),))])
    fences.raise_to([run_order(11, job_id=1, epoch=2)])
    fences.close()
    again = Fences(tmp_path / "fences")
    older = again.of_run(10)
    assert older is not None and (older.workers, older.ended) == (3, False)
    again.mark_ended([10])
    again.close()
    last = Fences(tmp_path / "fences")
    assert last.of_run(10) is None
    newest = last.of_job(1)
    assert newest is not None and (newest.run_id, newest.ended) == (11, False)
    assert "stale" in (last.why_stale(run_order(10, job_id=1, epoch=1)) or "")
    last.close()


def test_a_line_that_a_crash_cut_short_is_ignored(tmp_path: Path) -> None:
    fences = Fences(tmp_path / "fences")
    fences.raise_to([run_order(10, job_id=1, epoch=5)])
    fences.close()
    with (tmp_path / "fences").open("ab") as journal:
        journal.write(b"1 99")
    again = Fences(tmp_path / "fences")
    again.raise_to([run_order(11, job_id=2)])
    again.close()
    last = Fences(tmp_path / "fences")
    assert last.why_stale(run_order(12, job_id=1, epoch=6)) is None
    assert last.of_run(11) is not None
    last.close()


def test_dropped_jobs_leave_a_floor_below_which_no_run_is_taken(tmp_path: Path) -> None:
    fences = Fences(tmp_path / "fences", jobs_max=2)
    fences.raise_to([run_order(number) for number in range(1, 6)])
    fences.mark_ended(range(1, 6))
    fences.close()
    again = Fences(tmp_path / "fences", jobs_max=2)
    assert "older than this site remembers" in (again.why_stale(run_order(3)) or "")
    assert again.why_stale(run_order(6)) is None
    again.close()


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6)), max_size=12))
def test_what_is_let_through_has_the_highest_epoch_seen_of_its_job(starts: list[tuple[int, int]]) -> None:
    import tempfile

    highest: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (job_id, epoch) in enumerate(starts, start=1):
            fences = Fences(Path(folder) / "fences")
            order = run_order(number, job_id=job_id, epoch=epoch)
            let_through = fences.why_stale(order) is None
            assert let_through == (epoch > highest.get(job_id, 0))
            if let_through:
                fences.raise_to([order])
                highest[job_id] = epoch
            fences.close()
