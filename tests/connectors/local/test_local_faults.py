"""One run that is odd, damaged or hostile ends alone: the site goes on with all others."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from run_orders import lease, node, run_order

from connectors.clock import SystemClock
from connectors.local import gang, run_record
from connectors.local.connector import LocalConnector
from connectors.local.worker import kill_all
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunOrder, RunReport

pytestmark = pytest.mark.slow


class Site:
    """A local connector over a folder, that can be made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open()

    def open(self) -> None:
        self.connector = LocalConnector(self.folder, [node("default-0")], SystemClock())

    def start(self, shell: str, *, archive: Path | None = None, run_id: int = 1, **values: Any) -> RunOrder:
        order = run_order(run_id, **({"command": ("/bin/sh", "-c", shell)} | values))
        self.connector.start(order, lease(SystemClock().boottime_ns()), archive)
        return order

    def end_of(self, run_id: int = 1) -> RunReport:
        def ended() -> RunReport | None:
            runs = [run for run in self.connector.observe() if run.run_id == run_id]
            return runs[0] if runs and runs[0].phase is RunPhase.ENDED else None

        return eventually(ended, 20, f"the end of run {run_id}")  # type: ignore[return-value]

    def goes_on(self) -> bool:
        """Whether a whole node's run comes to its end: nothing is held, and somebody watches."""
        self.start("true", run_id=99, gpus_per_worker=8)
        return self.end_of(99).exit_code == 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "state")
    yield made
    made.connector.close()
    for folder in (tmp_path / "state/runs").iterdir():
        kill_all(folder)


@pytest.mark.parametrize("pattern", ["**.txt", ".", "./", "loop/*", "a\0b", "[", "***"])
def test_outputs_of_any_pattern_end_no_watcher(pattern: str, site: Site) -> None:
    site.start("ln -s loop loop; echo > a.txt", outputs=(pattern,))
    assert site.end_of().exit_code == 0
    assert site.goes_on()


def test_a_file_s_name_that_is_no_text_can_be_told_and_kept(site: Site) -> None:
    site.start("ln -s /etc/passwd \"$(printf 'x\\377')\"; ln -s /etc/passwd end", outputs=("*",))
    report = site.end_of()
    assert RunReport.model_validate_json(report.model_dump_json()) == report
    assert "x?" in report.message
    site.connector.close()
    site.open()
    assert site.end_of() == report


def test_what_cannot_be_judged_ends_its_own_run_only_and_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(gang, "select", broken)
    site.start("true", outputs=("*",))
    report = site.end_of()
    assert (report.cause, report.exit_code) == (EndCause.EXITED, 0)
    assert "no such luck" in report.message
    assert site.goes_on()


def test_a_run_that_cannot_even_be_given_up_stops_no_watcher(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    judged, verdict = [], gang.gang_end

    def broken(run_id: int, *arguments: Any) -> RunReport:
        judged.append(run_id)
        if run_id == 1 and len(judged) < 4:
            raise RuntimeError("no such luck")
        return verdict(run_id, *arguments)

    monkeypatch.setattr(gang, "gang_end", broken)
    site.start("true")
    assert site.end_of().exit_code == 0
    assert site.goes_on()


@pytest.mark.parametrize("word", ["5", "{}", '{"phase": "ended", "exit_code": 1e99, "signal": "SIGNONE"}', "[[["])
def test_a_command_that_writes_over_its_report_ends_its_own_run_only(word: str, site: Site) -> None:
    site.start(f"echo '{word}' > $DURE_RUN_DIR/report-0.json; kill -9 $PPID; exec sleep 600")
    assert site.end_of().cause is EndCause.DRIVER_LOST
    assert site.goes_on()


def test_an_encrypted_archive_is_the_job_s_fault_and_holds_nothing(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("file", b"x" * 10)
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag of an encrypted member, in the member's own header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(content)
    site.start("true", archive=path)
    report = site.end_of()
    assert (report.cause, report.exit_code) == (EndCause.EXITED, 126)
    assert "encrypted" in report.message
    assert site.goes_on()


def test_an_archive_that_is_not_there_any_more_is_the_site_s_fault(site: Site, tmp_path: Path) -> None:
    site.start("true", archive=tmp_path / "evicted.tar")
    report = site.end_of()
    assert (report.cause, report.exit_code) == (EndCause.START_FAILED, None)
    assert site.goes_on()


def test_a_command_too_long_for_any_machine_is_the_job_s_fault(site: Site) -> None:
    site.start("", command=("echo", "x" * 200_000))
    report = site.end_of()
    assert (report.cause, report.exit_code) == (EndCause.EXITED, 126)


def test_an_end_that_the_disk_does_not_take_is_noted_later(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, failures = run_record.save, []

    def full(folder: Path, record: run_record.RunRecord) -> None:
        if record.report is not None and len(failures) < 3:
            failures.append(record)
            raise OSError(28, "No space left on device")
        save(folder, record)

    monkeypatch.setattr(gang.run_record, "save", full)
    site.start("true", archive=tmp_path / "evicted.tar")
    site.end_of()
    assert site.goes_on()


@pytest.mark.parametrize("content", [b"\xff", b"5", b'{"run_id": 1}', b'{"run_id": 1, "order": {}}'])
def test_a_record_that_cannot_be_read_ends_its_run_and_stops_no_site(content: bytes, site: Site) -> None:
    site.start("exec sleep 600")
    eventually(lambda: site.connector.observe()[0].phase is RunPhase.RUNNING)
    site.connector.close()
    record = site.folder / "runs/1/run.json"
    record.write_bytes(content)
    site.open()
    assert list(site.connector.observe()) == []
    eventually(lambda: kill_all(site.folder / "runs/1") == 0)
    assert [path.name.split("-")[0] for path in (site.folder / "damaged").iterdir()] == ["1"]
    assert site.goes_on()
