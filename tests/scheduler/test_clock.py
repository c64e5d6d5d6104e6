"""The clocks."""

from __future__ import annotations

from scheduler.clock import ManualClock, SystemClock


def test_the_system_clock_counts_milliseconds_of_this_century_and_never_runs_back() -> None:
    clock = SystemClock()
    assert 1_600_000_000_000 < clock.now_ms() < 5_000_000_000_000
    first = clock.monotonic_seconds()
    assert clock.monotonic_seconds() >= first


def test_a_manual_clock_moves_both_times_together_and_only_when_told() -> None:
    clock = ManualClock(now_ms=1_000)
    clock.advance(1.5)
    assert (clock.now_ms(), clock.monotonic_seconds()) == (2_500, 1.5)


def test_a_corrected_wall_clock_changes_no_duration() -> None:
    clock = ManualClock(now_ms=10_000)
    clock.jump(-5)
    assert (clock.now_ms(), clock.monotonic_seconds()) == (5_000, 0.0)
