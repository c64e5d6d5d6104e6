"""How quotas are used, and what is free for whom: what people ask of a snapshot."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from quota.admission import available
from quota.standing import PARTS
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot, takes_work
from scheduler.model.ids import GroupId, SiteId
from scheduler.model.shape import DataClass, Shape, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassUse:
    """One group's use of one GPU class, its subtree included, in GPUs."""

    gpu_class: str
    guaranteed_effective: int
    used: int
    borrowed: int
    fair_share: int
    queued: int
    past_use_gpus: float = 0.0  #: used on average, recent use counting most
    standing_gpu_seconds: int = 0  #: lent less surged, as it counts in the order of groups
    lent_gpus: float = 0.0  #: on average, recent ones counting most, as the next
    surged_gpus: float = 0.0
    lends_gpus: float = 0.0  #: that count now, as the next
    surges_gpus: float = 0.0

    @property
    def before_gpus(self) -> float:
        """The most of what it used, lent and surged on average: whether anything is known of it from before."""
        return max(self.past_use_gpus, self.lent_gpus, self.surged_gpus)

    @property
    def standing_gpus(self) -> float:
        """Lent less surged, on average."""
        return self.lent_gpus - self.surged_gpus

    #: of the cells that it and those below are granted, those that can be held with the nodes there are
    cells_effective: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeGpus:
    """GPUs of one class at one site; ``free_for_me`` is what quotas and data classes leave of ``free``."""

    site: SiteId
    gpu_class: str
    total: int
    free: int
    free_for_me: int


def class_uses(snapshot: Snapshot, group: GroupId) -> tuple[ClassUse, ...]:
    """How ``group`` uses every GPU class."""
    round_ = Round(snapshot)
    below = snapshot.tree.subtree(group)
    positions = np.array([snapshot.tree.positions[each] for each in below], np.int64)
    classes, rows = round_.classes, snapshot.table.rows
    rows = rows[np.isin(snapshot.table.group[rows], list(below))]
    asked = (classes.workers * classes.gpus)[rows] * (classes.stop - classes.next)[rows]
    first = round_.choices[rows, 0] if round_.choices.shape[1] else np.full(len(rows), -1)
    found = []
    for gpu_class, usage in round_.usages.items():
        position = usage.tree.position(group)
        used, guaranteed = int(usage.used[position]), int(usage.guaranteed[position])
        standing = snapshot.standing.of(group, gpu_class)
        queued = int(asked[first == round_.gpu_classes.index(gpu_class)].sum())
        found.append(
            ClassUse(
                gpu_class=gpu_class,
                guaranteed_effective=guaranteed,
                used=used,
                borrowed=max(0, used - guaranteed),
                fair_share=round_.shares(gpu_class).of(group),
                queued=queued,
                past_use_gpus=snapshot.past_use.average(gpu_class, positions),
                standing_gpu_seconds=standing.gpu_seconds,
                lent_gpus=snapshot.standing.gpus(standing.lent),
                surged_gpus=snapshot.standing.gpus(standing.surged),
                lends_gpus=standing.lends / PARTS,
                surges_gpus=standing.surges / PARTS,
                cells_effective=cells_effective(snapshot, group, gpu_class),
            )
        )
    return tuple(found)


def cells_effective(snapshot: Snapshot, group: GroupId, gpu_class: str) -> int:
    """How many cells of a group and those below it have a place with the nodes there are."""
    below, worth = snapshot.tree.subtree(group), snapshot.cells.worth.items()
    return sum(number for right, number in worth if right.kind.gpu_class == gpu_class and right.group in below)


def used_by_group(snapshot: Snapshot) -> dict[tuple[GroupId, str], int]:
    """GPUs that each group uses of each class, its subtree included; those that use none are left out."""
    found = {}
    for gpu_class, usage in Round(snapshot).usages.items():
        for group in snapshot.groups:
            used = int(usage.used[usage.tree.position(group)])
            if used:
                found[group, gpu_class] = used
    return found


def free_gpus(snapshot: Snapshot, groups: Collection[GroupId]) -> tuple[FreeGpus, ...]:
    """What is free at every site, and how much of it some one of ``groups`` could start on now with open data."""
    round_ = Round(snapshot)
    found = []
    for number, ((site_id, gpu_class), pool) in enumerate(snapshot.pools.items()):
        site = snapshot.sites[site_id]
        free = round_.board.free_gpus(number) if takes_work(site) else 0
        for_me = 0
        for group in groups:
            clearance = snapshot.clearance(group, _OPEN)
            if free and snapshot.rule_against(clearance, site) is None:
                for_me = max(for_me, min(free, available(round_.usages[gpu_class], group)))
        found.append(FreeGpus(site=site_id, gpu_class=gpu_class, total=pool.gpus, free=free, free_for_me=for_me))
    return tuple(found)


_OPEN = Shape(
    workers=1,
    gpus_per_worker=1,
    cpus_per_worker=0,
    memory_mib_per_worker=0,
    gpu_classes=(),
    topology=Topology.ANY,
    data_class=DataClass.OPEN,
    preemptible=True,
)
