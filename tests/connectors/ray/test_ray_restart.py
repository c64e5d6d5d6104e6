"""What an agent on Ray knows again after it was killed, whatever it was doing."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from eventually import eventually
from run_orders import run_order

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
