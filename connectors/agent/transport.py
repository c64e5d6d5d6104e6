"""How the agent talks to the federation's server. It dials out; nothing at a site listens."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from connectors.errors import ContentMismatch, ServerRefused, ServerUnavailable
from scheduler.model.wire import EnrolRequest, EnrolResponse, LogAnswer, SyncRequest, SyncResponse

#: HTTP statuses that say "not now": the same request may succeed later.
TRY_AGAIN_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

Answer = TypeVar("Answer", bound=BaseModel)


class Transport(Protocol):
    """The server, as the agent needs it. Raises ServerUnavailable (try again) and ServerRefused (for
    good).
    """

    def enrol(self, token: str, request: EnrolRequest, idempotency_key: str) -> EnrolResponse:
        """Exchange the one-time token for a credential."""

    def use_credential(self, credential: str) -> None:
        """Send this credential with everything from now on."""

    def sync(self, request: SyncRequest, *, timeout_seconds: float) -> SyncResponse:
        """Report and be told; may wait ``request.wait_seconds_max`` for news. Given up after ``timeout_seconds``, or
        the transport's own timeout beyond the wait where that is shorter.
        """

    def post_log(self, run_id: int, epoch: int, rank: int, offset: int, data: bytes, *, ended: bool) -> int:
        """Bytes of a worker's log from ``offset`` on; the answer is the offset wanted next."""

    def put_outputs(self, run_id: int, epoch: int, archive: Path) -> None:
        """A run's outputs."""

    def fetch_content(self, digest: str, to: Path) -> None:
        """Content by its ``sha256:`` digest, verified, whole or not at all. Raises ContentMismatch."""

    def close(self) -> None:
        """Let go of connections."""


class HttpTransport:
    """``Transport`` over HTTP(S)."""

    def __init__(self, server: str, *, timeout_seconds: float = 30.0, verify: str | bool = True) -> None:
        self._timeout_seconds = timeout_seconds
        self._closed = False
        self._client = httpx.Client(
            base_url=f"{server.rstrip('/')}/api/v1/agent",
            timeout=httpx.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds)),
            verify=verify,
            # Jobs' proxies are no concern of the agent's; its own come from the environment as usual.
            headers={"User-Agent": "dure-agent"},
        )

    def enrol(self, token: str, request: EnrolRequest, idempotency_key: str) -> EnrolResponse:
        """POST enrol, with the one-time token."""
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": idempotency_key}
        return self._ask("enrol", request, EnrolResponse, headers=headers)

    def use_credential(self, credential: str) -> None:
        """Set the Authorization header."""
        self._client.headers["Authorization"] = f"Bearer {credential}"

    def sync(self, request: SyncRequest, *, timeout_seconds: float) -> SyncResponse:
        """POST sync."""
        timeout = min(timeout_seconds, request.wait_seconds_max + self._timeout_seconds)
        return self._ask("sync", request, SyncResponse, timeout=timeout)

    def post_log(self, run_id: int, epoch: int, rank: int, offset: int, data: bytes, *, ended: bool) -> int:
        """POST runs/ID/log."""
        query: dict[str, str | int] = {
            "epoch": epoch,
            "rank": rank,
            "offset": offset,
            "ended": str(ended).lower(),
        }
        response = self._send(
            "POST",
            f"runs/{run_id}/log",
            params=query,
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return _read(response, LogAnswer).next_offset

    def put_outputs(self, run_id: int, epoch: int, archive: Path) -> None:
        """PUT runs/ID/outputs."""
        size = str(archive.stat().st_size)
        headers = {"Content-Type": "application/gzip", "Content-Length": size}
        self._send(
            "PUT",
            f"runs/{run_id}/outputs",
            params={"epoch": epoch},
            content=_chunks(archive),
            headers=headers,
        )

    def fetch_content(self, digest: str, to: Path) -> None:
        """GET content/DIGEST into a file beside ``to``, renamed once its digest is right."""
        beside = to.with_name(f".{to.name}.{os.getpid()}.part")
        seen = hashlib.sha256()
        try:
            with self._client.stream("GET", f"content/{digest}") as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    _judge(response)
                with beside.open("wb") as sink:
                    for chunk in response.iter_bytes(1024 * 1024):
                        seen.update(chunk)
                        sink.write(chunk)
            if f"sha256:{seen.hexdigest()}" != digest:
                raise ContentMismatch(f"content {digest} arrived as sha256:{seen.hexdigest()}")
            beside.replace(to)
        except httpx.HTTPError as fault:
            raise ServerUnavailable(f"content {digest} did not arrive: {fault!r}") from fault
        finally:
            beside.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the connections. A request that is under way in another thread may yet be answered."""
        self._closed = True
        self._client.close()

    def _ask(
        self,
        path: str,
        message: BaseModel,
        answer: type[Answer],
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        sent = {"Content-Type": "application/json", **(headers or {})}
        response = self._send("POST", path, content=message.model_dump_json().encode(), headers=sent, **options)
        return _read(response, answer)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as fault:
            raise ServerUnavailable(f"{method} {path}: {fault!r}") from fault
        if self._closed:
            # What came up after the others were closed is nobody's to close.
            response.extensions["network_stream"].close()
        if not response.is_success:
            _judge(response)
        return response


def _judge(response: httpx.Response) -> None:
    """Raise what a refusal of the server means."""
    status, path = response.status_code, response.request.url.path
    try:
        problem = response.json()
        words, korean = (_words(problem, suffix) for suffix in ("", "_ko"))
    except (ValueError, AttributeError, RecursionError):
        words = korean = response.text[:200]
    sentence = f"the server answered {status} to {path}: {words}"
    if status in TRY_AGAIN_STATUSES:
        raise ServerUnavailable(sentence)
    raise ServerRefused(sentence, f"서버가 {path}에 {status}(으)로 답했습니다: {korean or words}", status=status)


def _words(problem: Any, suffix: str) -> str:
    """What a problem says, in one of its languages."""
    told = (str(problem.get(name + suffix, "")) for name in ("title", "detail"))
    return " ".join(each for each in told if each)


def _read(response: httpx.Response, answer: type[Answer]) -> Answer:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as fault:
        raise ServerUnavailable(f"the server's answer cannot be read: {fault.error_count()} faults") from fault


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(1024 * 1024):
            yield chunk
