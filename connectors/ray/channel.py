"""The gangs' own channel: an HTTP listener inside the site. A run's secret opens that run and nothing else."""

from __future__ import annotations

import hmac
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.ray.collection import ARCHIVE_BYTES_BESIDE, Collection, files_of
from connectors.ray.gang import SUPERVISE, RayGang
from connectors.ray.words import word_of

DRIVER = Path(__file__).resolve().parent / "driver.py"
#: Words and parts of logs are held in memory; what is larger goes to a file as it comes.
BODY_BYTES_MAX = 1 << 20
IDLE_SECONDS_MAX = 60.0
_ROUTE = re.compile(r"^/runs/(\d{1,18})(/.*)$")
_WORKER = re.compile(r"^/worker/(\d{1,6})(/beat|/log|/left|/outputs)?$")


class ChannelRefusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Body:
    """What a request carries, read once its sender is known. Both raise ``ChannelRefusal`` for more than the limit, and
    ConnectionError where it is cut short.
    """

    def __init__(self, stream: BufferedIOBase, length: int) -> None:
        self._stream = stream
        self._length = length
        self.left = length

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self._parts(BODY_BYTES_MAX))

    def save(self, path: Path, bytes_max: int) -> None:
        """Write it to a file, which appears whole."""
        beside = path.with_name(f".{path.name}.{threading.get_ident()}.new")
        try:
            with beside.open("wb") as file:
                for part in self._parts(bytes_max):
                    file.write(part)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _parts(self, bytes_max: int) -> Iterator[bytes]:
        if self._length > bytes_max:
            raise ChannelRefusal(413)
        while self.left:
            part = self._stream.read(min(self.left, 1 << 16))
            if not part:
                raise ConnectionError("the request was cut short")
            self.left -= len(part)
            yield part


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

    def answer(self, method: str, target: str, secret: str, body: Body) -> bytes | Path:
        """Serve one request, with these bytes or this file. Raises ``ChannelRefusal``."""
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
                return gang.file("work.tar")
            case "GET", "/gang":
                return _json_or_gone(gang.gang())
            case "POST", "/port":
                gang.set_port(_port(json.loads(body.read())))
                return b"null"
            case "POST", "/failed":
                gang.fail_start(str(json.loads(body.read())))
                return b"null"
            case "PUT", "/outputs":
                # A driver of an earlier version sends those of worker 0 as the whole.
                order = gang.record.order
                limit = 0 if order is None else order.outputs_bytes_max
                body.save(gang.file("outputs.tar.gz"), limit + limit // 64 + ARCHIVE_BYTES_BESIDE)
                return b"null"
        raise ChannelRefusal(404)

    def _answer_worker(self, gang: RayGang, method: str, rank: int, part: str, query: str, body: Body) -> bytes:
        order = gang.record.order
        if order is None or rank >= order.workers:
            raise ChannelRefusal(410)
        match method, part:
            case "GET", "":
                return _json_or_gone_of(lambda: gang.worker(rank))
            case "POST", "/beat":
                told = json.loads(body.read())
                word, first = word_of(told["report"]), bool(told.get("first"))
                return _json_or_gone_of(lambda: gang.beat(rank, word, first=first))
            case "POST", "/log":
                offset = _offset(parse_qs(query)["offset"][0])
                return json.dumps(gang.append_log(rank, offset, body.read())).encode()
            case "POST", "/left":
                files = files_of(rank, json.loads(body.read()))
                return json.dumps(_open(gang).ask(files)).encode()
            case "PUT", "/outputs":
                collection = _open(gang)
                body.save(collection.part(rank), collection.part_bytes_max(rank))
                return b"null"
        raise ChannelRefusal(404)


def _open(gang: RayGang) -> Collection:
    """What a gang leaves; the end of its run is the end of that too."""
    if gang.collection is None or gang.ended:
        raise ChannelRefusal(410)
    return gang.collection


def _port(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 16:
        raise ChannelRefusal(400)
    return value


def _offset(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ChannelRefusal(400)
    return int(text)


def _json_or_gone_of(answer: Callable[[], dict[str, Any] | None]) -> bytes:
    try:
        return json.dumps(answer()).encode()
    except LookupError as refusal:
        raise ChannelRefusal(410) from refusal


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
        timeout = IDLE_SECONDS_MAX

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
            if not length.isdecimal():
                self.close_connection = True
                return self._send(400, b"")
            body = Body(self.rfile, int(length))
            status = 200
            answer: bytes | Path = b""
            secret = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            try:
                answer = channel.answer(self.command, self.path, secret, body)
            except ChannelRefusal as refusal:
                status = refusal.status
            except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, OSError):
                status = 400
            # What was not read would be taken for the next request.
            self.close_connection = self.close_connection or body.left > 0
            if isinstance(answer, Path):
                return self._send_file(answer)
            return self._send(status, answer)

        def _send(self, status: int, answer: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer)

        def _send_file(self, path: Path) -> None:
            try:
                file = path.open("rb")
            except OSError:
                return self._send(404, b"")
            with file:
                self.send_response(200)
                self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
                self.end_headers()
                return shutil.copyfileobj(file, self.wfile, 1 << 16)

    return Handler
