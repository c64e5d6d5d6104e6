"""The state of one round: use and free nodes; step 1 fills it, the later ones hand out from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from quota.admission import Usage
from quota.fair_share import FairShares, fair_share
from scheduler.cycle.facts import ClassKey
from scheduler.cycle.shape_table import CHOICE, CPUS, FIRM, GPUS, LEVEL, LOOSEST, MEMORY, WORKERS
from scheduler.cycle.snapshot import SitePool, Snapshot, takes_work
from scheduler.cycle.stay import NEVER_MS, stay_columns
from scheduler.cycle.waiting import Venue
from scheduler.model.ids import GroupId, SiteId
from scheduler.model.shape import Shape
from scheduler.placement.arrays import Classes, Later, Lending, Quotas, Starts
from scheduler.placement.board import Board, new_starts
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.request import Request

#: Numbers below this need not be made smaller: a table by number is made in no time.
_NUMBERS_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Queue:
    """A class of jobs that wait on, as verdicts speak of it."""

    key: ClassKey
    priority: int  #: of its head
    shape: Shape
    request: Request
    candidates: tuple[str, ...]
    head: int  #: the job's number
    pools: Mapping[str, tuple[int, ...]]  #: where it may start now, by GPU class: numbers on the board
    waiting: int

    @property
    def group(self) -> GroupId:
        """Whose jobs they are."""
        return self.key.group

    @property
    def bound_site(self) -> SiteId | None:
        """The site that holds their checkpoints."""
        return self.key.bound_site


class Round:
    """What is used and free while a round hands out."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.site_pools: tuple[SitePool, ...] = tuple(snapshot.pools.values())
        self.board = Board([each.pool for each in self.site_pools])
        self.gpu_classes = snapshot.gpu_classes
        self.usages: dict[str, Usage] = {}
        self._demands: dict[str, IntArray] = {}
        self._shares: dict[str, FairShares] = {}
        self._usable: dict[tuple[int, ClassKey, int, bool | None], BoolArray] = {}
        #: by job for which nodes are reserved: of which pool which nodes, by index
        self.reserved: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._past_ranks: dict[str, IntArray] = {}
        self._standing_ranks: dict[str, IntArray] = {}
        self._count()

    @cached_property
    def starts(self) -> Starts:
        """Room for all that can start."""
        table = self.snapshot.table
        free = int(self.board.nodes.pool_free.sum())
        return new_starts(min(free, int((table.stop - table.start).sum())), free + self._workers_max)

    @cached_property
    def classes(self) -> Classes:
        """The waiting classes' columns, by the table's row."""
        snapshot, table, shapes = self.snapshot, self.snapshot.table, self.snapshot.shapes
        index = shapes.indices(table.shape)
        columns = shapes.columns[:, index]
        end, least = self._stays
        return Classes(
            position=snapshot.tree.positions_of(table.group),
            next=table.start.copy(),
            stop=table.stop,
            shape=index,
            venue=table.venue,
            workers=columns[WORKERS],
            gpus=columns[GPUS],
            cpus=columns[CPUS],
            memory=columns[MEMORY],
            level=columns[LEVEL],
            loosest=columns[LOOSEST],
            firm=columns[FIRM],
            minus_priority=table.turns[0],
            submitted=table.turns[1],
            job=table.turns[2],
            alike=_numbered(index, table.stay, len(table.stays)),
            end=end[table.stay],
            least=least[table.stay],
        )

    @cached_property
    def lending(self) -> Lending:
        """The terms on which nodes are lent, as the compiled loop takes them."""
        snapshot = self.snapshot
        terms, venues = snapshot.terms, snapshot.table.venues
        lets = [
            [each.lets_in(venue.sector, venue.clearance.data_class, venue.holders) for each in terms]
            for venue in venues
        ]
        firm = [[each.lets_firm_in(venue.having_cells, venue.holders) for each in terms] for venue in venues]
        lowest = np.iinfo(np.int64).min
        return Lending(
            now=snapshot.lent_at_ms,
            lets=np.array(lets, np.bool_).reshape(len(venues), len(terms)),
            floor=np.array(
                [lowest if each.priority_floor is None else each.priority_floor for each in terms], np.int64
            ),
            hold=np.array([each.hold_ms for each in terms], np.int64),
            firm_terms=np.array(firm, np.bool_).reshape(len(venues), len(terms)),
        )

    def usable(self, number: int, key: ClassKey, priority: int, *, preemptible: bool | None = None) -> BoolArray | None:
        """The nodes of a pool that are well and lent to jobs of a class for as long as they need them; None: all of them.

        ``Snapshot.may_use`` says the same of one node. ``preemptible``: as if they were, or were not.
        """
        pool = self.site_pools[number]
        if pool.pool.terms is None or pool.pool.until_ms is None:
            return pool.well
        kept = (number, key, priority, preemptible)
        if kept not in self._usable:
            latest = self.latest_starts(number, key, priority, preemptible=preemptible)
            self._usable[kept] = latest >= self.snapshot.lent_at_ms
        return self._usable[kept]

    def usable_by(self, queue: Queue, number: int) -> BoolArray | None:
        """The same for the head of a class, which may be another than it is in whether it can be preempted."""
        return self.usable(number, queue.key, queue.priority, preemptible=queue.shape.preemptible)

    def latest_starts(self, number: int, key: ClassKey, priority: int, *, preemptible: bool | None = None) -> IntArray:
        """By node of a pool: until when jobs of a class may start there as it is lent now (ms); -1 for not at all."""
        pool = self.site_pools[number]
        if pool.pool.terms is None or pool.pool.until_ms is None:
            found = np.full(len(pool.node_ids), NEVER_MS, np.int64)
        else:
            found = self._latest_starts(pool.pool.terms, pool.pool.until_ms, key, priority, preemptible)
        return found if pool.well is None else np.where(pool.well, found, -1)

    def _latest_starts(
        self, terms: IntArray, until: IntArray, key: ClassKey, priority: int, preemptible: bool | None
    ) -> IntArray:
        snapshot, shape = self.snapshot, self.snapshot.shapes[key.shape]
        preemptible = shape.preemptible if preemptible is None else preemptible
        sector, groups = snapshot.groups[key.group].sector, snapshot.path(key.group)
        lets = [
            each.lets_in(sector, shape.data_class, groups)
            and each.serves(priority)
            and (preemptible or each.lets_firm_in(key.group, groups))
            for each in snapshot.terms
        ]
        walltime_ms = key.stay.walltime_ms
        latest = np.where(until >= NEVER_MS, NEVER_MS, -1) if walltime_ms is None else until - walltime_ms
        if preemptible and key.stay.save_ms is not None:
            least_ms = key.stay.save_ms + snapshot.preemption.minimum_run_ms
            latest = np.maximum(latest, until - np.maximum(self.lending.hold, least_ms)[terms])
        return np.where(np.array(lets, np.bool_)[terms], latest, -1)

    @cached_property
    def later(self) -> Mapping[str, Later]:
        """What reservations leave to others, by GPU class: everything, until some are made."""
        rows = len(self.classes.next)
        found = {}
        for gpu_class, usage in self.usages.items():
            groups = len(usage.tree)
            found[gpu_class] = Later(
                from_ms=np.full(groups, NEVER_MS, np.int64),
                room=np.zeros(groups, np.int64),
                looked=np.zeros(groups, np.bool_),
                last=np.zeros(rows, np.bool_),
                done=np.zeros(rows, np.bool_),
            )
        return found

    def past_ranks(self, gpu_class: str) -> IntArray:
        """By position: whose turn it is by past use, where all else is equal. Worked out when it is first asked for."""
        if gpu_class not in self._past_ranks:
            ranks = self.snapshot.past_use.ranks(self.usages[gpu_class].tree)
            ranks.setflags(write=False)  # for compiled code an array that may be written to is of another type
            self._past_ranks[gpu_class] = ranks
        return self._past_ranks[gpu_class]

    def standing_ranks(self, gpu_class: str) -> IntArray:
        """By position: whose turn it is by standing, among those that hold their share or more; equals alike."""
        if gpu_class not in self._standing_ranks:
            self._standing_ranks[gpu_class] = self.snapshot.standing.ranks(self.usages[gpu_class].tree)
        return self._standing_ranks[gpu_class]

    def shares(self, gpu_class: str) -> FairShares:
        """Step 2: fair shares of a GPU class as the round began. Worked out when they are first asked for."""
        if gpu_class not in self._shares:
            usage = self.usages[gpu_class]
            self._shares[gpu_class] = fair_share(usage.tree, self._demands[gpu_class], usage.capacity)
        return self._shares[gpu_class]

    def quotas(self, gpu_class: str, *, alone: bool = False) -> Quotas:
        """A class's use as compiled loops take it: the very arrays, so that what they charge is charged.

        ``alone``: one class of jobs is tried. No other's turn is compared with its own, so that shares are left out.
        """
        usage, tree = self.usages[gpu_class], self.usages[gpu_class].tree
        return Quotas(
            parent=tree.parent,
            bound=usage.bound,
            reserve=usage.reserve,
            guaranteed=usage.guaranteed,
            own=usage.own,
            used=usage.used,
            inside=usage.inside,
            share=tree.guaranteed if alone else self.shares(gpu_class).own,
            path_rank=tree.path_rank if alone else self.past_ranks(gpu_class),
            standing_rank=tree.path_rank if alone else self.standing_ranks(gpu_class),
        )

    @cached_property
    def choices(self) -> IntArray:
        """Each row's candidates as numbers of ``gpu_classes``, (row, choice); -1 where it has no more, or nobody has it."""
        shapes = self.snapshot.shapes
        number = {name: at for at, name in enumerate(self.gpu_classes)}
        offered = self.snapshot.offered_classes
        every = [[number.get(name, -1) for name in names or offered] for names in shapes.choices]
        width = max((len(each) for each in every), default=0)
        padded = np.array([each + [-1] * (width - len(each)) for each in every], np.int64).reshape(len(every), width)
        chosen: IntArray = padded[shapes.columns[CHOICE, self.classes.shape]]
        return chosen

    @cached_property
    def venue_pools(self) -> Mapping[str, tuple[IntArray, IntArray]]:
        """By GPU class: the pools of every venue one after the other, by site name, and where each venue's begin."""
        venues = self.snapshot.table.venues
        found = {}
        opened = [self.open_pools(venue) for venue in venues]
        for gpu_class in self.gpu_classes:
            lists = [each.get(gpu_class, ()) for each in opened]
            first = np.zeros(len(venues) + 1, np.int64)
            np.cumsum([len(each) for each in lists], out=first[1:])
            found[gpu_class] = (first, np.array([pool for each in lists for pool in each], np.int64))
        return found

    def open_pools(self, venue: Venue) -> dict[str, tuple[int, ...]]:
        """Where jobs of a venue may start now, by GPU class; pools by site name."""
        snapshot, bound_site = self.snapshot, venue.bound_site
        found: defaultdict[str, list[int]] = defaultdict(list)
        for number, pool in self._pools_by_name:
            site = snapshot.sites[pool.site]
            if bound_site not in (None, pool.site) or pool.site in venue.refused_by or not takes_work(site):
                continue
            if snapshot.rule_against(venue.clearance, site) is None:
                found[pool.gpu_class].append(number)
        return {gpu_class: tuple(pools) for gpu_class, pools in found.items()}

    def queue(self, row: int) -> Queue:
        """A row as verdicts speak of it."""
        snapshot, table = self.snapshot, self.snapshot.table
        key = table.key(row)
        shape = snapshot.shapes[key.shape]
        return Queue(
            key=key,
            priority=-int(self.classes.minus_priority[self.classes.next[row]]),
            shape=shape,
            request=Request.of(shape),
            candidates=snapshot.candidates(shape),
            head=int(self.classes.job[self.classes.next[row]]),
            pools=self.open_pools(table.venues[int(table.venue[row])]),
            waiting=int(table.stop[row] - self.classes.next[row]),
        )

    @cached_property
    def _pools_by_name(self) -> Sequence[tuple[int, SitePool]]:
        sites = self.snapshot.sites
        return sorted(enumerate(self.site_pools), key=lambda each: sites[each[1].site].name)

    @cached_property
    def _stays(self) -> tuple[IntArray, IntArray]:
        """By number of the stay: when such a gang is over, and for how long it has to be left where it can save its state."""
        snapshot = self.snapshot
        walltimes, saves = stay_columns(snapshot.table.stays)
        end = np.where(walltimes == NEVER_MS, NEVER_MS, snapshot.lent_at_ms + walltimes)
        return end, np.where(saves < 0, -1, saves + snapshot.preemption.minimum_run_ms)

    @cached_property
    def _workers_max(self) -> int:
        return int(self.classes.workers.max(initial=0))

    def _count(self) -> None:
        """Step 1, effective capacity, with what is used and asked for of every GPU class."""
        snapshot, table = self.snapshot, self.snapshot.table
        rows = table.rows
        classes = self.classes
        gpus = (classes.workers * classes.gpus)[rows] * (table.stop - table.start)[rows]
        first = self.choices[rows, 0] if self.choices.shape[1] else np.full(len(rows), -1)
        for number, gpu_class in enumerate(self.gpu_classes):
            tree = snapshot.tree.of_class(gpu_class)
            capacity = snapshot.capacity(gpu_class)
            own = snapshot.use(gpu_class).counted  # shares that forgot what is leaving meanwhile would swing
            asked = np.bincount(classes.position[rows], weights=np.where(first == number, gpus, 0), minlength=len(tree))
            self.usages[gpu_class] = Usage(tree, capacity, own)
            self._demands[gpu_class] = own + asked.astype(np.int64)


def _numbered(one: IntArray, other: IntArray, others: int) -> IntArray:
    """The same number, and no large one, for the same pair; the second is below ``others``."""
    if others < 2:
        return one
    numbers = one * others + other
    if int(numbers.max(initial=0)) >= _NUMBERS_MAX:
        numbers = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    return numbers
