"""A run is not lost while Ray is still taking it, nor for good when Ray speaks of it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from eventually import eventually
from run_orders import lease, run_order

from connectors.clock import SystemClock
from connectors.ray.connector import RayConnector
from connectors.ray.driver import Channel, Gone
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
