"""The federation's server as an agent sees it: HTTP in this process, the wire messages, no store and no
rounds.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from run_orders import contract

from scheduler.model.job_state import RunPhase
from scheduler.model.wire import (
    EnrolResponse,
    LogAnswer,
    LogWant,
    NodeReport,
    RunOrder,
    RunReport,
    SiteContract,
    StopOrder,
    SyncRequest,
    SyncResponse,
    digest_of_runs,
)

ENROLMENT_TOKEN = "dure_enrol_" + "e" * 43
CREDENTIAL = "dure_site_" + "c" * 43


@dataclass
class FakeServer:
    """What the server wants (``orders``, ``stops``, ``wants``), and all it was told. Used as a context
    manager.

    ``unavailable`` makes so many requests fail with 503; ``lose_answers`` takes so many syncs and drops the
    answers. ``on_sync`` is called with each request before it is answered. An order that was told is told again after
    ``repeat_seconds``, or to whoever reports completely.
    """

    lease_seconds: float = 60.0
    contract: SiteContract = field(default_factory=contract)
    orders: dict[int, RunOrder] = field(default_factory=dict)
    stops: dict[int, StopOrder] = field(default_factory=dict)
    wants: list[LogWant] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    reports: dict[int, list[RunReport]] = field(default_factory=dict)
    nodes: dict[str, NodeReport] = field(default_factory=dict)
    logs: dict[tuple[int, int], bytes] = field(default_factory=dict)
    logs_ended: set[tuple[int, int]] = field(default_factory=set)
    outputs: dict[int, bytes] = field(default_factory=dict)
    syncs: list[SyncRequest] = field(default_factory=list)
    refused_requests: list[int] = field(default_factory=list)
    enrolments: list[str] = field(default_factory=list)
    unavailable: int = 0
    lose_answers: int = 0
    log_limit: int | None = None
    repeat_seconds: float = 0.0
    change: int = 1
    on_sync: Callable[[SyncRequest], None] = lambda _: None
    _capacity_version: int = 0
    _live: dict[int, int] = field(default_factory=dict)
    _told: dict[int, float] = field(default_factory=dict)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> FakeServer:
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def order(self, *orders: RunOrder) -> None:
        """Have these runs."""
        with self._news:
            self.change += 1
            self.orders.update({order.run_id: order for order in orders})
            self._news.notify_all()

    def stop(self, *stops: StopOrder) -> None:
        """End these runs."""
        with self._news:
            self.change += 1
            self.stops.update({stop.run_id: stop for stop in stops})
            self._news.notify_all()

    def want(self, want: LogWant) -> None:
        """Somebody reads a log."""
        with self._news:
            self.wants.append(want)
            self._news.notify_all()

    def put_content(self, data: bytes) -> str:
        """Content and its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.contents[digest] = data
        return digest

    def last(self, run_id: int) -> RunReport | None:
        """The latest report of a run."""
        history = self.reports.get(run_id)
        return history[-1] if history else None

    def ended(self, run_id: int) -> RunReport | None:
        """The report of a run's end."""
        report = self.last(run_id)
        return report if report is not None and report.phase is RunPhase.ENDED else None

    def sync(self, request: SyncRequest) -> SyncResponse:
        """Take a request and answer it, after news or its wait."""
        deadline = time.monotonic() + request.wait_seconds_max
        self.on_sync(request)
        with self._news:
            self.syncs.append(request)
            forget = self._take(request)
            complete_wanted = request.live_digest not in ("", digest_of_runs(list(self._live.items())))
            while True:
                response = self._answer(forget, complete_wanted)
                news = response.start or response.stop or response.forget or response.logs or complete_wanted
                left = deadline - time.monotonic()
                if news or left <= 0:
                    return response
                self._news.wait(left)

    def _take(self, request: SyncRequest) -> list[int]:
        capacity = request.capacity
        if capacity is not None:
            if capacity.complete:
                self.nodes = {}
            self.nodes.update({node.name: node for node in capacity.nodes})
            for name in capacity.removed:
                self.nodes.pop(name, None)
            self._capacity_version = capacity.version
        forget = []
        if request.complete:
            self._live = {}
            self._told = {}
        self.change += bool(request.runs)
        for run in request.runs:
            history = self.reports.setdefault(run.run_id, [])
            if not history or history[-1] != run:
                history.append(run)
            self._live.pop(run.run_id, None)
            if run.phase is RunPhase.ENDED:
                forget.append(run.run_id)
            else:
                self._live[run.run_id] = run.epoch
        return forget

    def _answer(self, forget: list[int], complete_wanted: bool) -> SyncResponse:
        wants, self.wants = self.wants, []
        now_seconds = time.monotonic()
        due = [
            order
            for order in self.orders.values()
            if order.run_id not in self.reports
            and now_seconds - self._told.get(order.run_id, float("-inf")) >= self.repeat_seconds
        ]
        self._told.update({order.run_id: now_seconds for order in due})
        return SyncResponse(
            protocol=1,
            lease_seconds=self.lease_seconds,
            complete_wanted=complete_wanted,
            capacity_version=self._capacity_version,
            start=tuple(due),
            stop=tuple(stop for stop in self.stops.values() if self.ended(stop.run_id) is None),
            forget=tuple(forget),
            logs=tuple(wants),
            contract=self.contract,
            change=self.change,
        )

    def take_log(self, run_id: int, rank: int, offset: int, data: bytes, *, ended: bool) -> LogAnswer:
        """Append at the right offset; the answer is what is wanted next."""
        with self._news:
            log = self.logs.get((run_id, rank), b"")
            if offset <= len(log) and (self.log_limit is None or len(log) < self.log_limit):
                log = log[:offset] + data if offset + len(data) > len(log) else log
                self.logs[run_id, rank] = log
                if ended:
                    self.logs_ended.add((run_id, rank))
            return LogAnswer(next_offset=len(log))


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """An agent that goes away in the middle of a request is part of the tests."""


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            self._route()

        def do_POST(self) -> None:
            self._route()

        def do_PUT(self) -> None:
            self._route()

        def _route(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, answer = self._answer(body)
            except ConnectionAbortedError:
                self.close_connection = True
                return
            if status >= 400:
                server.refused_requests.append(status)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            try:
                self.wfile.write(answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _answer(self, body: bytes) -> tuple[int, bytes]:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            path = address.path.removeprefix("/api/v1/agent/")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            if server.unavailable > 0:
                server.unavailable -= 1
                return 503, _problem("not now")
            if path == "enrol":
                return self._enrol(token)
            if token != CREDENTIAL:
                return 401, _problem("who are you?")
            if path == "sync":
                response = server.sync(SyncRequest.model_validate_json(body))
                if server.lose_answers > 0:
                    server.lose_answers -= 1
                    raise ConnectionAbortedError
                return 200, response.model_dump_json().encode()
            if path.startswith("content/"):
                found = server.contents.get(path.removeprefix("content/"))
                return (404, _problem("no such content")) if found is None else (200, found)
            match = re.fullmatch(r"runs/(\d+)/(log|outputs)", path)
            if match is None:
                return 404, _problem("no such route")
            run_id = int(match[1])
            if match[2] == "outputs":
                server.outputs[run_id] = body
                return 204, b""
            rank, offset, ended = int(query["rank"]), int(query["offset"]), query.get("ended") == "true"
            answer = server.take_log(run_id, rank, offset, body, ended=ended)
            return 200, answer.model_dump_json().encode()

        def _enrol(self, token: str) -> tuple[int, bytes]:
            key = self.headers.get("Idempotency-Key") or ""
            if token != ENROLMENT_TOKEN or any(used != key for used in server.enrolments):
                return 401, _problem("this token is not valid (any more)")
            server.enrolments.append(key)
            enrolled = EnrolResponse(site="national-1", credential=CREDENTIAL, contract=server.contract)
            return 200, enrolled.model_dump_json().encode()

    return Handler


def _problem(title: str) -> bytes:
    return json.dumps({"title": title}).encode()
