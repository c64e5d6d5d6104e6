"""What groups use, by group."""

from __future__ import annotations

from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId


def own_gpus(snapshot: Snapshot, gpu_class: str) -> dict[GroupId, int]:
    """GPUs of runs that are not leaving and of earmarks, by the group that they are charged to; without zeros."""
    return _by_group(snapshot, snapshot.use(gpu_class).own.tolist())


def leaving_gpus(snapshot: Snapshot, gpu_class: str) -> dict[GroupId, int]:
    """GPUs of runs that are leaving; without zeros."""
    return _by_group(snapshot, snapshot.use(gpu_class).leaving.tolist())


def displaceable_gpus(snapshot: Snapshot, gpu_class: str) -> dict[tuple[GroupId, int], int]:
    """GPUs of runs that may be preempted, by group and priority; without zeros."""
    groups = snapshot.tree.groups
    kinds = snapshot.use(gpu_class).displaceable.T.tolist()
    return {(GroupId(groups[at].id), priority): gpus for at, priority, gpus in kinds if gpus}


def _by_group(snapshot: Snapshot, amounts: list[int]) -> dict[GroupId, int]:
    members = zip(snapshot.tree.groups, amounts, strict=True)
    return {GroupId(group.id): gpus for group, gpus in members if gpus}
