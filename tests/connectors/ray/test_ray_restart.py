"""What an agent on Ray knows again after it was killed, whatever it was doing."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from eventually import eventually
from run_orders import lease, run_order

from connectors.clock import SystemClock
from connectors.ray import run_record
from connectors.ray.connector import RayConnector
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunReport
from tests.connectors.ray.fake_ray import FakeRay, channel_of, site_of


def archive_in(folder: Path) -> Path:
    path = folder / "given.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("given.txt"), io.BytesIO())
    return path


def the_end(site: RayConnector) -> RunReport:
    def ended() -> RunReport | None:
        return next((run for run in site.observe() if run.phase is RunPhase.ENDED), None)

    report = eventually(ended)
    assert report is not None
    return report


def test_a_run_that_was_accepted_and_not_yet_packed_gets_its_working_directory(ray: FakeRay, tmp_path: Path) -> None:
    order = run_order(1, working_directory="sha256:" + "0" * 64)
    run_record.save(tmp_path / "runs" / "1", run_record.new_record(1, order, archive=archive_in(tmp_path)))
    ray.take.set()
    site = site_of(ray, tmp_path)
    channel = channel_of(ray)
    channel.ask_json("POST", "/port", 4000)
    assert channel.ask_json("GET", "/worker/0")["archive"]
    with tarfile.open(fileobj=io.BytesIO(channel.ask("GET", "/archive"))) as archive:
        assert "./given.txt" in archive.getnames()
    site.close()


@pytest.mark.parametrize("archive", [None, "gone.tar"])
def test_a_run_whose_working_directory_is_not_there_any_more_does_not_start(
    archive: str | None, ray: FakeRay, tmp_path: Path
) -> None:
    order = run_order(1, working_directory="sha256:" + "0" * 64)
    path = None if archive is None else tmp_path / archive
    run_record.save(tmp_path / "runs" / "1", run_record.new_record(1, order, archive=path))
    site = site_of(ray, tmp_path)
    assert the_end(site).cause is EndCause.START_FAILED
    assert ray.submissions == 0
    site.close()


STARTED = {"phase": "running", "started_ms": 5}


def a_running_run(ray: FakeRay, folder: Path) -> RayConnector:
    """A site with one run whose only worker runs."""
    ray.take.set()
    site = site_of(ray, folder)
    site.start(run_order(1), lease(SystemClock().boottime_ns()), None)
    channel = channel_of(ray)
    channel.ask_json("POST", "/port", 4000)
    channel.ask_json("POST", "/worker/0/beat", {"report": STARTED})
    assert site.observe()[0].phase is RunPhase.RUNNING
    return site


def test_words_that_a_crash_cut_short_are_told_again(ray: FakeRay, tmp_path: Path) -> None:
    a_running_run(ray, tmp_path).close()
    (tmp_path / "runs" / "1" / "report-0.json").write_bytes(b"")
    site = site_of(ray, tmp_path)
    assert site.observe()[0].phase is RunPhase.STARTING
    channel_of(ray).ask_json("POST", "/worker/0/beat", {"report": STARTED})
    assert site.observe()[0].phase is RunPhase.RUNNING
    site.close()


def test_a_word_is_on_the_disk_once_and_whole_before_it_is_answered(
    ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = a_running_run(ray, tmp_path)
    word = tmp_path / "runs" / "1" / "report-0.json"
    before = word.stat()
    channel = channel_of(ray)
    channel.ask_json("POST", "/worker/0/beat", {"report": STARTED})
    assert word.stat().st_mtime_ns == before.st_mtime_ns

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="400"):
            channel.ask_json("POST", "/worker/0/beat", {"report": {"phase": "ended", "exit_code": 0}})
    assert site.observe()[0].phase is RunPhase.RUNNING
    site.close()


@pytest.mark.parametrize("record", [b"{", b"{}", b"[]"])
def test_a_run_whose_record_is_damaged_is_set_aside(record: bytes, ray: FakeRay, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(record)
    site = site_of(ray, tmp_path)
    assert site.observe() == []
    assert [path.name.split("-")[0] for path in (tmp_path / "damaged").iterdir()] == ["1"]
    site.close()
