"""A run is not lost while Ray is still taking it, nor for good when Ray speaks of it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from run_orders import lease, run_order, stop_order

from connectors.clock import SystemClock
from connectors.ray import gang
from connectors.ray.connector import RayConnector
from connectors.ray.driver import Channel, Gone
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunReport
from tests.connectors.ray.fake_ray import FakeRay, channel_of, site_of


@pytest.fixture
def site(ray: FakeRay, tmp_path: Path) -> Iterator[RayConnector]:
    made = site_of(ray, tmp_path)
    made.start(run_order(1), lease(SystemClock().boottime_ns()), None)
    eventually(lambda: ray.environment)
    yield made
    ray.take.set()
    made.close()


def worker_of(ray: FakeRay) -> Channel:
    channel = channel_of(ray)
    channel.ask_json("POST", "/port", 4000)
    return channel


def test_a_run_that_ray_is_still_taking_is_not_lost(ray: FakeRay, site: RayConnector) -> None:
    ray.look_again()
    worker = worker_of(ray)
    assert worker.ask_json("GET", "/worker/0")["command"] == ["true"]
    ray.take.set()
    ray.look_again()
    assert worker.ask_json("GET", "/worker/0")["command"] == ["true"]


def test_a_run_that_ray_had_taken_and_knows_no_more_is_lost_until_ray_knows_it_again(
    ray: FakeRay, site: RayConnector
) -> None:
    ray.take.set()
    worker = worker_of(ray)
    ray.look_again()
    ray.status = "MISSING"
    ray.look_again()
    with pytest.raises(Gone):
        worker.ask_json("GET", "/worker/0")
    ray.status = "RUNNING"
    ray.look_again()
    assert worker.ask_json("GET", "/worker/0")["command"] == ["true"]


def test_a_run_that_comes_with_a_lease_older_than_the_newest_renewal_has_the_newest(
    ray: FakeRay, site: RayConnector
) -> None:
    now_ns = SystemClock().boottime_ns()
    site.renew(lease(now_ns, seconds=600.0, renewal=3))
    eventually(lambda: ray.submissions == 1)
    ray.environment.clear()
    site.start(run_order(2), lease(now_ns, seconds=5.0, renewal=2), None)
    assert worker_of(ray).ask_json("POST", "/worker/0/beat", {"report": None})["renewal"] == 3


def test_a_run_that_ray_never_took_is_ended_by_a_stop(ray: FakeRay, tmp_path: Path) -> None:
    ray.odd = lambda method, path: (503, "overloaded") if method == "POST" else None
    site = site_of(ray, tmp_path)
    site.start(run_order(1), lease(SystemClock().boottime_ns()), None)
    eventually(lambda: ray.submissions >= 2)
    site.stop(stop_order(1))
    eventually(lambda: site.observe()[0].cause is EndCause.CANCELLED)
    site.close()


def test_a_run_that_ray_will_not_have_is_not_offered_again(ray: FakeRay, tmp_path: Path) -> None:
    ray.odd = lambda method, path: (403, "no") if method == "POST" else None
    site = site_of(ray, tmp_path)
    site.start(run_order(1), lease(SystemClock().boottime_ns()), None)
    eventually(lambda: site.observe()[0].cause is EndCause.REFUSED)
    assert "403" in site.observe()[0].message
    assert ray.submissions == 1
    site.close()


def end_of_what_never_came_to_ray(ray: FakeRay, folder: Path, archive: bytes) -> RunReport:
    """How a run with this archive as its working directory ends before Ray is asked to take it."""
    (folder / "work.tar.gz").write_bytes(archive)
    site = site_of(ray, folder)
    order = run_order(1).model_copy(update={"working_directory": f"sha256:{0:064}"})
    site.start(order, lease(SystemClock().boottime_ns()), folder / "work.tar.gz")
    eventually(lambda: site.observe()[0].phase is RunPhase.ENDED)
    site.close()
    assert ray.submissions == 0
    return site.observe()[0]


def test_a_working_directory_that_cannot_be_unpacked_is_the_owner_s_to_mend_and_told_so(
    ray: FakeRay, tmp_path: Path
) -> None:
    end = end_of_what_never_came_to_ray(ray, tmp_path, b"no archive at all")
    assert (end.cause, end.exit_code, end.started_ms) == (EndCause.EXITED, 126, None)
    assert end.message.startswith("working directory: the working directory is no archive that can be read")


def test_what_nobody_foresaw_before_ray_is_asked_is_told_with_the_run(
    ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflow(*_: object, **__: object) -> None:
        raise OverflowError("a size of the archive is beyond all bounds")

    monkeypatch.setattr(gang, "unpack", overflow)
    end = end_of_what_never_came_to_ray(ray, tmp_path, b"")
    assert end.cause is EndCause.START_FAILED
    assert "a size of the archive is beyond all bounds" in end.message


ODD_ANSWERS = (b"<html>", ["?"], {}, {"status": "NAPPING"}, {"status": ["RUNNING"]})


@pytest.mark.parametrize("odd", ODD_ANSWERS, ids=str)
@pytest.mark.parametrize("about", ["/api/jobs/dure-run-1-", "/api/v0/nodes"])
def test_an_odd_answer_about_one_thing_keeps_no_other_from_being_looked_at(
    odd: Any, about: str, ray: FakeRay, tmp_path: Path
) -> None:
    ray.take.set()
    site = site_of(ray, tmp_path)
    for run_id in (1, 2):
        site.start(run_order(run_id), lease(SystemClock().boottime_ns()), None)
    eventually(lambda: ray.submissions == 2)
    looks: list[str] = []

    def answer(method: str, path: str) -> tuple[int, Any] | None:
        looks.append(path)
        return (200, odd) if path.startswith(about) else None

    ray.odd = answer
    for _ in range(2):
        looks.clear()
        eventually(lambda: any(path.startswith("/api/jobs/dure-run-2-") for path in looks))
    site.close()


def test_a_forgotten_run_is_dropped_at_ray_once_its_driver_is_over(ray: FakeRay, tmp_path: Path) -> None:
    ray.take.set()
    dropped: list[str] = []

    def driver_runs(method: str, path: str) -> tuple[int, Any] | None:
        if method == "DELETE":
            dropped.append(path)
        return (500, "not in a terminal state") if method == "DELETE" else None

    ray.odd = driver_runs
    site = site_of(ray, tmp_path)
    site.start(run_order(1), lease(SystemClock().boottime_ns()), None)
    channel = worker_of(ray)
    channel.ask_json("POST", "/worker/0/beat", {"report": {"phase": "ended", "exit_code": 0}})
    site.forget(1)
    assert site.observe() == []
    eventually(lambda: len(dropped) >= 2)
    site.close()
    site = site_of(ray, tmp_path)
    ray.odd = lambda method, path: dropped.append("again") or (200, True) if method == "DELETE" else None
    eventually(lambda: "again" in dropped)
    eventually(lambda: not list((tmp_path / "leaving").iterdir()))
    assert len(set(dropped)) == 2
    site.close()
