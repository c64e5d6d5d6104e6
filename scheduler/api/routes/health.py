"""Whether a process lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from scheduler.api.dependencies import PROBLEMS_READ, RuntimeHere
from scheduler.api.problem import RefusedError
from scheduler.model.errors import StoreError
from scheduler.model.reason import ReasonCode, refuse

router = APIRouter(tags=["health"], responses=PROBLEMS_READ)


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
