"""Who the caller is."""

from __future__ import annotations

from fastapi import APIRouter

from scheduler.api.dependencies import Reading, RuntimeHere
from scheduler.api.documents import token_document
from scheduler.api.schemas import WhoamiOut, WhoamiRole
from scheduler.service.tokens import TokenView

router = APIRouter(tags=["session"])


@router.get("/whoami")
def whoami(runtime: RuntimeHere, caller: Reading) -> WhoamiOut:
    """The person behind the token, and what they may."""
    directory = runtime.directories.newest()
    runtime.world.rules()
    roles = [
        WhoamiRole(path=directory.by_id[group].path, role=role.value)
        for group, held in caller.roles.items()
        if group in directory.by_id
        for role in sorted(held)
    ]
    sites = [site.name for site in runtime.world.sites.values() if site.id in caller.sites]
    return WhoamiOut(
        person=caller.person,
        token=token_document(TokenView(token=caller.token, person=caller.person)),
        administrator=caller.administrator,
        auditor=caller.auditor,
        groups=sorted(roles, key=lambda each: (each.path, each.role)),
        sites=sorted(sites),
    )
