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
from scheduler.cycle.plan import Earmark
from scheduler.cycle.shape_table import CHOICE
from scheduler.cycle.snapshot import SitePool, Snapshot, takes_work
from scheduler.cycle.stay import NEVER_MS, Terms, stay_columns
from scheduler.cycle.waiting import Venue
from scheduler.model.ids import GroupId, SiteId
from scheduler.model.shape import Shape
from scheduler.placement.arrays import Classes, Later, Lending, Quotas, Starts
from scheduler.placement.board import Board, new_starts
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.request import Request
from scheduler.placement.waiting import asked_for, columns_of

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
        self.gpu_classes = snapshot.gpu_classes
        self._shares: dict[str, FairShares] = {}
        self._usable: dict[tuple[int, ClassKey, int, bool | None], BoolArray] = {}
        #: by job for which nodes are reserved: of which pool which nodes, by index
        self.reserved: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._past_ranks: dict[str, IntArray] = {}
        self._standing_ranks: dict[str, IntArray] = {}

    @cached_property
    def board(self) -> Board:
        """Free nodes, as far as the round has not handed them out."""
        return Board([each.pool for each in self.site_pools])

    @cached_property
    def usages(self) -> Mapping[str, Usage]:
        """Step 1, effective capacity, with what is used of every GPU class."""
        snapshot, owns = self.snapshot, self.owns
        return {each: Usage(snapshot.tree.of_class(each), snapshot.capacity(each), own) for each, own in owns.items()}

    @cached_property
    def owns(self) -> Mapping[str, IntArray]:
        """By GPU class and position: what each group itself uses as the round began. Not to be changed."""
        # Shares that forgot what is leaving meanwhile would swing.
        return {gpu_class: self.snapshot.use(gpu_class).counted for gpu_class in self.gpu_classes}

    @cached_property
    def demands(self) -> dict[str, IntArray]:
        """By GPU class and position: what each group itself used and asked for as the round began."""
        asked = np.zeros((len(self.gpu_classes), len(self.snapshot.tree.groups)), np.int64)
        asked_for(self.classes, self.choices, asked)
        return {gpu_class: own + asked[number] for number, (gpu_class, own) in enumerate(self.owns.items())}

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
        workers, gpus, cpus, memory, level, loosest, firm, end, least = columns_of(
            index, shapes.columns, table.stay, *self._stays
        )
        return Classes(
            position=snapshot.tree.positions_of(table.group),
            next=table.start.copy(),
            stop=table.stop,
            shape=index,
            venue=table.venue,
            workers=workers,
            gpus=gpus,
            cpus=cpus,
            memory=memory,
            level=level,
            loosest=loosest,
            firm=firm,
            minus_priority=table.turns[0],
            submitted=table.turns[1],
            job=table.turns[2],
            alike=_numbered(index, table.stay, len(table.stays)),
            end=end,
            least=least,
        )

    @cached_property
    def lending(self) -> Lending:
        """The terms on which nodes are lent, as the compiled loop takes them."""
        snapshot = self.snapshot
        terms, venues = snapshot.terms, snapshot.table.venues
        return snapshot.kept.of("lending", (terms, venues), lambda: _lending(terms, venues))._replace(
            now=snapshot.now_ms
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
            self._usable[kept] = latest >= self.snapshot.now_ms
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

    @cached_property
    def last_choice(self) -> IntArray:
        """Each row's last candidate that anybody has, as a column of ``choices``."""
        last: IntArray = self.choices.shape[1] - 1 - np.argmax(self.choices[:, ::-1] >= 0, axis=1)
        return last

    @cached_property
    def last_class(self) -> IntArray:
        """That candidate, as a number of ``gpu_classes``."""
        last: IntArray = np.take_along_axis(self.choices, self.last_choice[:, None], 1)[:, 0]
        return last

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
            self._shares[gpu_class] = fair_share(usage.tree, self.demands[gpu_class], usage.capacity)
        return self._shares[gpu_class]

    def share_anew(self, earmarks: Sequence[Earmark] = ()) -> None:
        """Shares as the next round has them: who asked for its first GPU class and has got another one asks there no more.

        ``earmarks`` are what the round holds for jobs beside its starts.
        """
        if self.choices.shape[1] < 2:
            return
        starts, classes = self.starts, self.classes
        rows, pools = starts.row[: starts.size[0]], starts.pool[: starts.size[0]]
        asked = classes.workers * classes.gpus
        names = np.array([pool.gpu_class for pool in self.site_pools], np.str_)
        for number, gpu_class in enumerate(self.gpu_classes):
            tree, waits, got = self.usages[gpu_class].tree, self.choices[:, 0] == number, names[pools] == gpu_class
            gpus = np.concatenate(((asked * (classes.stop - classes.next))[waits], asked[rows[got]]))
            position = np.concatenate((classes.position[waits], classes.position[rows[got]]))
            demand = self.owns[gpu_class] + np.bincount(position, gpus, len(tree)).astype(np.int64)
            for each in earmarks:
                if each.gpu_class == gpu_class:
                    demand[tree.position(each.group)] += self.snapshot.shapes[each.shape].gpus
            if (demand != self.demands[gpu_class]).any():
                self.demands[gpu_class] = demand
                self._shares.pop(gpu_class, None)

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
        causes = shapes.choices, self.gpu_classes, self.snapshot.offered_classes
        padded = self.snapshot.kept.of("choices", causes, lambda: _numbers_of(*causes))
        chosen: IntArray = padded[shapes.columns[CHOICE, self.classes.shape]]
        return chosen

    @cached_property
    def venue_pools(self) -> Mapping[str, tuple[IntArray, IntArray]]:
        """By GPU class: the pools of every venue one after the other, by site name, and where each venue's begin."""
        snapshot, venues = self.snapshot, self.snapshot.table.venues
        causes = tuple(snapshot.pools), snapshot.sites, snapshot.policy, self.gpu_classes, venues
        return snapshot.kept.of("venue_pools", causes, lambda: self._venue_pools(venues))

    def _venue_pools(self, venues: Sequence[Venue]) -> Mapping[str, tuple[IntArray, IntArray]]:
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

    @property
    def waits_on(self) -> bool:
        """Whether a job is left that has not started."""
        return bool((self.classes.next < self.classes.stop).any())

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
        end = np.where(walltimes == NEVER_MS, NEVER_MS, snapshot.now_ms + walltimes)
        return end, np.where(saves < 0, -1, saves + snapshot.preemption.minimum_run_ms)

    @cached_property
    def _workers_max(self) -> int:
        return int(self.classes.workers.max(initial=0))


def _lending(terms: Sequence[Terms], venues: Sequence[Venue]) -> Lending:
    lets = [
        [each.lets_in(venue.sector, venue.clearance.data_class, venue.holders) for each in terms] for venue in venues
    ]
    firm = [[each.lets_firm_in(venue.having_cells, venue.holders) for each in terms] for venue in venues]
    lowest = np.iinfo(np.int64).min
    return Lending(
        now=0,
        lets=np.array(lets, np.bool_).reshape(len(venues), len(terms)),
        floor=np.array([lowest if each.priority_floor is None else each.priority_floor for each in terms], np.int64),
        hold=np.array([each.hold_ms for each in terms], np.int64),
        firm_terms=np.array(firm, np.bool_).reshape(len(venues), len(terms)),
    )


def _numbers_of(choices: Sequence[Sequence[str]], gpu_classes: Sequence[str], offered: Sequence[str]) -> IntArray:
    """By number of a choice its candidates as numbers of ``gpu_classes``; -1 where there are no more. Who names none has those
    that are offered."""
    number = {name: at for at, name in enumerate(gpu_classes)}
    every = [[number.get(name, -1) for name in names or offered] for names in choices]
    width = max((len(each) for each in every), default=0)
    return np.array([each + [-1] * (width - len(each)) for each in every], np.int64).reshape(len(every), width)


def _numbered(one: IntArray, other: IntArray, others: int) -> IntArray:
    """The same number, and no large one, for the same pair; the second is below ``others``."""
    if others < 2:
        return one
    numbers = one * others + other
    if int(numbers.max(initial=0)) >= _NUMBERS_MAX:
        numbers = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    return numbers
