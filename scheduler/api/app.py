"""The HTTP application: every route below ``/api/v1``, health, readiness, metrics and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from scheduler.api.dependencies import PROBLEMS_WRITE
from scheduler.api.direct_route import DirectRoutes
from scheduler.api.middleware import API_PREFIX, Surroundings
from scheduler.api.problem import MEDIA_TYPE, install_handlers
from scheduler.api.routes import (
    agent,
    arrays,
    certificate,
    content,
    events,
    gpu_classes,
    gpus,
    groups,
    health,
    jobs,
    logs,
    members,
    metrics,
    nodes,
    offers,
    quotas,
    recalls,
    reservations,
    session,
    sites,
    stream,
    submit,
    tokens,
    usage,
)
from scheduler.service.agent_sync import AgentSync
from scheduler.service.enrolment import SiteCallers
from scheduler.service.runtime import Runtime
from scheduler.service.submit import Judges

API_VERSION = "1"

#: submit and stream stand before jobs, recalls, reservations and nodes before sites: their addresses are more particular.
_ROUTERS: tuple[APIRouter, ...] = tuple(
    module.router
    for module in (
        session, submit, stream, logs, jobs, arrays, content, gpus, groups, members, quotas, usage, tokens,
        gpu_classes, certificate, events, offers, recalls, reservations, nodes, sites, agent,
    )
)  # fmt: skip


def create_app(runtime: Runtime) -> FastAPI:
    """Build the application over ``runtime``. Starts nothing by itself."""
    app = FastAPI(
        title="Dure",
        version=API_VERSION,
        summary="One federation that shares a nation's AI compute.",
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    put_over(app, runtime)
    install_handlers(app)
    for router in _ROUTERS:
        app.include_router(router, prefix=API_PREFIX, responses=PROBLEMS_WRITE)
    app.include_router(health.router)
    app.include_router(metrics.router)
    endpoints = {API_PREFIX + path: endpoint for path, endpoint in submit.DIRECT.items()}
    app.add_middleware(DirectRoutes, endpoints=endpoints, handlers_of=app)
    app.add_middleware(
        Surroundings,
        body_bytes_max=runtime.settings.body_bytes_max,
        content_bytes_max=runtime.settings.content_bytes_max,
    )
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def put_over(app: FastAPI, runtime: Runtime) -> None:
    """Have ``app`` answer from ``runtime``, whose bounds of bodies are those that it was built with."""
    app.state.runtime = runtime
    app.state.site_callers = SiteCallers(runtime)
    app.state.agent_sync = AgentSync(runtime)
    app.state.judges = Judges(runtime)


def create_monitor(runtime: Runtime) -> FastAPI:
    """Health, readiness and metrics alone, for a process that serves nothing else."""
    app = FastAPI(title="Dure", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.runtime = runtime
    install_handlers(app)
    app.include_router(health.router)
    app.include_router(metrics.process_router)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; problems carry their own media type alone."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        for methods in document["paths"].values():
            for operation in methods.values():
                for status, response in operation["responses"].items():
                    if not status.startswith(("2", "3")) and MEDIA_TYPE in response.get("content", {}):
                        response["content"].pop("application/json", None)
        app.openapi_schema = document
    return app.openapi_schema
