"""The state of one round: queues, use and free nodes; steps 1 and 2 fill it, the later ones hand out from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quota.admission import Usage
from quota.fair_share import FairShares, fair_share
from scheduler.cycle.plan import Start
from scheduler.cycle.snapshot import SitePool, Snapshot, Turn, WaitingClass, takes_work
from scheduler.model.data_class import Clearance
from scheduler.model.ids import SiteId
from scheduler.placement.pool import Pool
from scheduler.placement.request import Placement, Request


@dataclass(slots=True)
class Queue:
    """A class of waiting jobs during a round; ``next`` is the first that has not started."""

    waiting: WaitingClass
    request: Request
    preemptible: bool
    candidates: tuple[str, ...]
    pools: Mapping[str, tuple[SitePool, ...]]  #: where it may start, by GPU class
    next: int = 0

    @property
    def head(self) -> Turn:
        """The job whose turn it is."""
        return self.waiting.turns[self.next]

    @property
    def is_empty(self) -> bool:
        """Whether every job of the class has started."""
        return self.next == len(self.waiting.turns)


@dataclass(slots=True)
class Round:
    """The state of one round: what is used and free while it hands out."""

    snapshot: Snapshot
    usages: dict[str, Usage] = field(default_factory=dict)
    shares: dict[str, FairShares] = field(default_factory=dict)
    pools: dict[tuple[SiteId, str], Pool] = field(default_factory=dict)
    queues: list[Queue] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    _open: dict[tuple[Clearance, SiteId | None], dict[str, tuple[SitePool, ...]]] = field(default_factory=dict)


def begin(snapshot: Snapshot) -> Round:
    """Steps 1 and 2: effective capacity and fair shares of every GPU class."""
    round_ = Round(snapshot)
    round_.pools = {key: each.pool.copy() for key, each in snapshot.pools.items()}
    round_.queues = [_queue(round_, waiting) for waiting in sorted(snapshot.waiting, key=_class_key)]
    asked: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for queue in round_.queues:
        if queue.candidates:
            gpus = queue.request.gpus_in_all * len(queue.waiting.turns)
            asked[queue.candidates[0]][queue.waiting.group] += gpus
    for gpu_class in snapshot.gpu_classes:
        tree = snapshot.tree.of_class(gpu_class)
        capacity = snapshot.capacity(gpu_class)
        own = tree.array({group: gpus for group, gpus in snapshot.own_use.get(gpu_class, {}).items() if gpus})
        round_.usages[gpu_class] = Usage(tree, capacity, own)
        round_.shares[gpu_class] = fair_share(tree, own + tree.array(asked[gpu_class]), capacity)
    return round_


def _class_key(waiting: WaitingClass) -> tuple[int, int, int]:
    return waiting.group, waiting.shape, waiting.bound_site or 0


def _queue(round_: Round, waiting: WaitingClass) -> Queue:
    snapshot = round_.snapshot
    shape = snapshot.shapes[waiting.shape]
    key = (snapshot.clearance(waiting.group, shape), waiting.bound_site)
    pools = round_._open.get(key)
    if pools is None:
        pools = round_._open[key] = _open_pools(snapshot, *key)
    return Queue(waiting, Request.of(shape), shape.preemptible, snapshot.candidates(shape), pools)


def _open_pools(snapshot: Snapshot, clearance: Clearance, bound_site: SiteId | None) -> dict[str, tuple[SitePool, ...]]:
    """Where jobs of a clearance may start now, by GPU class."""
    found: defaultdict[str, list[SitePool]] = defaultdict(list)
    for (site_id, gpu_class), pool in snapshot.pools.items():
        site = snapshot.sites[site_id]
        if bound_site not in (None, site_id) or not takes_work(site):
            continue
        if snapshot.rule_against(clearance, site) is None:
            found[gpu_class].append(pool)
    return {
        gpu_class: tuple(sorted(pools, key=lambda pool: snapshot.sites[pool.site].name))
        for gpu_class, pools in found.items()
    }


def find_place(round_: Round, pools: Sequence[SitePool], request: Request) -> tuple[SitePool, Placement] | None:
    """The place of the tightest level that any site has; of equals the site with the fewest free GPUs, then by name."""
    free_pools = round_.pools
    if len(pools) > 1:
        pools = sorted(pools, key=lambda each: free_pools[each.site, each.gpu_class].free_gpus)
    for level in request.levels():
        for site_pool in pools:
            placement = free_pools[site_pool.site, site_pool.gpu_class].place(request, level)
            if placement is not None:
                return site_pool, placement
    return None
