"""Whether the process lives, whether it can serve, and what it counts."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from pydantic import BaseModel

from scheduler.api.dependencies import PROBLEMS_READ, RuntimeHere
from scheduler.api.problem import RefusedError
from scheduler.model.errors import StoreError
from scheduler.model.reason import ReasonCode, refuse
from scheduler.store import jobs

router = APIRouter(tags=["health"], responses=PROBLEMS_READ)

JOBS = Gauge("dure_jobs", "Jobs by state.", ["state"])
WAITING = Gauge("dure_writer_waiting_rows", "Rows that wait for the next commit.")


class Health(BaseModel):
    """The answer "yes"."""

    status: str


@router.get("/healthz")
async def healthz() -> Health:
    """The process lives."""
    return Health(status="ok")


@router.get("/readyz")
def readyz(runtime: RuntimeHere) -> Health:
    """The store answers and its schema is the newest."""
    try:
        ready = runtime.database.migrated()
    except StoreError:
        ready = False
    if not ready:
        raise RefusedError(refuse(ReasonCode.NOT_READY))
    return Health(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(runtime: RuntimeHere) -> Response:
    """Prometheus metrics."""
    with runtime.database.read() as connection:
        counts = jobs.counts_by_state(connection)
    for state, count in counts.items():
        JOBS.labels(state).set(count)
    WAITING.set(runtime.writer.waiting_weight())
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
