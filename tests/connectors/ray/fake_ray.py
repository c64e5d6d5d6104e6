"""A dashboard without a cluster, for what a real one does too seldom, and a site that asks it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from eventually import eventually

from connectors.clock import SystemClock
from connectors.ray.connector import RayConnector
from connectors.ray.driver import Channel
from connectors.ray.settings import RaySettings


class FakeRay:
    """Submissions wait for ``take``; ``status`` is what it says of a taken job. ``odd`` may answer a request in its place."""

    def __init__(self) -> None:
        self.take = threading.Event()
        self.status = "RUNNING"
        self.looks = 0
        self.submissions = 0
        self.odd: Callable[[str, str], tuple[int, Any] | None] = lambda method, path: None
        self.environment: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        odd = self.odd(method, path)
        if method == "POST":
            self.submissions += 1
        if method == "GET" and not path.startswith("/api/v0/nodes"):
            self.looks += 1
        if odd is not None:
            return odd
        if path.startswith("/api/v0/nodes"):
            return 200, {"data": {"result": {"result": []}}}
        if method == "POST":
            self.environment = json.loads(body)["runtime_env"]["env_vars"]
            self.take.wait(20)
            return 200, {}
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
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

    return Handler


def site_of(ray: FakeRay, folder: Path) -> RayConnector:
    """A connector over this folder."""
    return RayConnector(RaySettings(dashboard_url=ray.url, state_directory=folder), SystemClock())


def channel_of(ray: FakeRay) -> Channel:
    """The agent, as a worker of the run that was submitted last sees it."""
    eventually(lambda: ray.environment)
    return Channel(ray.environment["DURE_CHANNEL"], ray.environment["DURE_CHANNEL_SECRET"])
