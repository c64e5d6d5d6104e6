"""Leases of local runs over restarts of the agent and of the machine."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from eventually import eventually
from run_orders import lease, node, run_order, stop_order

from connectors.clock import SystemClock
from connectors.local import run_record
from connectors.local.connector import LocalConnector
from connectors.local.run_record import RunRecord
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunReport

pytestmark = pytest.mark.slow


class OtherStart(SystemClock):
    """The clock of the machine, started anew."""

    def boot_id(self) -> str:
        return "another"


def connect(folder: Path, clock: SystemClock | None = None) -> LocalConnector:
    return LocalConnector(folder, [node("default-0")], clock or SystemClock())


def end_of(site: LocalConnector) -> RunReport:
    return eventually(lambda: next((run for run in site.observe() if run.phase is RunPhase.ENDED), None), 20)  # type: ignore[return-value]


def test_a_stop_that_is_an_agent_s_first_word_keeps_its_grace(tmp_path: Path) -> None:
    clock = SystemClock()
    site = connect(tmp_path)
    command = ("/bin/sh", "-c", "trap 'sleep 0.5; echo saved; exit 0' TERM; while :; do sleep 0.05; done 2>/dev/null")
    site.start(run_order(command=command), lease(clock.boottime_ns(), seconds=2.0), None)
    eventually(lambda: site.observe()[0].phase is RunPhase.RUNNING)
    site.renew(lease(clock.boottime_ns(), seconds=60.0, renewal=2))
    site.close()
    threading.Event().wait(2.5)  # the lease of the start is over, that of the renewal is not
    site = connect(tmp_path)
    site.stop(stop_order(grace_seconds=20.0))
    report = end_of(site)
    log = site.read_log(1, 0, 0, 100)
    site.close()
    assert report.cause is EndCause.CANCELLED
    assert log is not None and log.data == b"saved\n"


def pending(folder: Path, boot_id: str) -> Path:
    """A run that was accepted under a lease far in the future, and not yet launched."""
    run = RunRecord(
        run_id=1,
        order=run_order(command=("touch", str(folder / "ran"))),
        lease=lease(SystemClock().boottime_ns(), seconds=1e6),
        boot_id=boot_id,
        gpu_indices={0: (0,)},
    )
    run_record.save(folder / "runs/1", run)
    return folder / "ran"


def test_a_lease_from_before_the_machine_was_started_lets_nothing_run(tmp_path: Path) -> None:
    ran = pending(tmp_path, SystemClock().boot_id())
    site = connect(tmp_path, OtherStart())
    report = end_of(site)
    site.close()
    assert (report.cause, report.started_ms) == (EndCause.LEASE_EXPIRED, None)
    assert not ran.exists()


def test_a_pending_run_goes_on_after_a_restart_of_the_agent_alone(tmp_path: Path) -> None:
    for number, boot_id in enumerate([SystemClock().boot_id(), ""]):  # the latter as an earlier version wrote it
        ran = pending(tmp_path / str(number), boot_id)
        site = connect(tmp_path / str(number))
        report = end_of(site)
        site.close()
        assert (report.cause, report.exit_code) == (EndCause.EXITED, 0)
        assert ran.exists()
