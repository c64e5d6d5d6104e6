"""A run is not lost while Ray is still taking it, nor for good when Ray speaks of it again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from run_orders import lease, run_order

from connectors.clock import SystemClock
from connectors.ray import connector as ray_connector
from connectors.ray.connector import RayConnector
from connectors.ray.driver import Channel, Gone
from connectors.ray.settings import RaySettings


class FakeRay:
    """A dashboard without a cluster. Submissions wait for ``take``; ``status`` is what it says of a taken job."""

    def __init__(self) -> None:
        self.take = threading.Event()
        self.status = "RUNNING"
        self.looks = 0
        self.environment: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path.startswith("/api/v0/nodes"):
            return 200, {"data": {"result": {"result": []}}}
        if method == "POST":
            self.environment = json.loads(body)["runtime_env"]["env_vars"]
            self.take.wait(20)
            return 200, {}
        self.looks += 1
        known = self.take.is_set() and self.status != "MISSING"
        return (200, {"status": self.status}) if known else (404, {})

    def look_again(self) -> None:
        """Until Ray has been asked at least once from the beginning on."""
        looks = self.looks
        eventually(lambda: self.looks >= looks + 3)

    def close(self) -> None:
        self.take.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(ray: FakeRay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = ray.answer(self.command, self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

    return Handler


@pytest.fixture
def ray() -> Iterator[FakeRay]:
    made = FakeRay()
    yield made
    made.close()


@pytest.fixture
def site(ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayConnector]:
    monkeypatch.setattr(ray_connector, "LOOK_SECONDS", 0.05)
    made = RayConnector(RaySettings(dashboard_url=ray.url, state_directory=tmp_path), SystemClock())
    made.start(run_order(1), lease(SystemClock().boottime_ns()), None)
    eventually(lambda: ray.environment)
    yield made
    ray.take.set()
    made.close()


def worker_of(ray: FakeRay) -> Channel:
    channel = Channel(ray.environment["DURE_CHANNEL"], ray.environment["DURE_CHANNEL_SECRET"])
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
