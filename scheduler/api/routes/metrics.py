"""What a process counts, and what the federation is like, for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from scheduler.api.dependencies import PROBLEMS_READ, RuntimeHere
from scheduler.service.metrics import FederationMetrics

_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}

#: A server's.
router = APIRouter(tags=["health"], responses=PROBLEMS_READ)
#: Of a process that holds no second federation in memory only to be asked about it.
process_router = APIRouter(tags=["health"], responses=PROBLEMS_READ)


@router.get("/metrics", response_class=Response, responses=_TEXT)
def metrics(runtime: RuntimeHere) -> Response:
    """Prometheus metrics."""
    federation = CollectorRegistry()
    federation.register(FederationMetrics(runtime))
    return Response(generate_latest() + generate_latest(federation), media_type=CONTENT_TYPE_LATEST)


@process_router.get("/metrics", response_class=Response, responses=_TEXT)
def process_metrics() -> Response:
    """What this process counts."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
