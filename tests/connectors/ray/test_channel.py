"""The gangs' channel holds no large thing in memory and serves a run's own workers alone."""

from __future__ import annotations

import json
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from example_count import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_orders import lease, run_order

from connectors.clock import SystemClock
from connectors.ray.connector import RayConnector
from connectors.ray.driver import Away, Channel, Gone
from tests.connectors.ray.fake_ray import FakeRay, channel_of, site_of

LARGE = 64 << 20
PATHS = [
    "/port",
    "/failed",
    "/gang",
    "/worker/0",
    "/worker/0/beat",
    "/worker/0/log?offset=0",
    "/worker/0/log?offset=-1",
    "/worker/0/left",
    "/worker/0/outputs",
    "/x",
]


@pytest.fixture
def site(ray: FakeRay, tmp_path: Path) -> Iterator[RayConnector]:
    ray.take.set()
    made = site_of(ray, tmp_path)
    order = run_order(1, outputs=("*",), outputs_bytes_max=LARGE)
    made.start(order, lease(SystemClock().boottime_ns()), None)
    yield made
    made.close()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture
def channel(ray: FakeRay, site: RayConnector) -> Channel:
    return channel_of(ray)


def large_file(path: Path, size: int = LARGE) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_archives_are_never_held_in_memory(channel: Channel, site: RayConnector, tmp_path: Path) -> None:
    large_file(tmp_path / "runs" / "1" / "work.tar")
    channel.ask_json("POST", "/worker/0/left", [["a", LARGE, "0" * 64]])
    tracemalloc.start()
    try:
        with (tmp_path / "fetched").open("w+b") as fetched:
            channel.ask("GET", "/archive", into=fetched)
        with (tmp_path / "fetched").open("rb") as sent:
            channel.ask("PUT", "/worker/0/outputs", sent)
        assert tracemalloc.get_traced_memory()[1] < LARGE // 8
    finally:
        tracemalloc.stop()
    channel.ask_json("POST", "/worker/0/beat", {"report": {"phase": "ended", "exit_code": 0}})
    outputs = site.outputs(1).archive
    assert outputs is not None and outputs.stat().st_size == LARGE


@pytest.mark.parametrize("path", ["/worker/0/beat", "/worker/0/log?offset=0", "/port"])
def test_what_is_held_in_memory_is_small(path: str, channel: Channel) -> None:
    with pytest.raises(Away):
        channel.ask("POST", path, b" " * (2 << 20))


def test_outputs_beyond_the_limit_are_refused(channel: Channel, site: RayConnector, tmp_path: Path) -> None:
    channel.ask_json("POST", "/worker/0/left", [["a", LARGE, "0" * 64]])
    with large_file(tmp_path / "much", 4 * LARGE).open("rb") as file, pytest.raises(Away):
        channel.ask("PUT", "/worker/0/outputs", file)
    assert site.outputs(1).archive is None
    assert [path for path in (tmp_path / "runs" / "1").iterdir() if "outputs" in path.name] == []


def test_a_driver_of_an_earlier_version_sends_the_whole_and_ends(
    channel: Channel, site: RayConnector, tmp_path: Path
) -> None:
    with large_file(tmp_path / "whole", 10).open("rb") as file:
        channel.ask("PUT", "/outputs", file)
    channel.ask_json("POST", "/worker/0/beat", {"report": {"phase": "ended", "exit_code": 0}})
    outputs = site.outputs(1).archive
    assert outputs is not None and outputs.stat().st_size == 10


def test_a_stranger_is_refused_before_the_body_is_read(channel: Channel) -> None:
    address = urlsplit(channel.url)
    with socket.create_connection((address.hostname, address.port), 10) as stranger:
        stranger.sendall(f"PUT {address.path}/worker/0/outputs HTTP/1.1\r\nContent-Length: {1 << 30}\r\n\r\n".encode())
        assert b" 404 " in stranger.recv(1000)


@pytest.mark.parametrize("rank", [1, 999])
def test_a_rank_that_the_gang_does_not_have_is_refused(rank: int, channel: Channel, site: RayConnector) -> None:
    with pytest.raises(Gone):
        channel.ask_json("POST", f"/worker/{rank}/beat", {"report": {"phase": "ended", "exit_code": 0}})
    with pytest.raises(Gone):
        channel.ask("POST", f"/worker/{rank}/log?offset=0", b"x")
    assert site.observe()[0].cause is None


WORDS = st.dictionaries(
    st.sampled_from(["phase", "cause", "started_ms", "ended_ms", "exit_code", "message", "left_out"]),
    st.sampled_from(["starting", "running"]) | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=1),
)
BODIES = (
    st.binary(max_size=60)
    | st.sampled_from([b"null", b"1e999", b"true", b"[" * 50_000])
    | st.lists(st.lists(st.just("a") | st.integers() | st.just("0" * 64))).map(lambda left: json.dumps(left).encode())
    | st.fixed_dictionaries({"report": WORDS}).map(lambda told: json.dumps(told).encode())
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(80))
@given(st.sampled_from(["POST", "PUT", "GET"]), st.sampled_from(PATHS), BODIES)
def test_any_body_is_answered(channel: Channel, http: httpx.Client, method: str, path: str, body: bytes) -> None:
    answer = http.request(
        method, channel.url + path, content=body, headers={"Authorization": f"Bearer {channel.secret}"}
    )
    assert answer.status_code in (200, 400, 404, 410)


def test_an_odd_word_of_a_worker_does_not_keep_the_next_agent_from_starting(
    ray: FakeRay, channel: Channel, site: RayConnector, tmp_path: Path
) -> None:
    odd = {"phase": "running", "started_ms": "soon", "cause": []}
    channel.ask_json("POST", "/worker/0/beat", {"report": odd})
    site.close()
    (tmp_path / "runs" / "1" / "report-0.json").write_text(json.dumps(odd))
    again = site_of(ray, tmp_path)
    assert [run.run_id for run in again.observe()] == [1]
    again.close()
