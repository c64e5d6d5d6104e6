"""A worker that says nothing more is over when its lease is, whoever restarts meanwhile, and not before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_orders import lease, run_order, stop_order
from site_clock import ManualSiteClock

from connectors.ray import run_record
from connectors.ray.cluster import JobStatus
from connectors.ray.gang import RayGang
from connectors.ray.settings import RaySettings
from scheduler.model.job_state import EndCause

LEASE_SECONDS = 3600.0
RUNNING = {"phase": "running", "started_ms": 5}


class Site:
    """One run of one worker that Ray has taken, and its clock."""

    def __init__(self, folder: Path, **order: Any) -> None:
        self.clock = ManualSiteClock()
        self._folder = folder
        accepted = lease(self.clock.boottime_ns(), seconds=LEASE_SECONDS)
        values = {"boot_id": self.clock.boot_id(), "lease": accepted, "submitted": True}
        run_record.save(folder / "1", run_record.new_record(1, run_order(1, **order), **values))
        self.restart()
        self.gang.set_port(4000)

    def restart(self) -> None:
        record = run_record.load(self._folder / "1")
        assert record is not None
        settings = RaySettings(dashboard_url="", state_directory=self._folder)
        self.gang = RayGang(self._folder / "1", record, self.clock, settings)

    def renew(self) -> None:
        self.gang.renew(lease(self.clock.boottime_ns(), seconds=LEASE_SECONDS))

    def lose_for(self, seconds: float, dead_nodes: frozenset[str] = frozenset()) -> None:
        """Ray says that the driver is over, now and so much later."""
        for wait_seconds in (0.0, seconds, 0.0):
            self.clock.advance(wait_seconds)
            self.gang.lose(JobStatus.FAILED, "", dead_nodes)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.renew()
    return made


def test_after_a_restart_a_silent_worker_has_the_lease_that_it_was_given(site: Site) -> None:
    site.gang.beat(0, RUNNING)
    site.clock.advance(100)
    site.restart()
    site.lose_for(LEASE_SECONDS - 101)
    assert not site.gang.ended
    site.lose_for(5)
    assert site.gang.report.cause is EndCause.DRIVER_LOST


def test_after_a_restart_of_the_machine_it_may_have_a_whole_lease(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.gang.beat(0, RUNNING)
    monkeypatch.setattr(ManualSiteClock, "boot_id", lambda clock: "another")
    site.restart()
    site.lose_for(LEASE_SECONDS)
    assert not site.gang.ended
    site.lose_for(5)
    assert site.gang.ended


def test_a_worker_that_was_given_a_lease_and_never_said_a_word_may_run(site: Site) -> None:
    site.gang.beat(0, None, first=True)
    site.lose_for(60)
    assert not site.gang.ended
    site.lose_for(LEASE_SECONDS)
    assert site.gang.ended


@pytest.mark.parametrize("restarted", [False, True])
def test_a_worker_that_was_given_nothing_is_not_waited_for(site: Site, restarted: bool) -> None:
    if restarted:
        site.restart()
    site.lose_for(5)
    assert site.gang.ended


def test_a_worker_whose_driver_is_lost_does_not_start_any_more(site: Site) -> None:
    assert site.gang.worker(0) is not None
    site.gang.lose(JobStatus.FAILED, "", frozenset())
    with pytest.raises(LookupError):
        site.gang.beat(0, None, first=True)


def test_a_node_that_is_missed_after_its_driver_is_what_was_lost(site: Site) -> None:
    site.gang.beat(0, RUNNING)
    site.gang.lose(JobStatus.FAILED, "", frozenset())
    site.lose_for(LEASE_SECONDS + 5, frozenset({"default-0"}))
    assert site.gang.report.cause is EndCause.NODE_LOST


def test_a_stop_is_kept_for_its_grace_after_a_restart_of_the_machine(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.gang.beat(0, RUNNING)
    site.gang.order_stop(stop_order(1, grace_seconds=10.0))
    site.clock.advance(-500)
    monkeypatch.setattr(ManualSiteClock, "boot_id", lambda clock: "another")
    site.restart()
    site.gang.renew(lease(site.clock.boottime_ns(), seconds=5.0))
    site.gang.renew(lease(site.clock.boottime_ns(), seconds=LEASE_SECONDS))
    assert site.gang.beat(0, RUNNING)["remaining_seconds"] == 15.0


def test_a_stop_is_heard_after_a_restart_before_anything_is_renewed(site: Site) -> None:
    site.gang.beat(0, RUNNING)
    site.clock.advance(100)
    site.restart()
    site.gang.order_stop(stop_order(1, grace_seconds=10.0))
    heard = site.gang.beat(0, RUNNING)
    assert (heard["remaining_seconds"], heard["stop"]["cause"]) == (LEASE_SECONDS - 100, EndCause.CANCELLED)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_renewal_that_comes_after_a_newer_one_says_nothing(site: Site, restarted: bool) -> None:
    now_ns = site.clock.boottime_ns()
    site.gang.renew(lease(now_ns, seconds=100, renewal=5))
    site.gang.beat(0, RUNNING)
    if restarted:
        site.restart()
    for seconds in (10, LEASE_SECONDS):
        site.gang.renew(lease(now_ns, seconds=seconds, renewal=4))
        assert site.gang.beat(0, RUNNING)["remaining_seconds"] == 100
    site.gang.renew(lease(now_ns, seconds=50, renewal=6))
    assert site.gang.beat(0, RUNNING)["remaining_seconds"] == 50


def test_a_run_that_was_accepted_right_before_a_restart_starts_on_the_lease_that_came_with_it(site: Site) -> None:
    site.clock.advance(100)
    site.restart()
    assert site.gang.beat(0, None, first=True)["remaining_seconds"] == LEASE_SECONDS - 100


def test_a_worker_that_was_given_a_lease_is_not_ended_by_the_refusal_of_another(tmp_path: Path) -> None:
    site = Site(tmp_path, gang=(("default-0", (0, 1)),))
    site.gang.beat(0, None, first=True)
    site.gang.order_stop(stop_order(1))
    with pytest.raises(LookupError):
        site.gang.worker(1)
    assert not site.gang.ended
    site.gang.beat(0, {"phase": "ended", "cause": "cancelled", "started_ms": 5, "ended_ms": 6, "exit_code": 143})
    assert site.gang.report.cause is EndCause.CANCELLED
