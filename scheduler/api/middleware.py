"""What happens around every request: a trace number, a size limit, one log line, metrics, security headers.

Plain ASGI, because a wrapper that buffers would break streams and cost time on every request.
"""

from __future__ import annotations

import re
import secrets
import time
from functools import lru_cache
from itertools import count
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.problem import BodyTooLarge, respond, respond_too_large
from scheduler.model.reason import ReasonCode, refuse

API_PREFIX = "/api/v1"

logger = structlog.get_logger("dure.http")

REQUESTS = Counter("dure_http_requests_total", "HTTP requests by route and status.", ["method", "route", "status"])
SECONDS = Histogram(
    "dure_http_request_seconds",
    "Time from the request's first byte to the answer's first.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

#: A trace number is this process's and the request's: what nobody has to guess needs no dice of its own.
_PROCESS = secrets.token_hex(4)
_NUMBERS = count()
_TRACE = re.compile(r"^[A-Za-z0-9_-]{8,64}$")


class Surroundings:
    """The one middleware. ``bytes_max_of`` answers the body limit of a path in bytes."""

    def __init__(self, app: ASGIApp, body_bytes_max: int, content_bytes_max: int) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._content_bytes_max = content_bytes_max

    def bytes_max_of(self, path: str) -> int:
        """Largest body that ``path`` takes: archives and logs are larger than documents."""
        carries_content = path.startswith(f"{API_PREFIX}/content/") or path.endswith(("/outputs", "/log"))
        return self._content_bytes_max if carries_content else self._body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        scope["dure.trace_id"] = trace_id = given if _TRACE.match(given) else f"{_PROCESS}{next(_NUMBERS):08x}"
        started, status = time.perf_counter(), 500
        bytes_max = self.bytes_max_of(scope["path"])

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", trace_id.encode())]
                message["headers"].append((b"x-content-type-options", b"nosniff"))
                _seconds_of(scope["method"], _route(scope)).observe(time.perf_counter() - started)
            await send(message)

        try:
            length = headers.get(b"content-length", b"0")
            if not length.isdigit() or int(length) > bytes_max:
                refused = await respond_too_large(Request(scope), bytes_max)
                await refused(scope, receive, send_with_headers)
            else:
                await self._app(scope, _limited(receive, bytes_max), send_with_headers)
        except Exception:
            logger.exception("request failed", trace_id=trace_id, method=scope["method"], route=_route(scope))
            if status == 500:
                response = await respond(Request(scope), refuse(ReasonCode.INTERNAL_FAULT))
                await response(scope, receive, send_with_headers)
        finally:
            _count_of(scope["method"], _route(scope), status).inc()
            logger.info(
                "request",
                trace_id=trace_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=round(time.perf_counter() - started, 4),
            )


# The library looks its children up under a lock, every label made a text: dearer than all else that is counted here.
@lru_cache(maxsize=4096)
def _seconds_of(method: str, route: str) -> Histogram:
    return SECONDS.labels(method, route)


@lru_cache(maxsize=4096)
def _count_of(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, str(status))


def _limited(receive: Receive, bytes_max: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > bytes_max:
            raise BodyTooLarge(bytes_max)
        return message

    return limited


def _route(scope: Any) -> str:
    """The address's pattern, as a label: bounded in number, and another one for the API than for a page beside it."""
    path = str(getattr(scope.get("route"), "path", "unmatched"))
    # An included router's routes do not know the prefix under which they were included.
    below_api = scope["path"].startswith(f"{API_PREFIX}/") and not path.startswith(API_PREFIX)
    return f"{API_PREFIX}{path}" if below_api and path != "unmatched" else path
