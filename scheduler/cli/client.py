"""HTTP to the server: one small client with retries that are safe, because every POST carries an Idempotency-Key."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from scheduler.cli.address import path_of
from scheduler.cli.failure import (
    EXIT_AUTHENTICATION,
    EXIT_TIMEOUT,
    CommandFailure,
    failure_of_address,
    failure_of_problem,
    usage_failure,
)
from scheduler.cli.language import say
from scheduler.cli.profile import Profile, load_profile

_RETRIES_MAX = 4
_RETRY_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One server-sent event."""

    name: str
    id: str
    data: str


class Client:
    """Calls below ``/api/v1`` of one server as one person. Raises ``CommandFailure`` for every "no"."""

    def __init__(self, profile: Profile, transport: httpx.BaseTransport | None = None) -> None:
        if profile.token is None:
            raise CommandFailure(
                EXIT_AUTHENTICATION,
                say("You are not signed in: run `dure login`.", "로그인하지 않았습니다. `dure login`을 실행하십시오."),
            )
        if not (profile.token.isascii() and profile.token.isprintable()) or " " in profile.token:
            raise CommandFailure(
                EXIT_AUTHENTICATION,
                say(
                    "What is in DURE_TOKEN or was stored is no token: set it again or run `dure login`.",
                    "DURE_TOKEN이나 저장된 값이 토큰이 아닙니다. 다시 설정하거나 `dure login`을 실행하십시오.",
                ),
            )
        self._server = profile.server
        try:
            self._http = httpx.Client(
                base_url=f"{profile.server}/api/v1/",
                headers={"Authorization": f"Bearer {profile.token}", "User-Agent": "dure-cli"},
                timeout=httpx.Timeout(30.0, connect=5.0),
                transport=transport,
            )
        except (httpx.InvalidURL, UnicodeError) as wrong:
            raise usage_failure(
                f"{profile.server} is no address ({wrong}): set DURE_SERVER or `dure login --server` to http(s)://….",
                f"{profile.server}은(는) 주소가 아닙니다. DURE_SERVER나 `dure login --server`에 http(s)://…를 쓰십시오.",
            ) from wrong

    @classmethod
    def from_profile(cls) -> Client:
        """The client of the signed-in user."""
        return cls(load_profile())

    def get(self, path: str, **query: Any) -> Any:
        """GET a JSON document; query values of None are left out."""
        return self._json("GET", path, params=_present(query))

    def post(self, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """POST a JSON document once, however often the network makes us repeat it."""
        return self._json(
            "POST", path, json=dict(body or {}), params=_present(query), headers={"Idempotency-Key": str(uuid.uuid4())}
        )

    def put(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        """PUT a JSON document."""
        return self._json("PUT", path, json=dict(body), headers=dict(headers))

    def delete(self, path: str, **query: Any) -> None:
        """DELETE something."""
        self._call("DELETE", path, params=_present(query))

    def has_content(self, digest: str) -> bool:
        """Whether the content store holds ``digest`` for this person."""
        response = self._send("HEAD", path_of("content", digest))
        return response.status_code == httpx.codes.OK

    def put_content(self, digest: str, data: bytes) -> None:
        """Upload an archive under its digest."""
        self._call(
            "PUT",
            path_of("content", digest),
            content=data,
            headers={"Content-Type": "application/octet-stream"},
            timeout=httpx.Timeout(600.0, connect=5.0),
        )

    def download(self, path: str, **query: Any) -> httpx.Response:
        """GET raw bytes."""
        return self._call("GET", path, params=_present(query), timeout=httpx.Timeout(600.0, connect=5.0))

    def pages(self, path: str, limit: int | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page after page, at most ``limit`` of them."""
        cursor, left = None, limit
        while True:
            page = self.get(path, cursor=cursor, limit=min(left or 500, 500), **query)
            for item in page["items"]:
                if left is not None:
                    if left == 0:
                        return
                    left -= 1
                yield item
            cursor = page.get("next_cursor")
            if not cursor or left == 0:
                return

    def stream(self, path: str, last_event_id: str | None = None, **query: Any) -> Iterator[ServerEvent]:
        """Yield server-sent events until the server ends the stream; a broken connection raises ``httpx`` errors."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        timeout = httpx.Timeout(45.0, connect=5.0)
        with self._http.stream("GET", path, params=_present(query), headers=headers, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise self._failure_of(response)
            yield from _events(response.iter_lines())

    def _json(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._call(method, path, **arguments)
        if not response.content:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError) as unreadable:
            raise failure_of_address(self._server) from unreadable

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = self._send(method, path, **arguments)
        if not response.is_success:
            raise self._failure_of(response)
        return response

    def _failure_of(self, response: httpx.Response) -> CommandFailure:
        if response.status_code < 400:
            return failure_of_address(self._server)
        return failure_of_problem(response.status_code, _problem(response))

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        for attempt in range(1, _RETRIES_MAX + 1):
            last = attempt == _RETRIES_MAX
            try:
                response = self._http.request(method, path, **arguments)
            except (httpx.TransportError, httpx.DecodingError) as unreachable:
                if last or isinstance(unreachable, httpx.UnsupportedProtocol):
                    raise self._out_of_reach(unreachable) from unreachable
                time.sleep(0.2 * 2**attempt)
                continue
            if response.status_code not in _RETRY_STATUSES or last:
                return response
            time.sleep(_retry_after_seconds(response, attempt))
        raise AssertionError("the last attempt returns or raises")

    def failure_of_answer(self) -> CommandFailure:
        """The server's address answers with what no federation's server would say."""
        return failure_of_address(self._server)

    def _out_of_reach(self, unreachable: httpx.RequestError) -> CommandFailure:
        return CommandFailure(
            EXIT_TIMEOUT,
            say(
                f"The server {self._server} cannot be reached ({type(unreachable).__name__}): check the address in "
                "`dure login --server` and that it is up.",
                f"서버 {self._server}에 연결할 수 없습니다({type(unreachable).__name__}). `dure login --server`의 주소와 "
                "서버 상태를 확인하십시오.",
            ),
        )


def _retry_after_seconds(response: httpx.Response, attempt: int) -> float:
    try:
        return min(float(response.headers.get("Retry-After", "")), 10.0)
    except ValueError:
        return float(0.2 * 2**attempt)


def _present(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {"title": response.text[:200] or response.reason_phrase}


def _events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """Parse the event stream format of the HTML standard, section 9.2.6."""
    name, identifier = "message", ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield ServerEvent(name=name, id=identifier, data="\n".join(data))
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "id":
            identifier = value
        elif field == "data":
            data.append(value)
