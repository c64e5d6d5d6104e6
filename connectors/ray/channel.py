"""The gangs' own channel: an HTTP listener inside the site. A run's secret opens that run and nothing else."""

from __future__ import annotations

import hmac
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.ray.gang import SUPERVISE, RayGang

DRIVER = Path(__file__).resolve().parent / "driver.py"
BODY_BYTES_MAX = 1 << 31
_ROUTE = re.compile(r"^/runs/(\d{1,18})(/.*)$")
_WORKER = re.compile(r"^/worker/(\d{1,6})(/beat|/log)?$")


class ChannelRefusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Channel:
    """Listens from its making on; ``gang_of`` finds a run."""

    def __init__(self, host: str, port: int, gang_of: Callable[[int], RayGang | None]) -> None:
        self._gang_of = gang_of
        self._server = _Server((host, port), _handler(self))
        self._host = host
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="ray-channel", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def url_of(self, run_id: int) -> str:
        """The address of one run."""
        return f"http://{self._host}:{self.port}/runs/{run_id}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, target: str, secret: str, body: bytes) -> bytes:
        """Serve one request. Raises ``ChannelRefusal``."""
        address = urlsplit(target)
        route = _ROUTE.match(address.path)
        gang = None if route is None else self._gang_of(int(route[1]))
        if route is None or gang is None or not hmac.compare_digest(gang.record.secret, secret):
            raise ChannelRefusal(404)
        path = route[2]
        worker = _WORKER.match(path)
        if worker is not None:
            return self._answer_worker(gang, method, int(worker[1]), worker[2] or "", address.query, body)
        match method, path:
            case "GET", "/driver":
                return DRIVER.read_bytes()
            case "GET", "/supervisor":
                return SUPERVISE.read_bytes()
            case "GET", "/archive":
                return gang.file("work.tar").read_bytes()
            case "GET", "/gang":
                return _json_or_gone(gang.gang())
            case "POST", "/port":
                gang.set_port(int(json.loads(body)))
                return b"null"
            case "POST", "/failed":
                gang.fail_start(str(json.loads(body)))
                return b"null"
            case "PUT", "/outputs":
                gang.file("outputs.new").write_bytes(body)
                gang.file("outputs.new").replace(gang.file("outputs.tar.gz"))
                return b"null"
        raise ChannelRefusal(404)

    def _answer_worker(self, gang: RayGang, method: str, rank: int, part: str, query: str, body: bytes) -> bytes:
        if method == "GET" and part == "":
            try:
                return json.dumps(gang.worker(rank)).encode()
            except LookupError as refusal:
                raise ChannelRefusal(410) from refusal
        if method == "POST" and part == "/beat":
            told = json.loads(body)
            try:
                return json.dumps(gang.beat(rank, told["report"], first=bool(told.get("first")))).encode()
            except LookupError as refusal:
                raise ChannelRefusal(410) from refusal
        if method == "POST" and part == "/log":
            offset = int(parse_qs(query)["offset"][0])
            return json.dumps(gang.append_log(rank, offset, body)).encode()
        raise ChannelRefusal(404)


def _json_or_gone(value: Any) -> bytes:
    if value is None:
        raise ChannelRefusal(410)
    return json.dumps(value).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that goes away in the middle of a request is nothing to write about."""


def _handler(channel: Channel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def do_PUT(self) -> None:
            self._serve()

        def _serve(self) -> None:
            length = self.headers.get("Content-Length") or "0"
            status, answer = 200, b""
            if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
                status, self.close_connection = 413, True
            else:
                body = self.rfile.read(int(length))
                secret = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                try:
                    answer = channel.answer(self.command, self.path, secret, body)
                except ChannelRefusal as refusal:
                    status = refusal.status
                except (ValueError, KeyError, TypeError, OSError):
                    status = 400
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    return Handler
