"""Archives: working directories on their way in, outputs on their way out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from scheduler.api.content_stream import content_response
from scheduler.api.dependencies import Reading, RuntimeHere, Submitting
from scheduler.api.problem import RefusedError, answered
from scheduler.api.schemas import ContentOut, DatabaseId
from scheduler.model.job_spec import DIGEST_PATTERN
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.caller import Caller
from scheduler.service.jobs import find_job
from scheduler.service.outputs import why_no_outputs
from scheduler.service.runtime import Runtime
from scheduler.store import content

router = APIRouter(tags=["content"])

Digest = Annotated[str, Path(pattern=DIGEST_PATTERN)]
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}}}
}
_BINARY_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _own_size(runtime: Runtime, caller: Caller, digest: str) -> int | Refusal:
    with runtime.database.read() as connection:
        brought = content.granted(connection, digest, caller.person_id)
        size = content.size(connection, digest) if brought else None
    return refuse(ReasonCode.CONTENT_NOT_FOUND, digest=digest) if size is None else size


@router.head("/content/{digest}")
def has_content(digest: Digest, runtime: RuntimeHere, caller: Submitting) -> Response:
    """Whether the caller has brought this content already."""
    size = answered(_own_size(runtime, caller, digest))
    return Response(headers={"Dure-Content-Bytes": str(size)})


@router.put("/content/{digest}", status_code=201, openapi_extra=_BINARY_BODY)
async def put_content(request: Request, digest: Digest, runtime: RuntimeHere, caller: Submitting) -> ContentOut:
    """Bring an archive under its SHA-256."""
    with content.Incoming(bytes_max=runtime.settings.content_bytes_max, digest=digest) as incoming:
        async for piece in request.stream():
            refusal = await asyncio.to_thread(incoming.write, piece)
            if refusal is not None:
                raise RefusedError(refusal)
        stored = answered(await asyncio.to_thread(incoming.store, runtime.database, person_id=caller.person_id))
    return ContentOut(digest=stored.digest, bytes=stored.bytes)


@router.get("/content/{digest}", response_class=Response, responses=_BYTES)
def fetch_content(digest: Digest, runtime: RuntimeHere, caller: Submitting) -> Response:
    """An archive that the caller has brought."""
    return content_response(runtime, digest, answered(_own_size(runtime, caller, digest)))


@router.get("/jobs/{job}/outputs", response_class=Response, responses=_BYTES)
def fetch_outputs(job: Annotated[DatabaseId, Path()], runtime: RuntimeHere, caller: Reading) -> Response:
    """The outputs of a job's newest run that has ended, as tar.gz."""
    digest, size = answered(_outputs(runtime, caller, job))
    return content_response(runtime, digest, size)


def _outputs(runtime: Runtime, caller: Caller, job_id: int) -> tuple[str, int] | Refusal:
    with runtime.database.read() as connection:
        row = find_job(connection, runtime.directories.newest(), caller, job_id)
        if isinstance(row, Refusal):
            return row
        size = None if row.outputs is None else content.size(connection, row.outputs)
        if row.outputs is None or size is None:
            return why_no_outputs(connection, row)
    return row.outputs, size
