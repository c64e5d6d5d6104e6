"""A job's log, as bytes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from scheduler.api.dependencies import Reading, RuntimeHere
from scheduler.api.problem import answered
from scheduler.api.schemas import DatabaseId
from scheduler.service.job_log import read_log

router = APIRouter(tags=["logs"])

READ_BYTES_MAX = 1 << 20
#: An agent brings the first bytes within a round trip or two.
WAIT_SECONDS = 3.0
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/jobs/{job}/log", response_class=Response, responses=_BYTES)
def fetch_log(
    job: Annotated[DatabaseId, Path()],
    runtime: RuntimeHere,
    caller: Reading,
    rank: Annotated[int, Query(ge=0, le=100_000)] = 0,
    run: Annotated[DatabaseId | None, Query()] = None,
    offset: Annotated[int, Query(ge=0, le=2**40)] = 0,
    limit: Annotated[int, Query(ge=1, le=READ_BYTES_MAX)] = READ_BYTES_MAX,
) -> Response:
    """Bytes of one worker's log from ``offset`` on. `Dure-Log-Next` says where to go on."""
    view = answered(
        read_log(runtime, caller, job, rank=rank, run_id=run, offset=offset, bytes_max=limit, wait_seconds=WAIT_SECONDS)
    )
    headers = {"Dure-Log-Next": str(view.next_offset), "Dure-Log-Run": str(view.run_id)}
    return Response(view.data, media_type="text/plain; charset=utf-8", headers=headers)
