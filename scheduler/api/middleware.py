"""What happens around every request: a trace number, a size limit, one log line, metrics, security headers.

Plain ASGI, because a wrapper that buffers would break streams and cost time on every request.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.problem import problem_of, problem_response
from scheduler.model.reason import ReasonCode, refuse

logger = structlog.get_logger("dure.http")

REQUESTS = Counter("dure_http_requests_total", "HTTP requests by route and status.", ["method", "route", "status"])
SECONDS = Histogram(
    "dure_http_request_seconds",
    "Time from the request's first byte to the answer's first.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

_TRACE = re.compile(r"^[A-Za-z0-9_-]{8,64}$")


class BodyTooLarge(Exception):
    """A body that went on past its limit after its headers had said nothing of its length."""


class Surroundings:
    """The one middleware. ``bytes_max_of`` answers the body limit of a path in bytes."""

    def __init__(self, app: ASGIApp, body_bytes_max: int, content_bytes_max: int) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._content_bytes_max = content_bytes_max

    def bytes_max_of(self, path: str) -> int:
        """Largest body that ``path`` takes: archives and logs are larger than documents."""
        carries_content = path.startswith("/api/v1/content/") or path.endswith(("/outputs", "/log"))
        return self._content_bytes_max if carries_content else self._body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        scope["dure.trace_id"] = trace_id = given if _TRACE.match(given) else secrets.token_hex(8)
        started, status = time.perf_counter(), 500
        bytes_max = self.bytes_max_of(scope["path"])

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", trace_id.encode())]
                message["headers"].append((b"x-content-type-options", b"nosniff"))
                SECONDS.labels(scope["method"], _route(scope)).observe(time.perf_counter() - started)
            await send(message)

        try:
            length = headers.get(b"content-length", b"0")
            if not length.isdigit() or int(length) > bytes_max:
                await self._refuse_size(scope, receive, send_with_headers, bytes_max)
            else:
                limited = _limited(receive, bytes_max)
                await self._app(scope, limited, send_with_headers)
        except BodyTooLarge:
            await self._refuse_size(scope, receive, send_with_headers, bytes_max)
        except Exception:
            logger.exception("request failed", trace_id=trace_id, method=scope["method"], route=_route(scope))
            if status == 500:
                response = problem_response(problem_of(refuse(ReasonCode.INTERNAL_FAULT), trace_id))
                await response(scope, receive, send_with_headers)
        finally:
            REQUESTS.labels(scope["method"], _route(scope), str(status)).inc()
            logger.info(
                "request",
                trace_id=trace_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=round(time.perf_counter() - started, 4),
            )

    async def _refuse_size(self, scope: Scope, receive: Receive, send: Send, bytes_max: int) -> None:
        refusal = refuse(ReasonCode.BODY_TOO_LARGE, bytes_max=bytes_max)
        response = problem_response(problem_of(refusal, scope["dure.trace_id"]), {"Connection": "close"})
        await response(scope, receive, send)


def _limited(receive: Receive, bytes_max: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > bytes_max:
            raise BodyTooLarge
        return message

    return limited


def _route(scope: Any) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))
