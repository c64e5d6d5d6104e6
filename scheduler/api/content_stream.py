"""Contents on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from scheduler.service.runtime import Runtime
from scheduler.store import content


def content_response(runtime: Runtime, digest: str, size: int) -> StreamingResponse:
    """Stream a content, part by part; its digest is its ETag."""

    async def parts() -> AsyncIterator[bytes]:
        iterator = content.read(runtime.database, digest)
        while (part := await asyncio.to_thread(next, iterator, None)) is not None:
            yield part

    headers = {"Content-Length": str(size), "ETag": f'"{digest}"'}
    return StreamingResponse(parts(), media_type="application/gzip", headers=headers)
