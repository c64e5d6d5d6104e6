"""What one round sees. Nothing in it changes while the round runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from quota.cells import Right
from quota.topology import Place
from quota.tree import QuotaTree
from scheduler.cycle.facts import DEFAULT_PREEMPTION, ClassKey, Earmarked, GroupFacts, LiveRun, PreemptionRules
from scheduler.cycle.group_use import GroupUse
from scheduler.cycle.kept import Kept
from scheduler.cycle.lending import Told
from scheduler.cycle.past_use import NOTHING_USED, PastUse
from scheduler.cycle.pool_runs import RunsNow
from scheduler.cycle.shape_table import CHOICE, ShapeTable
from scheduler.cycle.standing import NO_STANDING, StandingNow
from scheduler.cycle.stay import NEVER_MS, PLAIN, Terms, may_stay
from scheduler.cycle.waiting import Venue, WaitingClass, WaitingTable
from scheduler.model.data_class import Clearance, DataClassPolicy, why_not_served
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, SiteId
from scheduler.model.shape import Shape
from scheduler.model.site import Node, SecurityGrade, Site, SiteState
from scheduler.placement.pool import BoolArray, IntArray, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePool:
    """Nodes of one class at one site: what is free on them, and their ids in the pool's order. Those that the site does not
    lend now have nothing free.

    ``soon`` (amount, node) is what will be free of GPUs, CPUs and memory (MiB) once the runs that are leaving are gone.
    """

    site: SiteId
    gpu_class: str
    node_ids: tuple[NodeId, ...]
    pool: Pool
    gpus: int  #: of healthy nodes that are lent, free or not
    soon: IntArray
    index: Mapping[NodeId, int]  #: the other way round than ``node_ids``
    places: IntArray  #: the same in columns, (node's id, index), by id
    runs: RunsNow  #: of this site and class, wherever they lie
    #: (amount, node): what runs and earmarks hold beyond what there is, since those wait for runs to leave; None: nothing
    over: IntArray | None = None
    well: BoolArray | None = None  #: which nodes are healthy; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """Where cells are at a moment (``cycle.cells``). ``worth`` counts those that rights hold, ``places`` has the place of each,
    ``holders`` the group that has the cell, by node; ``gpus`` is what the cells of a group declare, by group and class, and
    ``having`` who has any, by class.
    """

    worth: Mapping[Right, int] = field(default_factory=dict)
    places: Mapping[Place, Right] = field(default_factory=dict)
    holders: Mapping[NodeId, GroupId] = field(default_factory=dict)
    gpus: Mapping[tuple[GroupId, str], int] = field(default_factory=dict)
    having: Mapping[str, frozenset[GroupId]] = field(default_factory=dict)


NO_CELLS = CellView()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment of the federation. A round has no other: ``now_ms`` is when it is decided, by whatever looks at it.

    It is the moment as of which ``Federation.lend`` was last told to work out what is lent; 0 where nobody told it.
    """

    tree: QuotaTree
    groups: Mapping[GroupId, GroupFacts]
    policy: DataClassPolicy
    sites: Mapping[SiteId, Site]
    nodes: Mapping[NodeId, Node]  #: spares as nodes that are not healthy
    shapes: ShapeTable
    pools: Mapping[tuple[SiteId, str], SitePool]
    uses: Mapping[str, GroupUse]  #: by class of which anything was ever used; ``use`` answers for any
    site_use: Mapping[tuple[SiteId, str], int]  #: GPUs in use
    runs: Mapping[RunId, LiveRun]
    strays: Mapping[str, Sequence[RunsNow]]  #: by class, those of sites that are not known, or have no node of it
    runs_on: Mapping[NodeId, tuple[RunId, ...]]  #: runs by the nodes that they hold
    elastic: Mapping[RunId, LiveRun]  #: those whose number of workers may be changed, and that are not leaving
    table: WaitingTable
    earmarks: Mapping[JobId, Earmarked] = field(default_factory=dict)
    preemption: PreemptionRules = DEFAULT_PREEMPTION
    now_ms: int = 0
    terms: tuple[Terms, ...] = (PLAIN,)  #: on which nodes are lent, by number, as of that moment
    told: Mapping[SiteId, Told] = field(default_factory=dict)  #: offers, recalls and reservations by site
    past_use: PastUse = NOTHING_USED  #: as of that moment; by position of the tree
    standing: StandingNow = NO_STANDING  #: likewise
    cells: CellView = NO_CELLS
    spares: frozenset[NodeId] = frozenset()
    #: what the policy said before, by whose data and which grade; a policy never changes its mind
    rules: MutableMapping[tuple[Clearance, SecurityGrade], str | None] = field(default_factory=dict, compare=False)
    #: what rounds before it found and this one may find the same
    kept: Kept = field(default_factory=Kept, compare=False)

    @property
    def waiting(self) -> tuple[WaitingClass, ...]:
        """Every class of waiting jobs as an object: for what reads them all, and is slow anyway."""
        return tuple(self.table.classes())

    @property
    def gpu_classes(self) -> tuple[str, ...]:
        """Every class that a site has or a quota names."""
        offered, named = self.offered_classes, self.tree.classes
        return self.kept.of("gpu_classes", (offered, named), lambda: tuple(sorted({*offered, *named})))

    @property
    def offered_classes(self) -> tuple[str, ...]:
        """Every class that a site has."""
        keys = tuple(self.pools)
        return self.kept.of("offered_classes", keys, lambda: tuple(sorted({gpu_class for _, gpu_class in keys})))

    def candidates(self, shape: Shape) -> tuple[str, ...]:
        """The classes a shape may run on, in its order of preference; without one, those that sites have, by name."""
        return shape.gpu_classes or self.offered_classes

    def sharing(self, gpu_classes: Collection[str]) -> BoolArray:
        """By row of the waiting table: whether its jobs may run on any of some classes."""
        offered = self.offered_classes
        share = [not set(gpu_classes).isdisjoint(names or offered) for names in self.shapes.choices]
        choice = self.shapes.columns[CHOICE, self.shapes.indices(self.table.shape)]
        found: BoolArray = np.array(share, np.bool_)[choice]
        return found

    def venue(self, key: ClassKey) -> Venue:
        """Who may serve a class."""
        holders = frozenset(each.holder for each in self.terms if each.holder is not None)
        having = frozenset[GroupId]().union(*self.cells.having.values())
        return venue_of(key, self.groups[key.group], self.shapes[key.shape], self.tree, holders, having)

    def path(self, group: GroupId) -> frozenset[GroupId]:
        """A group with all that it belongs to."""
        return frozenset(map(GroupId, self.tree.path(group)))

    def clearance(self, group: GroupId, shape: Shape) -> Clearance:
        """Whose data a job of ``group`` carries."""
        return clearance_of(self.groups[group], shape)

    def may_use(self, pool: SitePool, at: int, key: ClassKey, priority: int) -> bool:
        """Whether a node of a pool, by index, is lent to jobs of a class with such a priority for as long as they need it."""
        if pool.pool.terms is None or pool.pool.until_ms is None:
            return True
        shape, terms = self.shapes[key.shape], self.terms[int(pool.pool.terms[at])]
        sector, groups = self.groups[key.group].sector, self.path(key.group)
        if not terms.lets_in(sector, shape.data_class, groups) or not terms.serves(priority):
            return False
        if not shape.preemptible and not terms.lets_firm_in(key.group, groups):
            return False
        return may_stay(
            terms,
            int(pool.pool.until_ms[at]),
            key.stay,
            preemptible=shape.preemptible,
            now_ms=self.now_ms,
            minimum_run_ms=self.preemption.minimum_run_ms,
        )

    def home(self, run: LiveRun) -> frozenset[GroupId]:
        """Whose cells a run lies in, if it lies wholly inside cells of groups that it belongs to; else nobody's."""
        holders = self.cells.holders
        if not holders:
            return frozenset()
        found = {holders.get(node) for node, _ in run.gang}
        return frozenset(each for each in found if each is not None) if found <= self.path(run.group) else frozenset()

    def kept_from(self, pool: SitePool, group: GroupId) -> BoolArray:
        """By node of a pool: whether it lies in a cell of a group that this one does not belong to."""
        if pool.pool.terms is None:
            return np.zeros(len(pool.node_ids), np.bool_)
        path = self.path(group)
        kept = [each.cell is not None and each.cell not in path for each in self.terms]
        found: BoolArray = np.array(kept, np.bool_)[pool.pool.terms]
        return found

    def left_until_ms(self, pool: SitePool, at: int, group: GroupId) -> int:
        """Until when a node of a pool, by index, is left to a run of a group; 0 where it should not be there."""
        if pool.pool.terms is None or pool.pool.until_ms is None:
            return NEVER_MS
        terms, until_ms = self.terms[int(pool.pool.terms[at])], int(pool.pool.until_ms[at])
        if terms.holder is not None and terms.holder not in self.path(group):
            return 0
        return terms.heir_until_ms if terms.heir is not None and terms.heir in self.path(group) else until_ms

    def rule_against(self, clearance: Clearance, site: Site) -> str | None:
        """The rule by which ``site`` may not serve ``clearance``; None where it may."""
        key = (clearance, site.security)
        if key not in self.rules:
            self.rules[key] = why_not_served(self.policy, clearance, site.security)
        return self.rules[key]

    def use(self, gpu_class: str) -> GroupUse:
        """What groups use of a class, by position of the tree."""
        return self.uses[gpu_class] if gpu_class in self.uses else GroupUse.nothing(len(self.tree.groups))

    def leaving(self, gpu_class: str) -> Iterator[tuple[GroupId, int]]:
        """Who has runs of a class that are leaving, and how many GPUs they hold."""
        leaving = self.use(gpu_class).leaving
        for position in np.flatnonzero(leaving).tolist():
            yield GroupId(self.tree.groups[position].id), int(leaving[position])

    def capacity(self, gpu_class: str) -> int:
        """What quotas are measured against: GPUs that may take work, and those in use where nothing new starts."""
        total = 0
        for (site, each), pool in self.pools.items():
            if each == gpu_class:
                total += (
                    pool.gpus if takes_work(self.sites[site]) else min(pool.gpus, self.site_use.get((site, each), 0))
                )
        return total


def clearance_of(group: GroupFacts, shape: Shape) -> Clearance:
    """Whose data a job of ``group`` carries."""
    return Clearance(data_class=shape.data_class, public_sector=group.public_sector, trust_domain=group.trust_domain)


def venue_of(
    key: ClassKey,
    group: GroupFacts,
    shape: Shape,
    tree: QuotaTree,
    holders: frozenset[GroupId],
    having_cells: frozenset[GroupId],
) -> Venue:
    """Who may serve a class, where nodes are reserved for ``holders`` and others have cells."""
    named = holders | having_cells
    mine = tuple(sorted(named.intersection(tree.path(key.group)))) if named else ()
    own = key.group if key.group in having_cells else None
    return Venue(clearance_of(group, shape), group.sector, key.bound_site, key.refused_by, mine, own)


def takes_work(site: Site) -> bool:
    """Whether new work may be sent to a site now."""
    return site.state is SiteState.ACTIVE and site.reachable
