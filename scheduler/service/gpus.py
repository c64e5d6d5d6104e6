"""Free GPUs as a caller's groups see them."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.cycle.use import FreeGpus, free_gpus
from scheduler.model.ids import GroupId
from scheduler.model.reason import Refusal
from scheduler.service.access import group_for
from scheduler.service.caller import Caller, Role
from scheduler.service.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteGpus:
    """GPUs of one class at one site."""

    site: str
    state: str
    free: FreeGpus


def list_free_gpus(runtime: Runtime, caller: Caller, path: str | None) -> list[SiteGpus] | Refusal:
    """What is free by site and class; for the groups on which the caller may submit, or for the one at ``path``."""
    directory = runtime.directories.newest()
    snapshot = runtime.world.snapshot()
    if path is not None:
        group = group_for(directory, caller, path, Role.VIEWER)
        if isinstance(group, Refusal):
            return group
        wanted = {group.id}
    else:
        wanted = {each for each, roles in caller.roles.items() if roles - {Role.VIEWER, Role.AUDITOR}}
    groups = [GroupId(each) for each in sorted(wanted) if GroupId(each) in snapshot.groups]
    found = []
    for free in free_gpus(snapshot, groups):
        site = snapshot.sites[free.site]
        state = site.state.value if site.reachable else "unreachable"
        found.append(SiteGpus(site=site.name, state=state, free=free))
    return sorted(found, key=lambda each: (each.free.gpu_class, each.site))
