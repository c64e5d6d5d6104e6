"""The application, made once in a process: its routes cost half a second, at the first request of each application."""

from __future__ import annotations

from fastapi import FastAPI

from scheduler.api.app import put_over
from scheduler.bootstrap import build_app
from scheduler.service.runtime import Runtime

_MADE: dict[tuple[int, int], FastAPI] = {}


def application_over(runtime: Runtime) -> FastAPI:
    """API and portal over ``runtime``. It is the one that was asked for before, which answers from ``runtime`` from now on:
    for tests that are done with theirs when the next begins."""
    bounds = (runtime.settings.body_bytes_max, runtime.settings.content_bytes_max)
    app = _MADE.get(bounds)
    if app is None:
        app = _MADE[bounds] = build_app(runtime)
    put_over(app, runtime)
    return app
