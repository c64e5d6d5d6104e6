"""Server-sent events (HTML standard, section 9.2): framing and heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from starlette.responses import StreamingResponse

Item = TypeVar("Item")

HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; ``data`` is a line of JSON."""

    name: str
    id: str
    data: bytes


def frame(event: Event) -> bytes:
    """The event's bytes on the wire."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (event.name.encode(), event.id.encode(), event.data)


async def with_pauses(items: AsyncIterator[Item], seconds: float) -> AsyncIterator[Item | None]:
    """``items``, and None whenever nothing came for ``seconds``."""
    following = asyncio.ensure_future(anext(items, None))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=seconds)
            if not done:
                yield None
                continue
            item = following.result()
            if item is None:
                return
            yield item
            following = asyncio.ensure_future(anext(items, None))
    finally:
        following.cancel()


async def with_heartbeat(events: AsyncIterator[Event], seconds: float = HEARTBEAT_SECONDS) -> AsyncIterator[bytes]:
    """Frame ``events``, with a comment whenever nothing came for ``seconds``, so that proxies keep the connection."""
    yield b": dure\n\n"
    async for event in with_pauses(events, seconds):
        yield b": heartbeat\n\n" if event is None else frame(event)


def event_stream(events: AsyncIterator[Event]) -> StreamingResponse:
    """The response that streams ``events``."""
    return StreamingResponse(
        with_heartbeat(events),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
