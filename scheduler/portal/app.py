"""Install the portal's pages beside the API."""

from __future__ import annotations

from fastapi import FastAPI


def install_portal(app: FastAPI) -> None:
    """Add the portal's routes and static files to ``app``."""
    assert app
